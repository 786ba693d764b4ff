//! Primary expressions, the members, calls and indexes after them, and type names.

use super::{MAX_OPERANDS, Parser};
use crate::apim::{
    error::short,
    expression::ast::{Expr, ExprKind, Segment, TypeName},
    lexer::{Parsed, Span, Token, error, segments, unescaped},
};

/// Maximum arguments of a call.
const MAX_ARGUMENTS: usize = 64;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed<Expr> {
        let (span, written) = (self.span(), self.written());
        let inside = |prefix| span.start + prefix..span.end - 1;
        let kind = match self.peek() {
            Token::Number => number(written, span.start)?,
            Token::Text => ExprKind::Text(unescaped(self.text, inside(1))?),
            Token::Verbatim => ExprKind::Text(self.text[inside(2)].replace("\"\"", "\"")),
            Token::Interpolated => ExprKind::Interpolated(self.interpolation(inside(2))?),
            Token::Char => {
                let text = unescaped(self.text, inside(1))?;
                let mut characters = text.chars();
                match (characters.next(), characters.next()) {
                    (Some(only), None) if only.len_utf16() == 1 => ExprKind::Char(only),
                    _ => return error(span.end - 1, "a character literal must contain one character"),
                }
            }
            Token::Name => match written {
                "null" => ExprKind::Null,
                "true" => ExprKind::Bool(true),
                "false" => ExprKind::Bool(false),
                "new" => return self.new_object(),
                name => ExprKind::Name(name.to_owned()),
            },
            Token::Punctuation("(") => {
                self.at += 1;
                let mut inside = self.expression()?;
                self.expect(")")?;
                inside.span = span.start..self.end();
                return Ok(inside);
            }
            _ => return self.error(format!("expected a value, found {}", self.found())),
        };
        self.at += 1;
        Ok(Expr { kind, span })
    }

    fn interpolation(&self, span: Span) -> Parsed<Vec<Segment>> {
        let mut parsed = Vec::new();
        for (text, code) in segments(self.text, span)? {
            parsed.push(Segment::Text(text));
            let Some(code) = code else { continue };
            let mut inner = Parser::new(self.text, code, self.depth)?;
            parsed.push(Segment::Expression(inner.expression()?));
            if inner.is_any(&[":", ","]) {
                return inner.error("formats and alignments are not supported; use ToString(...)");
            }
            if inner.peek() != Token::End {
                return inner.error("expected '}' after the expression");
            }
        }
        Ok(parsed)
    }

    /// `new[] {...}`, `new string[] {...}`, `new List<string> {...}`, `new DateTime(...)`.
    fn new_object(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        self.at += 1;
        if self.take("[") {
            self.expect("]")?;
        } else {
            let ty = self.type_name()?;
            if !is_list_of_strings(&ty) {
                let arguments = self.arguments()?;
                return Ok(self.expr(start, ExprKind::New(ty, arguments)));
            }
            if self.take("(") {
                self.expect(")")?;
                if !self.is("{") {
                    return self.error(
                        "lists cannot be filled later; write the entries, as in new[] { \"...\", \"...\" }",
                    );
                }
            }
        }
        let entries = self.list("{", "}", MAX_OPERANDS, "entries of a list")?;
        Ok(self.expr(start, ExprKind::Array(entries)))
    }

    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.list("(", ")", MAX_ARGUMENTS, "arguments")
    }

    /// Parses expressions between brackets, separated by commas. A comma after the last one is allowed.
    fn list(&mut self, open: &str, close: &str, max: usize, entries: &str) -> Parsed<Vec<Expr>> {
        self.expect(open)?;
        let mut list = Vec::new();
        while !self.is(close) {
            if list.len() == max {
                return self.error(format!("more than {max} {entries}"));
            }
            list.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(close)?;
        Ok(list)
    }

    /// Parses members, calls and indexes after a value. Each counts as one level of depth. With `is_member`, the name of
    /// a member comes first.
    pub(super) fn postfix(&mut self, value: Expr, is_member: bool) -> Parsed<Expr> {
        let start = value.span.start;
        let kind = if is_member || self.take(".") {
            let span = self.span();
            let name = self.name()?;
            let generic = self.type_between("<", ">", |parser, _| parser.is("("));
            let member = self.expr(start, ExprKind::Member(Box::new(value), name, span));
            if self.is("(") {
                ExprKind::Call(Box::new(member), generic, self.arguments()?)
            } else {
                member.kind
            }
        } else if self.take("?.") {
            let receiver = Expr { kind: ExprKind::Receiver, span: value.span.clone() };
            let rest = self.deeper(|parser| parser.postfix(receiver, true))?;
            return Ok(self.expr(start, ExprKind::Conditional(Box::new(value), Box::new(rest))));
        } else if self.is("(") {
            ExprKind::Call(Box::new(value), None, self.arguments()?)
        } else if self.take("[") {
            let index = self.expression()?;
            self.expect("]")?;
            ExprKind::Index(Box::new(value), Box::new(index))
        } else if self.is_any(&["++", "--"]) {
            return self.error(format!("{} is not supported", self.found()));
        } else if self.is("?") && self.ahead(1) == Token::Punctuation("[") {
            return self.error("'?[' is not supported; compare with null first");
        } else {
            return Ok(value);
        };
        let value = self.expr(start, kind);
        self.deeper(|parser| parser.postfix(value, false))
    }

    /// Parses a cast such as `(string)` if an operand follows.
    pub(super) fn cast(&mut self) -> Option<TypeName> {
        self.type_between("(", ")", |parser, ty| {
            is_castable(ty)
                && match parser.peek() {
                    Token::Punctuation(next) => matches!(next, "(" | "!"),
                    next => next != Token::End,
                }
        })
    }

    /// Parses a type between brackets if it meets the condition, which also considers the next token.
    fn type_between(
        &mut self,
        open: &str,
        close: &str,
        is_type: impl Fn(&Self, &TypeName) -> bool,
    ) -> Option<TypeName> {
        let before = self.at;
        if self.take(open)
            && let Ok(ty) = self.type_name()
            && self.take(close)
            && is_type(self, &ty)
        {
            return Some(ty);
        }
        self.at = before;
        None
    }

    pub(super) fn type_name(&mut self) -> Parsed<TypeName> {
        self.deeper(|parser| {
            let start = parser.span().start;
            let mut name = parser.name()?;
            while parser.is(".") && parser.ahead(1) == Token::Name {
                parser.at += 1;
                name = parser.name()?;
            }
            let mut arguments = Vec::new();
            if parser.take("<") {
                arguments.push(parser.type_name()?);
                while parser.take(",") {
                    arguments.push(parser.type_name()?);
                }
                parser.expect(">")?;
            }
            let is_array = parser.is("[") && parser.ahead(1) == Token::Punctuation("]");
            parser.at += if is_array { 2 } else { 0 };
            Ok(TypeName { name, arguments, is_array, span: start..parser.end() })
        })
    }
}

fn number(written: &str, offset: usize) -> Parsed<ExprKind> {
    if let Ok(value) = written.parse() {
        return Ok(ExprKind::Int(value));
    }
    let plain = written.strip_suffix(['d', 'D']).unwrap_or(written);
    let is_plain = plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match plain.parse() {
        Ok(value) if is_plain && (plain.contains('.') || plain.len() < written.len()) => {
            Ok(ExprKind::Double(value))
        }
        _ => {
            let written = short(written);
            error(offset, format!("number {written:?} is not supported; write an int or a double"))
        }
    }
}

/// Returns true for `string[]`, `List<string>` and `HashSet<string>`.
fn is_list_of_strings(ty: &TypeName) -> bool {
    match (ty.name.as_str(), ty.arguments.as_slice()) {
        ("List" | "HashSet", [only]) => is_string(only),
        _ => ty.is_array && is_string(&TypeName { is_array: false, ..ty.clone() }),
    }
}

fn is_string(ty: &TypeName) -> bool {
    !ty.is_array && ty.arguments.is_empty() && matches!(ty.name.as_str(), "string" | "String")
}

/// Returns true if `(Name)` before a value is a cast rather than a name in parentheses.
fn is_castable(ty: &TypeName) -> bool {
    let name = ty.name.as_str();
    matches!(name, "bool" | "Boolean" | "int" | "Int32" | "long" | "double" | "Double" | "DateTime")
        || matches!(name, "string" | "String" | "object" | "TimeSpan" | "X509Certificate2")
}
