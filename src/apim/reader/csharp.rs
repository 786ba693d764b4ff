//! Finds the end of a C# expression in raw text, and the ranges in it that are already XML.

use super::text::entity_character;

/// Maximum nesting depth of brackets.
const MAX_BRACKET_DEPTH: usize = 200;

/// Error of an expression without an end, with its byte offset.
#[derive(Debug)]
pub(super) struct ScanError {
    pub(super) offset: usize,
    pub(super) message: &'static str,
}

const AMBIGUOUS: &str = "ambiguous entity in a string literal; write the character, or the whole expression as XML \
                         (&quot;)";
const UNTERMINATED_STRING: &str = "unterminated string literal, or a bracket or quote is missing before it";
const UNTERMINATED_EXPRESSION: &str = "unterminated expression";

/// Returns the end of the expression that starts at `start` with `@(` or `@{`.
///
/// Calls `keep` with each range of the source that is already XML: entities outside of string literals, including those
/// in comments, and literals in `&quot;` or `&apos;`.
pub(super) fn end_of_expression(
    source: &str,
    start: usize,
    mut keep: impl FnMut(std::ops::Range<usize>),
) -> Result<usize, ScanError> {
    let mut scanner = ExpressionScanner { source, at: start + 1, keep: &mut keep };
    scanner.code(0)?;
    Ok(scanner.at)
}

/// True for C# line terminators, which end a `//` comment.
pub(crate) fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

struct ExpressionScanner<'a> {
    source: &'a str,
    at: usize,
    keep: &'a mut dyn FnMut(std::ops::Range<usize>),
}

impl ExpressionScanner<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn is_at_line_end(&self) -> bool {
        self.rest().starts_with(is_line_end)
    }

    fn skip_char(&mut self) {
        self.at += self.rest().chars().next().map_or(1, char::len_utf8);
        self.at = self.at.min(self.source.len());
    }

    /// The entity at this position: its character and length.
    fn entity(&self) -> Option<(char, usize)> {
        let name = self.rest().strip_prefix('&')?;
        // Any number of digits: leading zeros are allowed.
        let end = name.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'#')?;
        let is_closed = name[end..].starts_with(';');
        Some((entity_character(&name[..end])?, end + 2)).filter(|_| is_closed)
    }

    /// Skips code from an opening bracket to its closing bracket.
    ///
    /// `depth` is the nesting depth of interpolated strings.
    fn code(&mut self, depth: usize) -> Result<(), ScanError> {
        let open = self.at;
        let mut expected: Vec<u8> = Vec::new();
        loop {
            let Some(next) = self.peek() else {
                return Err(ScanError { offset: open, message: UNTERMINATED_EXPRESSION });
            };
            if let Some((character, length)) = self.entity() {
                (self.keep)(self.at..self.at + length);
                match character {
                    '"' | '\'' => self.escaped_literal(character)?,
                    _ => self.at += length,
                }
                continue;
            }
            match next {
                b'(' => self.open(&mut expected, b')')?,
                b'[' => self.open(&mut expected, b']')?,
                b'{' => self.open(&mut expected, b'}')?,
                b')' | b']' | b'}' => {
                    if expected.pop() != Some(next) {
                        return Err(ScanError { offset: self.at, message: "unmatched closing bracket" });
                    }
                    self.at += 1;
                    if expected.is_empty() {
                        return Ok(());
                    }
                }
                b'"' => self.literal(false)?,
                b'\'' => self.character()?,
                b'@' if self.rest().starts_with("@\"") => {
                    self.at += 1;
                    self.literal(true)?;
                }
                b'$' if self.rest().starts_with("$\"") => self.interpolated(depth)?,
                b'$' | b'@' if self.rest().starts_with("$@\"") || self.rest().starts_with("@$\"") => {
                    let message = "verbatim interpolated strings are not supported; write $\"...\"";
                    return Err(ScanError { offset: self.at, message });
                }
                b'/' if self.rest().starts_with("/*") => self.comment()?,
                b'/' if self.rest().starts_with("//") => self.line_comment(),
                _ => self.skip_char(),
            }
        }
    }

    fn open(&mut self, expected: &mut Vec<u8>, close: u8) -> Result<(), ScanError> {
        if expected.len() == MAX_BRACKET_DEPTH {
            return Err(ScanError { offset: self.at, message: "brackets are nested too deeply" });
        }
        expected.push(close);
        self.at += 1;
        Ok(())
    }

    /// The next character. An entity is decoded and kept.
    fn decoded(&mut self) -> Option<char> {
        if let Some((character, length)) = self.entity() {
            (self.keep)(self.at..self.at + length);
            self.at += length;
            return Some(character);
        }
        let character = self.rest().chars().next()?;
        self.skip_char();
        Some(character)
    }

    /// `/* ... */`. Entities are decoded, so that a comment ends where it ends in XML.
    fn comment(&mut self) -> Result<(), ScanError> {
        let open = self.at;
        self.at += 2;
        let mut is_star = false;
        while let Some(character) = self.decoded() {
            if is_star && character == '/' {
                return Ok(());
            }
            is_star = character == '*';
        }
        Err(ScanError { offset: open, message: "unterminated comment" })
    }

    /// `// ...` to the end of the line, which can be an entity.
    fn line_comment(&mut self) {
        while let Some(character) = self.decoded() {
            if is_line_end(character) {
                return;
            }
        }
    }

    /// `"..."`, or after `@` a verbatim literal, in which quotes are doubled.
    fn literal(&mut self, is_verbatim: bool) -> Result<(), ScanError> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(ScanError { offset: open, message: UNTERMINATED_STRING }),
                Some(_) if !is_verbatim && self.is_at_line_end() => {
                    return Err(ScanError { offset: open, message: UNTERMINATED_STRING });
                }
                Some(b'"') if is_verbatim && self.rest().starts_with("\"\"") => self.at += 2,
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') if !is_verbatim => {
                    self.at += 1;
                    self.skip_char();
                }
                Some(b'&') if self.entity().is_some() => {
                    return Err(ScanError { offset: self.at, message: AMBIGUOUS });
                }
                Some(_) => self.skip_char(),
            }
        }
    }

    /// `&quot;...&quot;` and `&apos;...&apos;`: already XML, and kept.
    fn escaped_literal(&mut self, quote: char) -> Result<(), ScanError> {
        let open = self.at;
        self.at += self.entity().map_or(1, |(_, length)| length);
        loop {
            match self.peek() {
                None => return Err(ScanError { offset: open, message: UNTERMINATED_STRING }),
                Some(_) if self.is_at_line_end() => {
                    return Err(ScanError { offset: open, message: UNTERMINATED_STRING });
                }
                Some(next) if next == b'<' || char::from(next) == quote => {
                    return Err(ScanError { offset: self.at, message: AMBIGUOUS });
                }
                Some(b'\\') => {
                    (self.keep)(self.at..self.at + 1);
                    self.at += 1;
                    match self.entity() {
                        Some((_, length)) => {
                            (self.keep)(self.at..self.at + length);
                            self.at += length;
                        }
                        None => self.skip_char(),
                    }
                }
                Some(b'&') => {
                    let Some((character, length)) = self.entity() else {
                        return Err(ScanError { offset: self.at, message: AMBIGUOUS });
                    };
                    (self.keep)(self.at..self.at + length);
                    self.at += length;
                    if character == quote {
                        return Ok(());
                    }
                }
                Some(_) => self.skip_char(),
            }
        }
    }

    /// `'x'`, `'\''`, `'\u0041'`.
    fn character(&mut self) -> Result<(), ScanError> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    return Err(ScanError { offset: open, message: "unterminated character literal" });
                }
                Some(_) if self.is_at_line_end() => {
                    return Err(ScanError { offset: open, message: "unterminated character literal" });
                }
                Some(b'\'') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.skip_char();
                }
                Some(b'&') if self.entity().is_some() => {
                    return Err(ScanError { offset: self.at, message: AMBIGUOUS });
                }
                Some(_) => self.skip_char(),
            }
        }
    }

    /// `$"text {code} text"`.
    fn interpolated(&mut self, depth: usize) -> Result<(), ScanError> {
        let open = self.at;
        if depth == 4 {
            return Err(ScanError { offset: open, message: "interpolated strings are nested too deeply" });
        }
        self.at += 2;
        loop {
            match self.peek() {
                None => return Err(ScanError { offset: open, message: UNTERMINATED_STRING }),
                Some(_) if self.is_at_line_end() => {
                    return Err(ScanError { offset: open, message: UNTERMINATED_STRING });
                }
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.skip_char();
                }
                Some(b'{') if self.rest().starts_with("{{") => self.at += 2,
                Some(b'{') => self.code(depth + 1)?,
                Some(b'&') if self.entity().is_some() => {
                    return Err(ScanError { offset: self.at, message: AMBIGUOUS });
                }
                Some(_) => self.skip_char(),
            }
        }
    }
}
