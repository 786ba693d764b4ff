//! Statements of `@{...}`.

use super::{MOST_OPERANDS, Parsed, Parser};
use crate::apim::expression::{ast::Statement, lexer::Token};

impl Parser<'_> {
    pub(super) fn statements(&mut self) -> Parsed<Vec<Statement>> {
        let mut statements = Vec::new();
        while !self.is("}") && *self.peek() != Token::End {
            if statements.len() == MOST_OPERANDS {
                return self.problem(format!("more than {MOST_OPERANDS} statements"));
            }
            statements.push(self.deeper(Self::statement)?);
        }
        Ok(statements)
    }

    pub(super) fn statement(&mut self) -> Parsed<Statement> {
        let span = self.span();
        if self.is_name("return") {
            self.at += 1;
            let value = self.expression()?;
            self.expect(";")?;
            return Ok(Statement::Return(value));
        }
        if self.is_name("if") {
            self.at += 1;
            self.expect("(")?;
            let condition = self.expression()?;
            self.expect(")")?;
            let then = self.branch()?;
            let otherwise = if self.is_name("else") {
                self.at += 1;
                self.branch()?
            } else {
                Vec::new()
            };
            return Ok(Statement::If { condition, then, otherwise });
        }
        for unsupported in
            ["for", "foreach", "while", "do", "switch", "try", "throw", "using", "goto", "lock"]
        {
            if self.is_name(unsupported) {
                return self.problem(format!("'{unsupported}' is not supported"));
            }
        }
        // `name = value;`, or a type and then that.
        if matches!(self.ahead(1), Token::Punctuation("=")) {
            let name = self.name()?;
            self.at += 1;
            let value = self.expression()?;
            self.expect(";")?;
            return Ok(Statement::Assign { name, value, span });
        }
        let ty = self.type_name()?;
        let name = self.name()?;
        self.expect("=")?;
        let value = self.expression()?;
        self.expect(";")?;
        let ty = Some(ty).filter(|ty| ty.name != "var" || ty.is_array || !ty.arguments.is_empty());
        Ok(Statement::Declare { name, ty, value, span })
    }

    pub(super) fn branch(&mut self) -> Parsed<Vec<Statement>> {
        if self.take("{") {
            let statements = self.statements()?;
            self.expect("}")?;
            return Ok(statements);
        }
        Ok(vec![self.deeper(Self::statement)?])
    }
}
