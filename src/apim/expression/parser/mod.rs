//! Recursive-descent parser. Length, depth and number of operands are limited.

mod primary;
mod statement;

use super::ast::{Comparison, Expr, ExprKind, SyntaxTree};
use crate::apim::{
    error::short,
    lexer::{Parsed, Span, SyntaxError, Token, error, tokens},
};

/// Maximum bytes of an expression. Typical expressions have a few hundred.
const MAX_EXPRESSION_BYTES: usize = 16 * 1024;
/// Maximum nesting depth, which also limits chains of members.
const MAX_DEPTH: usize = 64;
/// Maximum operands of one `&&`, `||` or `+`, statements of a block and entries of a list.
const MAX_OPERANDS: usize = 512;

/// Comparisons by increasing precedence.
const COMPARISONS: [&[(&str, Comparison)]; 2] = [
    &[("==", Comparison::Equal), ("!=", Comparison::NotEqual)],
    &[
        ("<", Comparison::Less),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        (">=", Comparison::GreaterOrEqual),
    ],
];

/// Parses `@(...)` or `@{...}`. Invalid statements of a block are skipped; their errors are returned with the tree.
pub(super) fn parse(text: &str) -> Parsed<(SyntaxTree, Vec<SyntaxError>)> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if end.saturating_sub(start) > MAX_EXPRESSION_BYTES {
        return error(start, format!("the expression is longer than {MAX_EXPRESSION_BYTES} bytes"));
    }
    let mut parser = Parser::new(text, start + 1..end, 0)?;
    match parser.tree(start..end) {
        Ok(tree) => Ok((tree, parser.errors)),
        // A skipped statement can have unbalanced brackets: its error comes first.
        Err(error) => Err(parser.errors.into_iter().next().unwrap_or(error)),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    /// Errors of skipped statements.
    errors: Vec<SyntaxError>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, span: Span, depth: usize) -> Parsed<Self> {
        Ok(Self { text, tokens: tokens(text, span)?, at: 0, depth, errors: Vec::new() })
    }

    fn peek(&self) -> Token {
        self.ahead(0)
    }

    fn ahead(&self, tokens: usize) -> Token {
        self.tokens.get(self.at + tokens).map_or(Token::End, |(token, _)| *token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(0..0, |(_, span)| span.clone())
    }

    /// End of the previous token.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |(_, span)| span.end)
    }

    /// Returns an expression from `start` to the previous token.
    fn expr(&self, start: usize, kind: ExprKind) -> Expr {
        Expr { kind, span: start..self.end() }
    }

    /// Text of the next token.
    fn written(&self) -> &'a str {
        self.text.get(self.span()).unwrap_or_default()
    }

    /// Returns true if the next token is this name or punctuation.
    fn is(&self, wanted: &str) -> bool {
        matches!(self.peek(), Token::Name | Token::Punctuation(_)) && self.written() == wanted
    }

    fn is_any(&self, wanted: &[&str]) -> bool {
        wanted.iter().any(|wanted| self.is(wanted))
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.is(wanted);
        self.at += usize::from(found);
        found
    }

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        error(self.span().start, message)
    }

    fn expect(&mut self, punctuation: &str) -> Parsed<()> {
        if self.take(punctuation) {
            return Ok(());
        }
        self.error(format!("expected '{punctuation}', found {}", self.found()))
    }

    fn found(&self) -> String {
        let written = self.written();
        match self.peek() {
            Token::End => "the end".into(),
            Token::Text | Token::Verbatim | Token::Interpolated if short(written) != written => {
                "a string literal".into()
            }
            _ => format!("'{}'", short(written)),
        }
    }

    fn name(&mut self) -> Parsed<String> {
        if self.peek() != Token::Name {
            return self.error(format!("expected a name, found {}", self.found()));
        }
        let name = self.written().to_owned();
        self.at += 1;
        Ok(name)
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

    fn tree(&mut self, span: Span) -> Parsed<SyntaxTree> {
        let tree = if self.take("(") {
            let expression = self.expression()?;
            self.expect(")")?;
            SyntaxTree::Expression(expression)
        } else {
            self.expect("{")?;
            let statements = self.statements()?;
            self.expect("}")?;
            SyntaxTree::Block(statements, span)
        };
        if self.peek() != Token::End {
            return self.error("unexpected text after the expression");
        }
        Ok(tree)
    }

    fn expression(&mut self) -> Parsed<Expr> {
        self.deeper(Self::ternary)
    }

    fn ternary(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        if (self.peek(), self.ahead(1)) == (Token::Name, Token::Punctuation("=>")) {
            let parameter = self.name()?;
            self.at += 1;
            let body = Box::new(self.expression()?);
            return Ok(self.expr(start, ExprKind::Lambda(parameter, body)));
        }
        let condition = self.coalesce()?;
        if !self.take("?") {
            return Ok(condition);
        }
        let then = self.expression()?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        Ok(self.expr(start, ExprKind::Ternary(Box::new(condition), Box::new(then), Box::new(otherwise))))
    }

    fn coalesce(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        let left = self.operands("||", ExprKind::Or, |parser| {
            parser.operands("&&", ExprKind::And, |parser| parser.comparison(0))
        })?;
        if !self.take("??") {
            return Ok(left);
        }
        let right = self.deeper(Self::coalesce)?;
        Ok(self.expr(start, ExprKind::Coalesce(Box::new(left), Box::new(right))))
    }

    fn operands(
        &mut self,
        operator: &str,
        kind: fn(Vec<Expr>) -> ExprKind,
        operand: impl Fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        let start = self.span().start;
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
        Ok(self.expr(start, kind(operands)))
    }

    /// Parses an operand, and a second one if an operator of a level follows.
    fn comparison(&mut self, level: usize) -> Parsed<Expr> {
        let Some(operators) = COMPARISONS.get(level) else { return self.sum() };
        let start = self.span().start;
        let left = self.comparison(level + 1)?;
        let Some((_, comparison)) = operators.iter().find(|(operator, _)| self.take(operator)) else {
            return Ok(left);
        };
        let right = self.comparison(level + 1)?;
        if operators.iter().any(|(operator, _)| self.is(operator)) {
            return self.error("chained comparisons are not supported; use parentheses");
        }
        Ok(self.expr(start, ExprKind::Compare(*comparison, Box::new(left), Box::new(right))))
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        let mut left = self.operands("+", ExprKind::Add, Self::unary)?;
        let mut subtractions = 0;
        while self.take("-") {
            subtractions += 1;
            if subtractions > 8 {
                return self.error("more than 8 subtractions in a row; use parentheses");
            }
            let right = self.unary()?;
            left = self.expr(start, ExprKind::Subtract(Box::new(left), Box::new(right)));
            if self.is("+") {
                return self.error("'+' after '-' is not supported; put the subtraction in parentheses");
            }
        }
        if self.is_any(&["*", "/", "%"]) {
            return self.error(format!("{} is not supported", self.found()));
        }
        if self.is_any(&["as", "is"]) {
            let found = self.found();
            return self.error(format!("{found} is not supported; use a cast or compare with null"));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| {
            let start = parser.span().start;
            let kind = if parser.take("!") {
                ExprKind::Not(Box::new(parser.unary()?))
            } else if parser.take("-") {
                ExprKind::Negate(Box::new(parser.unary()?))
            } else if let Some(ty) = parser.cast() {
                ExprKind::Cast(ty, Box::new(parser.unary()?))
            } else {
                let primary = parser.primary()?;
                return parser.postfix(primary, false);
            };
            Ok(parser.expr(start, kind))
        })
    }
}
