//! Decoded values of attributes and elements, with the position of each character.

use std::ops::Range;

use super::{Position, PreparedXml};
use crate::apim::lexer::entity;

/// A decoded value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// Positions in the document of the bytes of the value and of its end.
    positions: Vec<Position>,
}

impl Text {
    /// Position of a byte of the value in the document.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let position = self.positions.get(offset).or_else(|| self.positions.last());
        position.copied().unwrap_or(Position { line: 1, column: 1 })
    }

    /// Position of the value.
    pub(crate) fn start(&self) -> Position {
        self.position(0)
    }
}

impl PreparedXml<'_> {
    /// Decodes a range that the XML library has accepted as well-formed.
    pub(super) fn text(&self, range: Range<usize>, is_attribute: bool) -> Text {
        let mut text = Text { value: String::new(), positions: Vec::new() };
        let (mut at, mut in_cdata) = (range.start, false);
        while let Some(rest) = self.xml.get(at..range.end).filter(|rest| !rest.is_empty()) {
            let edge = if in_cdata { "]]>" } else { "<![CDATA[" };
            let (decoded, length) = if rest.starts_with(edge) {
                in_cdata = !in_cdata;
                (None, edge.len())
            } else {
                decode_next(rest, is_attribute, in_cdata)
            };
            text.value.extend(decoded);
            text.positions.resize(text.value.len(), self.position(at));
            at += length;
        }
        text.positions.push(self.position(at));
        text
    }
}

/// Decodes the beginning of a raw text. Returns its character, if it is not a comment, and the number of raw bytes.
fn decode_next(rest: &str, is_attribute: bool, in_cdata: bool) -> (Option<char>, usize) {
    if let Some((character, length)) = entity(rest).filter(|_| !in_cdata) {
        return (Some(character), length);
    }
    if !in_cdata && rest.starts_with("<!--") {
        return (None, rest.find("-->").map_or(rest.len(), |end| end + 3));
    }
    let first = rest.chars().next();
    let length = if rest.starts_with("\r\n") { 2 } else { first.map_or(1, char::len_utf8) };
    match first {
        Some('\n' | '\t' | '\r') if is_attribute => (Some(' '), length),
        Some('\r') => (Some('\n'), length),
        first => (first, length),
    }
}
