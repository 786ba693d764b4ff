//! Recursive-descent parser. Length, depth and number of operands are limited.

mod primary;
mod statement;
mod types;

use super::{
    ast::{Comparison, Expr, ExprKind, Span, SyntaxTree},
    lexer::{SyntaxError, Token, tokens},
};
use crate::apim::error::short;

/// Maximum bytes of an expression. Typical expressions have a few hundred.
pub(super) const MAX_EXPRESSION_BYTES: usize = 16 * 1024;
/// Maximum nesting depth, which also limits chains of members.
const MAX_DEPTH: usize = 64;
/// Maximum operands of one `&&`, `||` or `+`, statements of a block and entries of a list.
const MAX_OPERANDS: usize = 512;

type Parsed<T> = Result<T, SyntaxError>;

/// Parses `@(...)` or `@{...}`. Invalid statements of a block are skipped; their errors are returned with the tree.
pub(super) fn parse(text: &str) -> Parsed<(SyntaxTree, Vec<SyntaxError>)> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if end.saturating_sub(start) > MAX_EXPRESSION_BYTES {
        return Err(SyntaxError {
            offset: start,
            message: format!("the expression is longer than {MAX_EXPRESSION_BYTES} bytes"),
        });
    }
    let mut parser =
        Parser { text, tokens: tokens(text, start + 1..end)?, at: 0, depth: 0, errors: Vec::new() };
    let source = if text[start..].starts_with("@(") {
        parser.expect("(")?;
        let expression = parser.expression()?;
        parser.expect(")")?;
        SyntaxTree::Expression(expression)
    } else {
        parser.expect("{")?;
        let statements = parser.statements()?;
        if !parser.take("}") {
            let unclosed = parser.error(format!("expected '}}', found {}", parser.found()));
            return parser.errors.into_iter().next().map_or(unclosed, Err);
        }
        SyntaxTree::Block(statements, start..end)
    };
    if *parser.peek() != Token::End {
        // A skipped statement can have unbalanced brackets: its error comes first.
        let ended = parser.error("unexpected text after the expression");
        return parser.errors.into_iter().next().map_or(ended, Err);
    }
    Ok((source, parser.errors))
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    /// Errors of skipped statements.
    errors: Vec<SyntaxError>,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, tokens: usize) -> &Token {
        self.tokens.get(self.at + tokens).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(0..0, |(_, span)| span.clone())
    }

    /// End of the previous token.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |(_, span)| span.end)
    }

    fn is(&self, punctuation: &str) -> bool {
        matches!(self.peek(), Token::Punctuation(found) if *found == punctuation)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == name)
    }

    fn take(&mut self, punctuation: &str) -> bool {
        let found = self.is(punctuation);
        self.at += usize::from(found);
        found
    }

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { offset: self.span().start, message: message.into() })
    }

    fn expect(&mut self, punctuation: &str) -> Parsed<()> {
        if self.take(punctuation) {
            return Ok(());
        }
        self.error(format!("expected '{punctuation}', found {}", self.found()))
    }

    fn found(&self) -> String {
        match self.peek() {
            Token::End => "the end".into(),
            Token::Text(text) if short(text) != *text => "a string literal".into(),
            Token::Interpolated(_) => "a string literal".into(),
            _ => format!("'{}'", short(self.text.get(self.span()).unwrap_or_default())),
        }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.at += 1;
                Ok(name)
            }
            _ => self.error(format!("expected a name, found {}", self.found())),
        }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DEPTH {
            return self.error(format!("the expression is nested more than {MAX_DEPTH} levels deep"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expression(&mut self) -> Parsed<Expr> {
        self.deeper(Self::ternary)
    }

    fn ternary(&mut self) -> Parsed<Expr> {
        if matches!((self.peek(), self.ahead(1)), (Token::Name(_), Token::Punctuation("=>"))) {
            let start = self.span().start;
            let parameter = self.name()?;
            self.at += 1;
            let body = self.expression()?;
            return Ok(Expr { span: start..self.end(), kind: ExprKind::Lambda(parameter, Box::new(body)) });
        }
        let condition = self.coalesce()?;
        if !self.take("?") {
            return Ok(condition);
        }
        let then = self.expression()?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        let span = condition.span.start..self.end();
        let kind = ExprKind::Ternary(Box::new(condition), Box::new(then), Box::new(otherwise));
        Ok(Expr { kind, span })
    }

    fn coalesce(&mut self) -> Parsed<Expr> {
        let left = self.or()?;
        if !self.take("??") {
            return Ok(left);
        }
        let right = self.deeper(Self::coalesce)?;
        let span = left.span.start..right.span.end;
        Ok(Expr { kind: ExprKind::Coalesce(Box::new(left), Box::new(right)), span })
    }

    fn or(&mut self) -> Parsed<Expr> {
        self.operands("||", ExprKind::Or, |parser| parser.operands("&&", ExprKind::And, Self::equality))
    }

    fn operands(
        &mut self,
        operator: &str,
        kind: fn(Vec<Expr>) -> ExprKind,
        operand: impl Fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        let first = operand(self)?;
        if !self.is(operator) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.take(operator) {
            if operands.len() == MAX_OPERANDS {
                return self.error(format!("more than {MAX_OPERANDS} operands of '{operator}'"));
            }
            operands.push(operand(self)?);
        }
        let start = operands.first().map_or(0, |first| first.span.start);
        Ok(Expr { kind: kind(operands), span: start..self.end() })
    }

    fn equality(&mut self) -> Parsed<Expr> {
        let left = self.relation()?;
        let comparison = match self.peek() {
            Token::Punctuation("==") => Comparison::Equal,
            Token::Punctuation("!=") => Comparison::NotEqual,
            _ => return Ok(left),
        };
        let compared = self.compare(comparison, left, Self::relation)?;
        if self.is("==") || self.is("!=") {
            return self.error("chained comparisons are not supported; use parentheses");
        }
        Ok(compared)
    }

    fn relation(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        let comparison = match self.peek() {
            Token::Punctuation("<") => Comparison::Less,
            Token::Punctuation("<=") => Comparison::LessOrEqual,
            Token::Punctuation(">") => Comparison::Greater,
            Token::Punctuation(">=") => Comparison::GreaterOrEqual,
            Token::Name(name) if name == "as" || name == "is" => {
                return self.error(format!("'{name}' is not supported; use a cast or compare with null"));
            }
            _ => return Ok(left),
        };
        self.compare(comparison, left, Self::sum)
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        left: Expr,
        operand: fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        self.at += 1;
        let right = operand(self)?;
        let span = left.span.start..right.span.end;
        Ok(Expr { kind: ExprKind::Compare(comparison, Box::new(left), Box::new(right)), span })
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let mut left = self.operands("+", ExprKind::Add, Self::unary)?;
        let mut subtractions = 0;
        while self.take("-") {
            subtractions += 1;
            if subtractions > 8 {
                return self.error("more than 8 subtractions in a row; use parentheses");
            }
            let right = self.unary()?;
            let span = left.span.start..right.span.end;
            left = Expr { kind: ExprKind::Subtract(Box::new(left), Box::new(right)), span };
            if self.is("+") {
                return self.error("'+' after '-' is not supported; put the subtraction in parentheses");
            }
        }
        if self.is("*") || self.is("/") || self.is("%") {
            return self.error(format!("{} is not supported", self.found()));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| {
            let start = parser.span().start;
            if parser.take("!") {
                let operand = parser.unary()?;
                return Ok(Expr { span: start..operand.span.end, kind: ExprKind::Not(Box::new(operand)) });
            }
            if parser.take("-") {
                let operand = parser.unary()?;
                return Ok(Expr { span: start..operand.span.end, kind: ExprKind::Negate(Box::new(operand)) });
            }
            if let Some(ty) = parser.cast() {
                let operand = parser.unary()?;
                return Ok(Expr {
                    span: start..operand.span.end,
                    kind: ExprKind::Cast(ty, Box::new(operand)),
                });
            }
            let primary = parser.primary()?;
            parser.postfix(primary)
        })
    }
}
