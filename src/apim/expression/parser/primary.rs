//! Primary expressions, and the members, calls and indexes after them.

use super::{MAX_DEPTH, MAX_OPERANDS, Parser, types::is_string};
use crate::apim::{
    expression::ast::{Expr, ExprKind, Segment, TypeName},
    lexer::{Parsed, RawSegment, Token, error},
};

/// Maximum arguments of a call.
const MAX_ARGUMENTS: usize = 64;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed<Expr> {
        let span = self.span();
        let kind = match self.peek().clone() {
            Token::Int(value) => ExprKind::Int(value),
            Token::Double(value) => ExprKind::Double(value),
            Token::Text(value) => ExprKind::Text(value),
            Token::Char(value) => ExprKind::Char(value),
            Token::Interpolated(segments) => {
                self.at += 1;
                return Ok(Expr { kind: ExprKind::Interpolated(self.interpolation(segments)?), span });
            }
            Token::Name(name) => match name.as_str() {
                "null" => ExprKind::Null,
                "true" => ExprKind::Bool(true),
                "false" => ExprKind::Bool(false),
                "new" => return self.new_object(),
                _ => ExprKind::Name(name),
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

    fn interpolation(&mut self, segments: Vec<RawSegment>) -> Parsed<Vec<Segment>> {
        let parse = |segment| match segment {
            RawSegment::Text(text) => Ok(Segment::Text(text)),
            RawSegment::Code(span) => {
                let mut inner = Parser::new(self.text, span, self.depth)?;
                let mut tokens = inner.tokens.iter();
                if let Some((_, span)) = tokens.find(|(token, _)| matches!(token, Token::Interpolated(_))) {
                    return error(span.start, "nested interpolated strings are not supported");
                }
                let expression = inner.expression()?;
                if inner.is(":") || inner.is(",") {
                    return inner.error("formats and alignments are not supported; use ToString(...)");
                }
                if *inner.peek() != Token::End {
                    return inner.error("expected '}' after the expression");
                }
                Ok(Segment::Expression(expression))
            }
        };
        segments.into_iter().map(parse).collect()
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
        let before = self.depth;
        let parsed = self.links(value, is_member);
        self.depth = before;
        parsed
    }

    fn links(&mut self, mut value: Expr, mut is_member: bool) -> Parsed<Expr> {
        let start = value.span.start;
        loop {
            if self.depth == MAX_DEPTH {
                return self.error(format!("the expression is nested more than {MAX_DEPTH} levels deep"));
            }
            self.depth += 1;
            let kind = if std::mem::take(&mut is_member) || self.take(".") {
                let span = self.span();
                let name = self.name()?;
                let generic = self.generic_arguments();
                let member = self.expr(start, ExprKind::Member(Box::new(value), name, span));
                if !self.is("(") {
                    value = member;
                    continue;
                }
                ExprKind::Call(Box::new(member), generic, self.arguments()?)
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
            } else if self.is("++") || self.is("--") {
                return self.error(format!("{} is not supported", self.found()));
            } else if self.is("?") && matches!(self.ahead(1), Token::Punctuation("[")) {
                return self.error("'?[' is not supported; compare with null first");
            } else {
                return Ok(value);
            };
            value = self.expr(start, kind);
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
