//! Statements of `@{...}`.

use super::{MAX_OPERANDS, Parser};
use crate::apim::{
    expression::ast::{Expr, Stmt},
    lexer::{Parsed, Token, error},
};

/// Keywords of unsupported statements of C#, with their alternatives.
const UNSUPPORTED_STATEMENTS: [(&[&str], &str); 5] = [
    (&["for", "foreach", "while", "do"], "; use Any or All with a condition"),
    (&["switch"], "; use if and else"),
    (&["try"], "; a failed expression runs <on-error>"),
    (&["throw"], "; use <return-response>"),
    (&["using", "goto", "lock"], ""),
];

impl Parser<'_> {
    pub(super) fn statements(&mut self) -> Parsed<Vec<Stmt>> {
        let mut statements = Vec::new();
        while !self.is("}") && self.peek() != Token::End {
            if statements.len() == MAX_OPERANDS {
                return self.error(format!("more than {MAX_OPERANDS} statements"));
            }
            let start = self.at;
            statements.push(match self.deeper(Self::statement) {
                Ok(statement) => statement,
                Err(error) => {
                    self.errors.push(error);
                    self.skip_statement(start)
                }
            });
        }
        Ok(statements)
    }

    /// Skips an invalid statement. Returns the names that it appears to declare.
    fn skip_statement(&mut self, start: usize) -> Stmt {
        self.at = start;
        let has_body =
            self.is("if") || UNSUPPORTED_STATEMENTS.iter().any(|(keywords, _)| self.is_any(keywords));
        let mut names = Vec::new();
        let mut open = 0_usize;
        while self.peek() != Token::End {
            if (self.peek(), self.ahead(1), self.ahead(2))
                == (Token::Name, Token::Name, Token::Punctuation("="))
            {
                let name = self.tokens.get(self.at + 1).and_then(|(_, span)| self.text.get(span.clone()));
                names.push(name.unwrap_or_default().to_owned());
            }
            let (opens, closes) = (self.is_any(&["(", "[", "{"]), self.is_any(&[")", "]", "}"]));
            if closes && open == 0 {
                // The end of the block; any other bracket here is unmatched.
                if self.is("}") {
                    break;
                }
            } else if closes {
                open -= 1;
            }
            let ends = open == 0 && (self.is(";") || (has_body && self.is("}")));
            open += usize::from(opens);
            self.at += 1;
            if ends && !self.is_any(&["else", "catch", "finally"]) {
                break;
            }
        }
        Stmt::Invalid(names)
    }

    fn statement(&mut self) -> Parsed<Stmt> {
        let span = self.span();
        if self.take("return") {
            return Ok(Stmt::Return(self.value()?));
        }
        if self.take("if") {
            self.expect("(")?;
            let condition = self.expression()?;
            self.expect(")")?;
            let then = self.branch()?;
            let otherwise = if self.take("else") { self.branch()? } else { Vec::new() };
            return Ok(Stmt::If { condition, then, otherwise });
        }
        if let Some((_, remedy)) = UNSUPPORTED_STATEMENTS.iter().find(|(keywords, _)| self.is_any(keywords)) {
            return self.error(format!("'{}' is not supported{remedy}", self.written()));
        }
        // `name = value;` assigns; with a type in front it declares.
        if self.ahead(1) == Token::Punctuation("=") {
            let name = self.name()?;
            self.at += 1;
            return Ok(Stmt::Assign { name, value: self.value()?, span });
        }
        let ty = self.type_name()?;
        if self.is_any(&["(", "["]) {
            let message = "a call is not supported as a statement; write a list with its entries, as in new[] { \"...\" }";
            return error(span.start, message);
        }
        let name = self.name()?;
        self.expect("=")?;
        let value = self.value()?;
        let ty = Some(ty).filter(|ty| ty.name != "var" || ty.is_array || !ty.arguments.is_empty());
        Ok(Stmt::Declare { name, ty, value, span })
    }

    /// Parses an expression and the semicolon after it.
    fn value(&mut self) -> Parsed<Expr> {
        let value = self.expression()?;
        self.expect(";")?;
        Ok(value)
    }

    fn branch(&mut self) -> Parsed<Vec<Stmt>> {
        if self.take("{") {
            let statements = self.statements()?;
            self.expect("}")?;
            return Ok(statements);
        }
        Ok(vec![self.deeper(Self::statement)?])
    }
}
