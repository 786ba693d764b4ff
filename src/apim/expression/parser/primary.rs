//! Primary expressions, and the members, calls and indexes after them.

use super::{MAX_DEPTH, MAX_OPERANDS, Parsed, Parser, types::is_string};
use crate::apim::expression::{
    ast::{Expr, ExprKind, Segment, TypeName},
    lexer::{RawSegment, Token, tokens},
};

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

    pub(super) fn interpolation(&mut self, segments: Vec<RawSegment>) -> Parsed<Vec<Segment>> {
        segments
            .into_iter()
            .map(|segment| match segment {
                RawSegment::Text(text) => Ok(Segment::Text(text)),
                RawSegment::Code(span) => {
                    let mut inner = Parser {
                        text: self.text,
                        tokens: tokens(self.text, span)?,
                        at: 0,
                        depth: self.depth,
                        errors: Vec::new(),
                    };
                    let expression = inner.expression()?;
                    if inner.is(":") || inner.is(",") {
                        return inner.error("formats and alignments are not supported; use ToString(...)");
                    }
                    if *inner.peek() != Token::End {
                        return inner.error("expected '}' after the expression");
                    }
                    Ok(Segment::Expression(expression))
                }
            })
            .collect()
    }

    /// `new[] {...}`, `new string[] {...}`, `new List<string> {...}`, `new DateTime(...)`.
    pub(super) fn new_object(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        self.at += 1;
        if self.is("[") {
            self.at += 1;
            self.expect("]")?;
            let kind = ExprKind::Array(self.items()?);
            return Ok(Expr { kind, span: start..self.end() });
        }
        let ty = self.type_name()?;
        let is_strings = matches!(ty.arguments.as_slice(), [only] if is_string(only));
        if (ty.is_array && is_string(&TypeName { is_array: false, ..ty.clone() }))
            || (matches!(ty.name.as_str(), "List" | "HashSet") && is_strings)
        {
            if self.take("(") {
                self.expect(")")?;
                if !self.is("{") {
                    return self.error(
                        "lists cannot be filled later; write the entries, as in new[] { \"...\", \"...\" }",
                    );
                }
            }
            let kind = ExprKind::Array(self.items()?);
            return Ok(Expr { kind, span: start..self.end() });
        }
        if !self.is("(") {
            return self.error(format!("expected '(', found {}", self.found()));
        }
        let arguments = self.arguments()?;
        Ok(Expr { kind: ExprKind::New(ty, arguments), span: start..self.end() })
    }

    pub(super) fn items(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("{")?;
        let mut items = Vec::new();
        while !self.is("}") {
            if items.len() == MAX_OPERANDS {
                return self.error(format!("a list has more than {MAX_OPERANDS} entries"));
            }
            items.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect("}")?;
        Ok(items)
    }

    pub(super) fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.is(")") {
            if arguments.len() == 64 {
                return self.error("more than 64 arguments");
            }
            arguments.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(arguments)
    }

    /// Parses members, calls and indexes after a value. Each counts as one level of depth.
    pub(super) fn postfix(&mut self, value: Expr) -> Parsed<Expr> {
        let before = self.depth;
        let parsed = self.links(value);
        self.depth = before;
        parsed
    }

    pub(super) fn links(&mut self, mut value: Expr) -> Parsed<Expr> {
        let start = value.span.start;
        loop {
            if self.depth == MAX_DEPTH {
                return self.error(format!("the expression is nested more than {MAX_DEPTH} levels deep"));
            }
            self.depth += 1;
            if self.take("?.") {
                let receiver = Expr { kind: ExprKind::Receiver, span: value.span.clone() };
                self.at -= 1;
                // Members after `?.` parse like members after `.`.
                if let Some((token, _)) = self.tokens.get_mut(self.at) {
                    *token = Token::Punctuation(".");
                }
                let rest = self.deeper(|parser| parser.postfix(receiver))?;
                let span = start..self.end();
                return Ok(Expr { kind: ExprKind::Conditional(Box::new(value), Box::new(rest)), span });
            }
            if self.take(".") {
                let span = self.span();
                let name = self.name()?;
                let generic = self.generic_arguments();
                value = Expr { kind: ExprKind::Member(Box::new(value), name, span), span: start..self.end() };
                if self.is("(") {
                    let arguments = self.arguments()?;
                    let kind = ExprKind::Call(Box::new(value), generic, arguments);
                    value = Expr { kind, span: start..self.end() };
                } else if generic.is_some() {
                    return self.error(format!("expected '(', found {}", self.found()));
                }
            } else if self.take("[") {
                let index = self.expression()?;
                self.expect("]")?;
                let kind = ExprKind::Index(Box::new(value), Box::new(index));
                value = Expr { kind, span: start..self.end() };
            } else if self.is("(") {
                let arguments = self.arguments()?;
                value =
                    Expr { kind: ExprKind::Call(Box::new(value), None, arguments), span: start..self.end() };
            } else if self.is("++") || self.is("--") {
                return self.error(format!("{} is not supported", self.found()));
            } else if self.is("?") && matches!(self.ahead(1), Token::Punctuation("[")) {
                return self.error("'?[' is not supported; compare with null first");
            } else {
                return Ok(value);
            }
        }
    }
}
