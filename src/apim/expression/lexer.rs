//! Lexer for C# expressions.

use super::ast::Span;
use crate::apim::{error::short, reader::is_line_end};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Int(i32),
    Double(f64),
    Text(String),
    Char(char),
    /// `$"..."`: literal text, and the spans of the expressions in it.
    Interpolated(Vec<RawSegment>),
    Punctuation(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum RawSegment {
    Text(String),
    Code(Span),
}

/// A syntax error at a byte offset of the source.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) offset: usize,
    pub(super) message: String,
}

const PUNCTUATION: [&str; 33] = [
    "&&", "||", "==", "!=", "<=", ">=", "=>", "??", "?.", "+=", "-=", "++", "--", "(", ")", "[", "]", "{",
    "}", ",", ";", ".", "?", ":", "!", "<", ">", "=", "+", "-", "*", "/", "%",
];

/// Returns the tokens of `text[span]` with their spans in `text`. The last token is `End`.
pub(super) fn tokens(text: &str, span: Span) -> Result<Vec<(Token, Span)>, SyntaxError> {
    let mut lexer = Lexer { text: text.get(..span.end).unwrap_or(text), at: span.start };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let start = lexer.at;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        tokens.push((token, start..lexer.at));
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { offset: self.at, message: message.into() })
    }

    fn skip_blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if self.rest().starts_with("/*") {
                let Some(end) = self.rest().get(2..).and_then(|inside| inside.find("*/")) else {
                    return self.error("unterminated comment");
                };
                self.at += end + 4;
            } else if self.rest().starts_with("//") {
                let Some(end) = self.rest().find(is_line_end) else {
                    return self.error("unterminated // comment; write /* ... */");
                };
                self.at += end;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        let Some(first) = self.peek() else { return Ok(Token::End) };
        if first.is_alphabetic() || first == '_' {
            let length = self
                .rest()
                .find(|next: char| !next.is_alphanumeric() && next != '_')
                .unwrap_or_else(|| self.rest().len());
            let name = self.rest()[..length].to_owned();
            self.at += length;
            return Ok(Token::Name(name));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        match first {
            '"' => {
                self.at += 1;
                self.text_until_quote().map(Token::Text)
            }
            '\'' => self.character(),
            '@' if self.rest().starts_with("@\"") => {
                self.at += 2;
                self.verbatim().map(Token::Text)
            }
            '$' if self.rest().starts_with("$\"") => {
                self.at += 2;
                self.interpolated()
            }
            _ => match PUNCTUATION.iter().find(|known| self.rest().starts_with(**known)) {
                Some(known) => {
                    self.at += known.len();
                    Ok(Token::Punctuation(known))
                }
                None => self.error(format!("character {first:?} is not supported")),
            },
        }
    }

    fn number(&mut self) -> Result<Token, SyntaxError> {
        let rest = self.rest();
        let is_part = |next: char| next.is_ascii_alphanumeric() || next == '_';
        let mut length = rest.find(|next| !is_part(next)).unwrap_or(rest.len());
        // A fraction, but not a member: 1.5 and not 1.ToString().
        if rest[length..].starts_with('.')
            && rest[length + 1..].starts_with(|next: char| next.is_ascii_digit())
        {
            let fraction = &rest[length + 1..];
            length += 1 + fraction.find(|next| !is_part(next)).unwrap_or(fraction.len());
        }
        let written = &rest[..length];
        if let Ok(value) = written.parse::<i32>()
            && written.bytes().all(|digit| digit.is_ascii_digit())
        {
            self.at += length;
            return Ok(Token::Int(value));
        }
        let plain = written.strip_suffix(['d', 'D']).unwrap_or(written);
        let is_plain = plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match plain.parse::<f64>() {
            Ok(value) if is_plain && (plain.contains('.') || plain.len() < written.len()) => {
                self.at += length;
                Ok(Token::Double(value))
            }
            _ => {
                let written = short(written);
                self.error(format!("number {written:?} is not supported; write an int or a double"))
            }
        }
    }

    /// Reads an escape sequence after its backslash.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        let start = self.at;
        let Some(escape) = self.next() else { return self.error("incomplete escape sequence") };
        let digits = match escape {
            '\'' | '"' | '\\' => return Ok(escape),
            '0' => return Ok('\0'),
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'f' => return Ok('\u{c}'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\u{b}'),
            'u' => 4,
            'U' => 8,
            _ => {
                self.at = start;
                return self.error(format!("escape sequence \\{escape} is not supported"));
            }
        };
        let code = self
            .rest()
            .get(..digits)
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        match code {
            Some(character) => {
                self.at += digits;
                Ok(character)
            }
            None => self.error("invalid character in escape sequence"),
        }
    }

    fn text_until_quote(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                None => return self.error("unterminated string literal"),
                Some(other) if is_line_end(other) => {
                    return self.error("unterminated string literal");
                }
                Some(other) => text.push(other),
            }
        }
    }

    fn verbatim(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') if self.peek() == Some('"') => {
                    self.at += 1;
                    text.push('"');
                }
                Some('"') => return Ok(text),
                None => return self.error("unterminated string literal"),
                Some(other) => text.push(other),
            }
        }
    }

    fn character(&mut self) -> Result<Token, SyntaxError> {
        self.at += 1;
        let character = match self.next() {
            Some('\\') => self.escape()?,
            Some('\'') | None => return self.error("a character literal must contain one character"),
            Some(other) => other,
        };
        if self.next() != Some('\'') || character.len_utf16() > 1 {
            return self.error("a character literal must contain one character");
        }
        Ok(Token::Char(character))
    }

    fn interpolated(&mut self) -> Result<Token, SyntaxError> {
        let mut segments = Vec::new();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => {
                    segments.push(RawSegment::Text(text));
                    return Ok(Token::Interpolated(segments));
                }
                Some('\\') => text.push(self.escape()?),
                Some('{') if self.peek() == Some('{') => {
                    self.at += 1;
                    text.push('{');
                }
                Some('}') if self.peek() == Some('}') => {
                    self.at += 1;
                    text.push('}');
                }
                Some('{') => {
                    segments.push(RawSegment::Text(std::mem::take(&mut text)));
                    let start = self.at;
                    self.skip_expression()?;
                    segments.push(RawSegment::Code(start..self.at));
                    self.at += 1;
                }
                Some('}') => return self.error("unmatched '}'; write }} for the character"),
                None => return self.error("unterminated string literal"),
                Some(other) if is_line_end(other) => {
                    return self.error("unterminated string literal");
                }
                Some(other) => text.push(other),
            }
        }
    }

    /// Skips to the `}` that ends an expression in an interpolated string.
    fn skip_expression(&mut self) -> Result<(), SyntaxError> {
        let mut open = 0_usize;
        loop {
            self.skip_blanks()?;
            let before = self.at;
            match self.peek() {
                None => return self.error("unterminated string literal"),
                Some('$') if self.rest().starts_with("$\"") => {
                    return self.error("nested interpolated strings are not supported");
                }
                _ => {}
            }
            match self.token()? {
                Token::Punctuation("{" | "(" | "[") => open += 1,
                Token::Punctuation("}") if open == 0 => {
                    self.at = before;
                    return Ok(());
                }
                Token::Punctuation("}" | ")" | "]") => open = open.saturating_sub(1),
                Token::End => return self.error("unterminated string literal"),
                _ => {}
            }
        }
    }
}
