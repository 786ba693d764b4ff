//! Tokens as a tree. Depth, length and number of operands are limited.

mod primary;
mod statement;
mod types;

use super::{
    ast::{Comparison, Expr, ExprKind, Source, Span},
    lexer::{Problem, Token, tokens},
};
use crate::apim::error::short;

/// Real expressions have a few hundred characters.
pub(super) const LONGEST: usize = 16 * 1024;
/// How deep expressions nest, and how many members follow one another.
const DEEPEST: usize = 64;
/// Operands of one `&&`, `||` or `+`.
const MOST_OPERANDS: usize = 512;

type Parsed<T> = Result<T, Problem>;

/// Parses `@(...)` or `@{...}`. Of a block, the statements that cannot be parsed are problems beside it.
pub(super) fn parse(text: &str) -> Parsed<(Source, Vec<Problem>)> {
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if end.saturating_sub(start) > LONGEST {
        return Err(Problem {
            offset: start,
            message: format!("an expression is longer than {LONGEST} bytes"),
        });
    }
    let mut parser =
        Parser { text, tokens: tokens(text, start + 1..end)?, at: 0, depth: 0, problems: Vec::new() };
    let source = if text[start..].starts_with("@(") {
        parser.expect("(")?;
        let expression = parser.expression()?;
        parser.expect(")")?;
        Source::Expression(expression)
    } else {
        parser.expect("{")?;
        let statements = parser.statements()?;
        if !parser.take("}") {
            let unclosed = parser.problem(format!("expected '}}' but found {}", parser.found()));
            return parser.problems.into_iter().next().map_or(unclosed, Err);
        }
        Source::Block(statements, start..end)
    };
    if *parser.peek() != Token::End {
        // Where a statement was skipped the brackets may be the matter.
        let ended = parser.problem("the expression has ended here");
        return parser.problems.into_iter().next().map_or(ended, Err);
    }
    Ok((source, parser.problems))
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    /// Of statements that were skipped.
    problems: Vec<Problem>,
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

    /// Where the token before this one ended.
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

    fn problem<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(Problem { offset: self.span().start, message: message.into() })
    }

    fn expect(&mut self, punctuation: &str) -> Parsed<()> {
        if self.take(punctuation) {
            return Ok(());
        }
        self.problem(format!("expected '{punctuation}' but found {}", self.found()))
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
            _ => self.problem(format!("expected a name but found {}", self.found())),
        }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEEPEST {
            return self.problem(format!("an expression is nested more than {DEEPEST} deep"));
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
            if operands.len() == MOST_OPERANDS {
                return self.problem(format!("'{operator}' joins more than {MOST_OPERANDS} operands"));
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
            Token::Punctuation("!=") => Comparison::Unequal,
            _ => return Ok(left),
        };
        let compared = self.compare(comparison, left, Self::relation)?;
        if self.is("==") || self.is("!=") {
            return self.problem("comparisons of comparisons are not supported: use parentheses");
        }
        Ok(compared)
    }

    fn relation(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        let comparison = match self.peek() {
            Token::Punctuation("<") => Comparison::Less,
            Token::Punctuation("<=") => Comparison::AtMost,
            Token::Punctuation(">") => Comparison::Greater,
            Token::Punctuation(">=") => Comparison::AtLeast,
            Token::Name(name) if name == "as" || name == "is" => {
                return self.problem(format!("'{name}' is not supported: use a cast, or compare with null"));
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
        let mut left = self.operands("+", ExprKind::Plus, Self::unary)?;
        let mut subtractions = 0;
        while self.take("-") {
            subtractions += 1;
            if subtractions > 8 {
                return self.problem("too many subtractions: use parentheses");
            }
            let right = self.unary()?;
            let span = left.span.start..right.span.end;
            left = Expr { kind: ExprKind::Minusing(Box::new(left), Box::new(right)), span };
            if self.is("+") {
                return self.problem("use parentheses round the subtraction");
            }
        }
        if self.is("*") || self.is("/") || self.is("%") {
            return self.problem(format!("{} is not supported", self.found()));
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
                return Ok(Expr { span: start..operand.span.end, kind: ExprKind::Minus(Box::new(operand)) });
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
