//! Values of string and character literals.

use super::{Lexer, Parsed, Span, error};

/// Decodes text with escape sequences.
pub(crate) fn unescaped(text: &str, span: Span) -> Parsed<String> {
    let mut lexer = Lexer::new(&text[..span.end], span.start, false);
    let mut unescaped = String::new();
    while let Some(next) = lexer.next() {
        unescaped.push(if next == '\\' { lexer.escape()? } else { next });
    }
    Ok(unescaped)
}

/// Splits the inside of an interpolated string into text and the spans of the code after it.
pub(crate) fn segments(text: &str, span: Span) -> Parsed<Vec<(String, Option<Span>)>> {
    let mut lexer = Lexer::new(&text[..span.end], span.start, false);
    let mut segments = Vec::new();
    let mut text = String::new();
    loop {
        let open = lexer.at;
        match lexer.next() {
            Some('\\') => text.push(lexer.escape()?),
            Some(brace @ ('{' | '}')) if lexer.peek() == Some(brace) => text.extend(lexer.next()),
            Some('{') => {
                lexer.at = open;
                lexer.skip_group()?;
                segments.push((std::mem::take(&mut text), Some(open + 1..lexer.at - 1)));
            }
            Some('}') => return error(lexer.at, "unmatched '}'; write }} for the character"),
            Some(other) => text.push(other),
            None => {
                segments.push((text, None));
                return Ok(segments);
            }
        }
    }
}

impl Lexer<'_> {
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
}
