//! Statements of `@{...}`.

use super::{MOST_OPERANDS, Parsed, Parser};
use crate::apim::expression::{
    ast::Statement,
    lexer::{Problem, Token},
};

/// Statements of C# that are not run here, with what to do instead.
const LOOPS_AND_SUCH: [(&str, &str); 10] = [
    ("for", LOOP),
    ("foreach", LOOP),
    ("while", LOOP),
    ("do", LOOP),
    ("switch", ": write if and else"),
    ("try", ": an expression that fails is answered with an error, which <on-error> may change"),
    ("throw", ": answer with <return-response>"),
    ("using", ""),
    ("goto", ""),
    ("lock", ""),
];

const LOOP: &str = ": Any and All with a condition look through a list";

impl Parser<'_> {
    pub(super) fn statements(&mut self) -> Parsed<Vec<Statement>> {
        let mut statements = Vec::new();
        while !self.is("}") && *self.peek() != Token::End {
            if statements.len() == MOST_OPERANDS {
                return self.problem(format!("more than {MOST_OPERANDS} statements"));
            }
            let start = self.at;
            statements.push(match self.deeper(Self::statement) {
                Ok(statement) => statement,
                Err(problem) => {
                    self.problems.push(problem);
                    self.skip_statement(start)
                }
            });
        }
        Ok(statements)
    }

    /// Goes on behind a statement that cannot be parsed. What it may have declared is known by name.
    fn skip_statement(&mut self, start: usize) -> Statement {
        self.at = start;
        let has_body = LOOPS_AND_SUCH.iter().any(|(keyword, _)| self.is_name(keyword)) || self.is_name("if");
        let mut names = Vec::new();
        let mut open = 0_usize;
        while *self.peek() != Token::End {
            if let (Token::Name(_), Token::Name(name), Token::Punctuation("=")) =
                (self.peek(), self.ahead(1), self.ahead(2))
            {
                names.push(name.clone());
            }
            let (opens, closes) =
                (self.is("(") || self.is("[") || self.is("{"), self.is(")") || self.is("]") || self.is("}"));
            if closes && open == 0 {
                // The block's own end; any other bracket here closes nothing.
                if self.is("}") {
                    break;
                }
            } else if closes {
                open -= 1;
            }
            let ends = open == 0 && (self.is(";") || (has_body && self.is("}")));
            open += usize::from(opens);
            self.at += 1;
            if ends && !["else", "catch", "finally"].iter().any(|more| self.is_name(more)) {
                break;
            }
        }
        Statement::Broken(names)
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
        for (unsupported, remedy) in LOOPS_AND_SUCH {
            if self.is_name(unsupported) {
                return self.problem(format!("'{unsupported}' is not supported{remedy}"));
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
        if self.is("(") || self.is("[") {
            return Err(Problem {
                offset: span.start,
                message: "a call alone is no statement here: declarations, assignments, if and return are; a list is written \
                          with its entries, new[] { \"...\" }"
                    .into(),
            });
        }
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
