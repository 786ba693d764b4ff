//! Chunked bodies up to the size line of the last chunk, inclusive (RFC 9112, section 7.1).

use super::{
    byte_class::{is_blank, is_text},
    scan::Scan,
};

/// Maximum number of digits of a chunk size. Larger sizes could overflow in another parser.
const MAX_DIGITS: u8 = 15;

/// Maximum number of bytes between a chunk size and the end of its line.
const MAX_EXTENSION: u16 = 1_024;

#[derive(Debug)]
pub(super) struct ChunkScanner {
    /// Remaining bytes of the current chunk.
    size: u64,
    state: ChunkState,
}

#[derive(Debug, Clone, Copy)]
enum ChunkState {
    /// After this number of digits.
    Size(u8),
    /// In whitespace after the size, which is only valid before an extension.
    Blank(u16),
    Extension(u16),
    Lf,
    Data,
    DataCr,
    DataLf,
}

impl ChunkScanner {
    pub(super) fn new() -> Self {
        Self { size: 0, state: ChunkState::Size(0) }
    }

    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan<()> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            self.state = match (self.state, byte) {
                (ChunkState::Size(digits @ 0..MAX_DIGITS), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                    self.size = self.size * 16 + u64::from(hex_value(byte));
                    ChunkState::Size(digits + 1)
                }
                (ChunkState::Size(1..), b'\r') => ChunkState::Lf,
                (ChunkState::Size(1..), b';') => ChunkState::Extension(1),
                (ChunkState::Size(1..), b' ' | b'\t') => ChunkState::Blank(1),
                (ChunkState::Blank(length), b';') => ChunkState::Extension(length),
                (ChunkState::Blank(length @ ..MAX_EXTENSION), _) if is_blank(byte) => {
                    ChunkState::Blank(length + 1)
                }
                (ChunkState::Extension(_), b'\r') => ChunkState::Lf,
                (ChunkState::Extension(length @ ..MAX_EXTENSION), _) if is_text(byte) => {
                    ChunkState::Extension(length + 1)
                }
                (ChunkState::Lf, b'\n') if self.size == 0 => return Scan::Complete(at + 1, ()),
                (ChunkState::Lf, b'\n') => ChunkState::Data,
                (ChunkState::Data, _) => {
                    let length = ((bytes.len() - at) as u64).min(self.size);
                    self.size -= length;
                    // The cast is lossless: `length` is at most `bytes.len()`.
                    at += length as usize;
                    if self.size == 0 {
                        self.state = ChunkState::DataCr;
                    }
                    continue;
                }
                (ChunkState::DataCr, b'\r') => ChunkState::DataLf,
                (ChunkState::DataLf, b'\n') => ChunkState::Size(0),
                _ => return Scan::Invalid(at),
            };
            at += 1;
        }
        Scan::Incomplete
    }
}

/// Returns the value of a hexadecimal digit.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
