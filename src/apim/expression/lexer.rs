//! C# text as tokens.

use super::ast::Span;
use crate::apim::{error::short, reader::is_line_end};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Int(i32),
    Double(f64),
    Text(String),
    Char(char),
    /// `$"..."`: texts, and the spans of the code between them.
    Interpolated(Vec<Piece>),
    Punctuation(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Code(Span),
}

/// A problem at a byte of the text.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) offset: usize,
    pub(super) message: String,
}

const PUNCTUATION: [&str; 33] = [
    "&&", "||", "==", "!=", "<=", ">=", "=>", "??", "?.", "+=", "-=", "++", "--", "(", ")", "[", "]", "{",
    "}", ",", ";", ".", "?", ":", "!", "<", ">", "=", "+", "-", "*", "/", "%",
];

/// All tokens of `text[span]`, each with its span in `text`; the last is `End`.
pub(super) fn tokens(text: &str, span: Span) -> Result<Vec<(Token, Span)>, Problem> {
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

    fn problem<T>(&self, message: impl Into<String>) -> Result<T, Problem> {
        Err(Problem { offset: self.at, message: message.into() })
    }

    fn skip_blanks(&mut self) -> Result<(), Problem> {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if self.rest().starts_with("/*") {
                let Some(end) = self.rest().get(2..).and_then(|inside| inside.find("*/")) else {
                    return self.problem("this comment is never closed");
                };
                self.at += end + 4;
            } else if self.rest().starts_with("//") {
                let Some(end) = self.rest().find(is_line_end) else {
                    return self.problem("a line comment would swallow the rest: write /* ... */");
                };
                self.at += end;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, Problem> {
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
                None => self.problem(format!("{first:?} is not supported")),
            },
        }
    }

    fn number(&mut self) -> Result<Token, Problem> {
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
        let is_plain = plain.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        match plain.parse::<f64>() {
            Ok(value) if is_plain && (plain.contains('.') || plain.len() < written.len()) => {
                self.at += length;
                Ok(Token::Double(value))
            }
            _ => {
                let written = short(written);
                self.problem(format!("{written:?} is no number that is supported here (int and double are)"))
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, Problem> {
        let start = self.at;
        let Some(escape) = self.next() else { return self.problem("an escape ends too early") };
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
                return self.problem(format!("\\{escape} is no escape that is supported here"));
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
            None => self.problem("this escape stands for no character"),
        }
    }

    fn text_until_quote(&mut self) -> Result<String, Problem> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                None => return self.problem("this string literal is never closed"),
                Some(other) if is_line_end(other) => {
                    return self.problem("this string literal is never closed");
                }
                Some(other) => text.push(other),
            }
        }
    }

    fn verbatim(&mut self) -> Result<String, Problem> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') if self.peek() == Some('"') => {
                    self.at += 1;
                    text.push('"');
                }
                Some('"') => return Ok(text),
                None => return self.problem("this string literal is never closed"),
                Some(other) => text.push(other),
            }
        }
    }

    fn character(&mut self) -> Result<Token, Problem> {
        self.at += 1;
        let character = match self.next() {
            Some('\\') => self.escape()?,
            Some('\'') | None => return self.problem("a character literal holds one character"),
            Some(other) => other,
        };
        if self.next() != Some('\'') || character.len_utf16() > 1 {
            return self.problem("a character literal holds one character");
        }
        Ok(Token::Char(character))
    }

    fn interpolated(&mut self) -> Result<Token, Problem> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => {
                    pieces.push(Piece::Text(text));
                    return Ok(Token::Interpolated(pieces));
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
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    let start = self.at;
                    self.skip_hole()?;
                    pieces.push(Piece::Code(start..self.at));
                    self.at += 1;
                }
                Some('}') => return self.problem("'}' closes nothing: write }} for the character"),
                None => return self.problem("this string literal is never closed"),
                Some(other) if is_line_end(other) => {
                    return self.problem("this string literal is never closed");
                }
                Some(other) => text.push(other),
            }
        }
    }

    /// Goes to the `}` that ends the code in an interpolated string.
    fn skip_hole(&mut self) -> Result<(), Problem> {
        let mut open = 0_usize;
        loop {
            self.skip_blanks()?;
            let before = self.at;
            match self.peek() {
                None => return self.problem("this string literal is never closed"),
                // Another one inside of it is read when its code is.
                Some('$') if self.rest().starts_with("$\"") => {
                    return self.problem("an interpolated string inside of another is not supported");
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
                Token::End => return self.problem("this string literal is never closed"),
                _ => {}
            }
        }
    }
}
