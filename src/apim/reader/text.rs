//! Decoded values of attributes and elements, with the position of each character.

use super::Position;
use crate::apim::lexer::entity_character;

/// Index for positions: starts of lines, and characters before each block, since a document can be one long line.
#[derive(Debug)]
pub(crate) struct Lines {
    source: Box<str>,
    starts: Vec<usize>,
    characters: Vec<usize>,
}

/// Bytes of a block.
const BLOCK_BYTES: usize = 256;

/// Number of characters that begin in these bytes.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

impl Lines {
    pub(crate) fn new(source: &str) -> Self {
        // A byte order mark does not count as a column.
        let first = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let starts = std::iter::once(first)
            .chain(source.match_indices('\n').map(|(newline, _)| newline + 1))
            .collect();
        let mut before = 0;
        let mut characters = Vec::with_capacity(source.len() / BLOCK_BYTES + 1);
        for block in source.as_bytes().chunks(BLOCK_BYTES) {
            characters.push(before);
            before += count(block);
        }
        Self { source: source.into(), starts, characters }
    }

    /// Line and column of a byte.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        Position { line, column: self.before(offset).saturating_sub(self.before(start)) + 1 }
    }

    /// The characters before a byte.
    fn before(&self, offset: usize) -> usize {
        let offset = offset.min(self.source.len());
        let block = (offset / BLOCK_BYTES).min(self.characters.len().saturating_sub(1));
        let counted = self.characters.get(block).copied().unwrap_or_default();
        counted + count(self.source.as_bytes().get(block * BLOCK_BYTES..offset).unwrap_or_default())
    }
}

/// A decoded value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// Positions of some bytes of the value, in order. Each character between two marks is one column wide.
    marks: Vec<(usize, Position)>,
}

impl Text {
    pub(crate) fn empty(position: Position) -> Self {
        Self { value: String::new(), marks: vec![(0, position)] }
    }

    /// Decodes a raw value that the XML library has accepted as well-formed.
    pub(super) fn decode(raw: &str, is_attribute: bool, position: impl Fn(usize) -> Position) -> Self {
        let mut value = String::with_capacity(raw.len());
        let mut marks = vec![(0, position(0))];
        let mut at = 0;
        let mut in_cdata = false;
        while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
            let edge = if in_cdata { CDATA_END } else { CDATA };
            let (decoded, length) = if rest.starts_with(edge) {
                in_cdata = !in_cdata;
                (None, edge.len())
            } else {
                decode_next(rest, is_attribute, in_cdata)
            };
            value.extend(decoded);
            at += length;
            let is_one_column = decoded.is_some_and(|decoded| decoded.len_utf8() == length);
            if !is_one_column || rest.starts_with('\n') {
                marks.push((value.len(), position(at)));
            }
        }
        Self { value, marks }
    }

    /// Position of a byte of the value in the document.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let index = self.marks.partition_point(|(mark, _)| *mark <= offset).max(1) - 1;
        let Some((mark, position)) = self.marks.get(index) else {
            return Position { line: 1, column: 1 };
        };
        let between = self.value.get(*mark..offset).map_or(0, |between| between.chars().count());
        Position { line: position.line, column: position.column + between }
    }

    /// Position of the value.
    pub(crate) fn start(&self) -> Position {
        self.position(0)
    }
}

const CDATA: &str = "<![CDATA[";
const CDATA_END: &str = "]]>";

/// Decodes the beginning of a raw text. Returns its character, if it is not a comment, and the number of raw bytes.
fn decode_next(rest: &str, is_attribute: bool, in_cdata: bool) -> (Option<char>, usize) {
    if !in_cdata
        && let Some(entity) = rest.strip_prefix('&')
        && let Some(end) = entity.find(';')
        && let Some(character) = entity_character(&entity[..end])
    {
        return (Some(character), end + 2);
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
