//! How far a C# expression reaches in raw text, and what stands in it.

use super::text::entity_character;

/// Brackets nested deeper than this are made to cost.
const DEEPEST: usize = 200;

/// Why an expression's end was not found, and where.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) offset: usize,
    pub(super) message: &'static str,
}

const AMBIGUOUS: &str = "an entity inside of a string literal can be read in two ways: write the character itself, \
                         or write the whole expression as XML (&quot;)";
const UNCLOSED_TEXT: &str =
    "this string literal is never closed, or a bracket or a quote is missing before it";
const UNCLOSED: &str = "this expression is never closed";

/// The end of the expression that starts at `start` with `@(` or `@{`.
///
/// `keep` is told each range of the source that is to be read as XML already is: entities outside of string
/// literals, those in comments included, and literals in `&quot;` or `&apos;`.
pub(super) fn end_of_expression(
    source: &str,
    start: usize,
    mut keep: impl FnMut(std::ops::Range<usize>),
) -> Result<usize, Unread> {
    let mut scanner = Scanner { source, at: start + 1, keep: &mut keep };
    scanner.code(None)?;
    Ok(scanner.at)
}

/// What ends a line in C#, and with it a `//` comment.
pub(crate) fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

struct Scanner<'a> {
    source: &'a str,
    at: usize,
    keep: &'a mut dyn FnMut(std::ops::Range<usize>),
}

impl Scanner<'_> {
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

    /// The entity at this place, as (character, length).
    fn entity(&self) -> Option<(char, usize)> {
        let name = self.rest().strip_prefix('&')?;
        // As many digits as there are: zeros may stand in front.
        let end = name.bytes().position(|octet| !octet.is_ascii_alphanumeric() && octet != b'#')?;
        let is_closed = name[end..].starts_with(';');
        Some((entity_character(&name[..end])?, end + 2)).filter(|_| is_closed)
    }

    /// Reads code from an opening bracket to the one that closes it.
    ///
    /// `hole` is the depth of interpolated strings around it.
    fn code(&mut self, hole: Option<usize>) -> Result<(), Unread> {
        let open = self.at;
        let mut expected: Vec<u8> = Vec::new();
        loop {
            let Some(next) = self.peek() else {
                return Err(Unread { offset: open, message: UNCLOSED });
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
                        return Err(Unread { offset: self.at, message: "this bracket closes nothing" });
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
                b'$' if self.rest().starts_with("$\"") => self.interpolated(hole.unwrap_or(0))?,
                b'$' | b'@' if self.rest().starts_with("$@\"") || self.rest().starts_with("@$\"") => {
                    let message = "verbatim interpolated strings are not supported: write $\"...\"";
                    return Err(Unread { offset: self.at, message });
                }
                b'/' if self.rest().starts_with("/*") => self.comment()?,
                b'/' if self.rest().starts_with("//") => self.line_comment(),
                _ => self.skip_char(),
            }
        }
    }

    fn open(&mut self, expected: &mut Vec<u8>, close: u8) -> Result<(), Unread> {
        if expected.len() == DEEPEST {
            return Err(Unread { offset: self.at, message: "brackets are nested too deeply" });
        }
        expected.push(close);
        self.at += 1;
        Ok(())
    }

    /// The character at this place, an entity's where one stands here, which is kept.
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

    /// `/* ... */`. An entity stands for its character here too, so that a comment ends where it ends in XML.
    fn comment(&mut self) -> Result<(), Unread> {
        let open = self.at;
        self.at += 2;
        let mut is_star = false;
        while let Some(character) = self.decoded() {
            if is_star && character == '/' {
                return Ok(());
            }
            is_star = character == '*';
        }
        Err(Unread { offset: open, message: "this comment is never closed" })
    }

    /// `// ...` to the end of the line, which may be an entity's.
    fn line_comment(&mut self) {
        while let Some(character) = self.decoded() {
            if is_line_end(character) {
                return;
            }
        }
    }

    /// `"..."` or, behind `@`, `"..."` in which a quote is doubled.
    fn literal(&mut self, is_verbatim: bool) -> Result<(), Unread> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(Unread { offset: open, message: UNCLOSED_TEXT }),
                Some(_) if !is_verbatim && self.is_at_line_end() => {
                    return Err(Unread { offset: open, message: UNCLOSED_TEXT });
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
                    return Err(Unread { offset: self.at, message: AMBIGUOUS });
                }
                Some(_) => self.skip_char(),
            }
        }
    }

    /// `&quot;...&quot;` and `&apos;...&apos;`: written as XML, and kept as they are.
    fn escaped_literal(&mut self, quote: char) -> Result<(), Unread> {
        let open = self.at;
        self.at += self.entity().map_or(1, |(_, length)| length);
        loop {
            match self.peek() {
                None => return Err(Unread { offset: open, message: UNCLOSED_TEXT }),
                Some(_) if self.is_at_line_end() => {
                    return Err(Unread { offset: open, message: UNCLOSED_TEXT });
                }
                Some(next) if next == b'<' || char::from(next) == quote => {
                    return Err(Unread { offset: self.at, message: AMBIGUOUS });
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
                        return Err(Unread { offset: self.at, message: AMBIGUOUS });
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
    fn character(&mut self) -> Result<(), Unread> {
        let open = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    return Err(Unread { offset: open, message: "this character literal is never closed" });
                }
                Some(_) if self.is_at_line_end() => {
                    return Err(Unread { offset: open, message: "this character literal is never closed" });
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
                    return Err(Unread { offset: self.at, message: AMBIGUOUS });
                }
                Some(_) => self.skip_char(),
            }
        }
    }

    /// `$"text {code} text"`.
    fn interpolated(&mut self, depth: usize) -> Result<(), Unread> {
        let open = self.at;
        if depth == 4 {
            return Err(Unread { offset: open, message: "interpolated strings are nested too deeply" });
        }
        self.at += 2;
        loop {
            match self.peek() {
                None => return Err(Unread { offset: open, message: UNCLOSED_TEXT }),
                Some(_) if self.is_at_line_end() => {
                    return Err(Unread { offset: open, message: UNCLOSED_TEXT });
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
                Some(b'{') => self.code(Some(depth + 1))?,
                Some(b'&') if self.entity().is_some() => {
                    return Err(Unread { offset: self.at, message: AMBIGUOUS });
                }
                Some(_) => self.skip_char(),
            }
        }
    }
}
