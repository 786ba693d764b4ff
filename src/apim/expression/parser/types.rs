//! Type names, in casts, declarations and generic arguments.

use super::Parser;
use crate::apim::{
    expression::ast::TypeName,
    lexer::{Parsed, Token},
};

impl Parser<'_> {
    /// Parses a cast such as `(string)` if an operand follows.
    pub(super) fn cast(&mut self) -> Option<TypeName> {
        let before = self.at;
        if self.take("(")
            && let Ok(ty) = self.type_name()
            && self.take(")")
            && is_castable(&ty)
            && !matches!(self.peek(), Token::Punctuation(next) if !matches!(*next, "(" | "!"))
            && *self.peek() != Token::End
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
            while parser.is(".") && matches!(parser.ahead(1), Token::Name(_)) {
                parser.at += 1;
                name = parser.name()?;
            }
            let mut arguments = Vec::new();
            if parser.take("<") {
                loop {
                    arguments.push(parser.type_name()?);
                    if !parser.take(",") {
                        break;
                    }
                }
                parser.expect(">")?;
            }
            let is_array = parser.is("[") && matches!(parser.ahead(1), Token::Punctuation("]"));
            parser.at += if is_array { 2 } else { 0 };
            Ok(TypeName { name, arguments, is_array, span: start..parser.end() })
        })
    }

    /// Parses `<string>` before `(`; otherwise `<` is a comparison.
    pub(super) fn generic_arguments(&mut self) -> Option<TypeName> {
        let before = self.at;
        if self.take("<")
            && let Ok(ty) = self.type_name()
            && self.take(">")
            && self.is("(")
        {
            return Some(ty);
        }
        self.at = before;
        None
    }
}

pub(super) fn is_string(ty: &TypeName) -> bool {
    !ty.is_array && ty.arguments.is_empty() && matches!(ty.name.as_str(), "string" | "String")
}

/// True if `(Name)` before a value is a cast rather than a name in parentheses.
fn is_castable(ty: &TypeName) -> bool {
    const TYPES: [&str; 13] = [
        "string",
        "String",
        "bool",
        "Boolean",
        "int",
        "Int32",
        "double",
        "Double",
        "object",
        "DateTime",
        "TimeSpan",
        "X509Certificate2",
        "long",
    ];
    TYPES.contains(&ty.name.as_str())
}
