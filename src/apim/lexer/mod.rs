//! Lexer for C# expressions, in decoded text and in raw documents.

mod literal;

use std::ops::Range;

pub(crate) use self::literal::{segments, unescaped};

/// Maximum nesting depth of brackets.
const MAX_BRACKET_DEPTH: usize = 200;

const AMBIGUOUS: &str = "ambiguous entity in a string literal; write the character, or the whole expression as XML \
                         (&quot;)";
const UNTERMINATED_STRING: &str = "unterminated string literal, or a bracket or quote is missing before it";

const PUNCTUATION: [&str; 33] = [
    "&&", "||", "==", "!=", "<=", ">=", "=>", "??", "?.", "+=", "-=", "++", "--", "(", ")", "[", "]", "{",
    "}", ",", ";", ".", "?", ":", "!", "<", ">", "=", "+", "-", "*", "/", "%",
];

/// A byte range of the source text.
pub(crate) type Span = Range<usize>;

/// A syntax error at a byte offset of the source.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) offset: usize,
    pub(crate) message: String,
}

pub(crate) type Parsed<T> = Result<T, SyntaxError>;

pub(crate) fn error<T>(offset: usize, message: impl Into<String>) -> Parsed<T> {
    Err(SyntaxError { offset, message: message.into() })
}

/// Returns the end of an expression in a raw document, whose opening bracket is at `open`.
pub(crate) fn end_of_expression(source: &str, open: usize) -> Parsed<usize> {
    let mut lexer = Lexer::new(source, open, true);
    lexer.skip_group()?;
    Ok(lexer.at)
}

/// The character of the entity `&name;` at the beginning of a text, and the length of the entity.
pub(crate) fn entity(text: &str) -> Option<(char, usize)> {
    let name = text.strip_prefix('&')?;
    // Any number of digits: leading zeros are allowed.
    let end = name.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'#')?;
    let character = match &name[..end] {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        name => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    name[end..].starts_with(';').then_some((character, end + 2))
}

/// A token. Its extent does not depend on the validity of its value, which the parser decodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token {
    Name,
    Number,
    /// `"..."`
    Text,
    /// `@"..."`
    Verbatim,
    /// `$"..."`
    Interpolated,
    /// `'...'`
    Char,
    Punctuation(&'static str),
    Unsupported(char),
    End,
}

/// Returns the tokens of `text[span]` with their spans in `text`. The last token is `End`.
pub(crate) fn tokens(text: &str, span: Span) -> Parsed<Vec<(Token, Span)>> {
    let mut lexer = Lexer::new(text.get(..span.end).unwrap_or(text), span.start, false);
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let start = lexer.at;
        let token = lexer.token()?;
        if let Token::Unsupported(character) = token {
            return error(start, format!("character {character:?} is not supported"));
        }
        tokens.push((token, start..lexer.at));
        if token == Token::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// True if the text can contain XML entities, which are read as their characters.
    is_raw: bool,
    /// True in the code of an interpolated string.
    is_interpolation: bool,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, at: usize, is_raw: bool) -> Self {
        Self { text, at, is_raw, is_interpolation: false }
    }

    fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    /// The character at an offset, and its length in the source.
    fn character(&self, at: usize) -> Option<(char, usize)> {
        let first = self.rest(at).chars().next()?;
        let plain = (first, first.len_utf8());
        Some(if self.is_raw { entity(self.rest(at)).unwrap_or(plain) } else { plain })
    }

    fn peek(&self) -> Option<char> {
        self.character(self.at).map(|(character, _)| character)
    }

    fn next(&mut self) -> Option<char> {
        let (character, length) = self.character(self.at)?;
        self.at += length;
        Some(character)
    }

    fn is_at(&self, wanted: &str) -> bool {
        let mut at = self.at;
        wanted.chars().all(|wanted| {
            let next = self.character(at);
            at += next.map_or(0, |(_, length)| length);
            next.is_some_and(|(found, _)| found == wanted)
        })
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.is_at(wanted);
        for _ in wanted.chars().filter(|_| found) {
            self.next();
        }
        found
    }

    fn skip_while(&mut self, is_skipped: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&is_skipped) {
            self.next();
        }
    }

    /// Skips white space and comments.
    fn skip_blanks(&mut self) -> Parsed<()> {
        loop {
            self.skip_while(char::is_whitespace);
            let start = self.at;
            if self.take("/*") {
                while !self.take("*/") {
                    if self.next().is_none() {
                        return error(start, "unterminated comment");
                    }
                }
            } else if self.take("//") {
                self.skip_while(|character| !is_line_end(character));
                if self.peek().is_none() {
                    return error(start, "unterminated // comment; write /* ... */");
                }
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Parsed<Token> {
        let Some(first) = self.peek() else { return Ok(Token::End) };
        let literal = match first {
            '"' => Some(Token::Text),
            '\'' => Some(Token::Char),
            '@' if self.is_at("@\"") => Some(Token::Verbatim),
            '$' if self.is_at("$\"") => Some(Token::Interpolated),
            '@' | '$' if self.is_at("@$\"") || self.is_at("$@\"") => {
                return error(self.at, "verbatim interpolated strings are not supported; write $\"...\"");
            }
            _ => None,
        };
        if let Some(token) = literal {
            self.skip_literal(token)?;
            return Ok(token);
        }
        if first.is_alphabetic() || first == '_' {
            self.skip_while(|next| next.is_alphanumeric() || next == '_');
            return Ok(Token::Name);
        }
        if first.is_ascii_digit() {
            let is_part = |next: char| next.is_ascii_alphanumeric() || next == '_';
            self.skip_while(is_part);
            // A fraction, but not a member: 1.5 and not 1.ToString().
            if let Some(('.', length)) = self.character(self.at)
                && self.character(self.at + length).is_some_and(|(next, _)| next.is_ascii_digit())
            {
                self.next();
                self.skip_while(is_part);
            }
            return Ok(Token::Number);
        }
        if let Some(known) = PUNCTUATION.iter().find(|known| known.starts_with(first) && self.take(known)) {
            return Ok(Token::Punctuation(known));
        }
        self.next();
        Ok(Token::Unsupported(first))
    }

    /// Skips a literal.
    ///
    /// In raw text, the characters of a literal must be written like its quotes: between characters, an entity is
    /// ambiguous; between entities, a quote, `<` or `&` is.
    fn skip_literal(&mut self, token: Token) -> Parsed<()> {
        let start = self.at;
        if self.is_interpolation && token == Token::Interpolated {
            return error(start, "nested interpolated strings are not supported");
        }
        if matches!(token, Token::Verbatim | Token::Interpolated) {
            self.next();
        }
        let unterminated = match token {
            Token::Char => "unterminated character literal",
            _ => UNTERMINATED_STRING,
        };
        let Some((quote, length)) = self.character(self.at) else { return error(start, unterminated) };
        let has_entities = is_entity(quote, length);
        self.next();
        let mut is_escaped = false;
        while let Some((next, length)) = self.character(self.at) {
            let (is_entity, is_quote) = (is_entity(next, length), next == quote);
            if is_entity != has_entities && (is_entity || is_quote || matches!(next, '<' | '&')) {
                return error(self.at, AMBIGUOUS);
            }
            if token != Token::Verbatim && is_line_end(next) {
                break;
            }
            if token == Token::Interpolated && next == '{' && !is_escaped && !self.is_at("{{") {
                self.is_interpolation = true;
                self.skip_group()?;
                self.is_interpolation = false;
                continue;
            }
            self.next();
            match next {
                _ if std::mem::take(&mut is_escaped) => {}
                '\\' => is_escaped = token != Token::Verbatim,
                '{' if token == Token::Interpolated && self.take("{") => {}
                '"' if token == Token::Verbatim && self.take("\"") => {}
                _ if is_quote => return Ok(()),
                _ => {}
            }
        }
        error(start, unterminated)
    }

    /// Skips code from an opening bracket to its closing bracket.
    fn skip_group(&mut self) -> Parsed<()> {
        let open = self.at;
        let mut expected = Vec::new();
        loop {
            self.skip_blanks()?;
            let start = self.at;
            let closing = match self.token()? {
                Token::Punctuation("(") => ")",
                Token::Punctuation("[") => "]",
                Token::Punctuation("{") => "}",
                Token::Punctuation(closing @ (")" | "]" | "}")) => {
                    if expected.pop() != Some(closing) {
                        return error(start, "unmatched closing bracket");
                    }
                    if expected.is_empty() {
                        return Ok(());
                    }
                    continue;
                }
                Token::End => return error(open, "unterminated expression"),
                _ => continue,
            };
            if expected.len() == MAX_BRACKET_DEPTH {
                return error(start, "brackets are nested too deeply");
            }
            expected.push(closing);
        }
    }
}

/// Returns true if a character with this length in the source is written as an entity, which is longer.
fn is_entity(character: char, length: usize) -> bool {
    length > character.len_utf8()
}

/// Returns true for C# line terminators, which end a `//` comment.
fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
