//! Tokens of an expression, and the values of literals.

use super::{Lexeme, Lexer, Parsed, Span, error};
use crate::apim::error::short;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
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
pub(crate) enum RawSegment {
    Text(String),
    Code(Span),
}

/// Returns the tokens of `text[span]` with their spans in `text`. The last token is `End`.
pub(crate) fn tokens(text: &str, span: Span) -> Parsed<Vec<(Token, Span)>> {
    let mut lexer = Lexer::new(text.get(..span.end).unwrap_or(text), span.start, false);
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let start = lexer.at;
        let lexeme = lexer.lexeme()?;
        tokens.push((lexer.token(lexeme, start)?, start..lexer.at));
        if lexeme == Lexeme::End {
            return Ok(tokens);
        }
    }
}

impl<'a> Lexer<'a> {
    /// Decodes the lexeme from `start` to the current offset.
    fn token(&self, lexeme: Lexeme, start: usize) -> Parsed<Token> {
        let written = &self.text[start..self.at];
        let inside = |prefix: usize| self.inside(start + prefix);
        Ok(match lexeme {
            Lexeme::Name => Token::Name(written.to_owned()),
            Lexeme::Number => return number(written, start),
            Lexeme::Text => Token::Text(inside(1).unescaped()?),
            Lexeme::Verbatim => Token::Text(inside(2).rest(start + 2).replace("\"\"", "\"")),
            Lexeme::Interpolated => Token::Interpolated(inside(2).segments()?),
            Lexeme::Char => {
                let text = inside(1).unescaped()?;
                let first = text.chars().next().filter(|first| first.len_utf16() == 1);
                match first.filter(|first| first.len_utf8() == text.len()) {
                    Some(only) => Token::Char(only),
                    None => return error(self.at - 1, "a character literal must contain one character"),
                }
            }
            Lexeme::Punctuation(known) => Token::Punctuation(known),
            Lexeme::Unsupported(character) => {
                return error(start, format!("character {character:?} is not supported"));
            }
            Lexeme::End => Token::End,
        })
    }

    /// The inside of the literal before the current offset.
    fn inside(&self, start: usize) -> Self {
        Self::new(&self.text[..self.at - 1], start, false)
    }

    /// Decodes text with escape sequences.
    fn unescaped(mut self) -> Parsed<String> {
        let mut text = String::new();
        while let Some(next) = self.next() {
            text.push(if next == '\\' { self.escape()? } else { next });
        }
        Ok(text)
    }

    /// Reads an escape sequence after its backslash.
    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        let Some(escape) = self.next() else { return error(start, "incomplete escape sequence") };
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
            _ => return error(start, format!("escape sequence \\{escape} is not supported")),
        };
        let hex = self.rest(self.at).get(..digits);
        let code = hex
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        match code {
            Some(character) => {
                self.at += digits;
                Ok(character)
            }
            None => error(self.at, "invalid character in escape sequence"),
        }
    }

    /// Splits the inside of an interpolated string into text and code.
    fn segments(mut self) -> Parsed<Vec<RawSegment>> {
        let mut segments = Vec::new();
        let mut text = String::new();
        loop {
            let open = self.at;
            match self.next() {
                Some('\\') => text.push(self.escape()?),
                Some(brace @ ('{' | '}')) if self.peek() == Some(brace) => text.extend(self.next()),
                Some('{') => {
                    segments.push(RawSegment::Text(std::mem::take(&mut text)));
                    self.at = open;
                    self.skip_group()?;
                    segments.push(RawSegment::Code(open + 1..self.at - 1));
                }
                Some('}') => return error(self.at, "unmatched '}'; write }} for the character"),
                Some(other) => text.push(other),
                None => {
                    segments.push(RawSegment::Text(text));
                    return Ok(segments);
                }
            }
        }
    }
}

fn number(written: &str, offset: usize) -> Parsed<Token> {
    if let Ok(value) = written.parse::<i32>() {
        return Ok(Token::Int(value));
    }
    let plain = written.strip_suffix(['d', 'D']).unwrap_or(written);
    let is_plain = plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match plain.parse::<f64>() {
        Ok(value) if is_plain && (plain.contains('.') || plain.len() < written.len()) => {
            Ok(Token::Double(value))
        }
        _ => {
            let written = short(written);
            error(offset, format!("number {written:?} is not supported; write an int or a double"))
        }
    }
}
