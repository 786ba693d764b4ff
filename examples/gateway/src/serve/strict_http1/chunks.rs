//! A body in chunks, up to and with the line of the last one, which is empty (RFC 9112, section 7.1).

use super::{
    Part,
    octets::{is_blank, is_text},
};

/// So many that no size overflows, whoever reads it.
const MOST_DIGITS: u8 = 15;

/// The most octets between a chunk's size and the end of its line.
const LONGEST_EXTENSION: u16 = 1_024;

#[derive(Debug)]
pub(super) struct Chunks {
    /// Of this chunk, or what is left of it.
    size: u64,
    at: At,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// Behind so many digits.
    Size(u8),
    /// In blanks behind the size, which are only there in front of an extension.
    Blank(u16),
    Extension(u16),
    Lf,
    Data,
    DataCr,
    DataLf,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self { size: 0, at: At::Size(0) }
    }

    pub(super) fn follow(&mut self, bytes: &[u8]) -> Part<()> {
        let mut at = 0;
        while let Some(&octet) = bytes.get(at) {
            self.at = match (self.at, octet) {
                (At::Size(digits @ 0..MOST_DIGITS), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                    self.size = self.size * 16 + u64::from(hex_value(octet));
                    At::Size(digits + 1)
                }
                (At::Size(1..), b'\r') => At::Lf,
                (At::Size(1..), b';') => At::Extension(1),
                (At::Size(1..), b' ' | b'\t') => At::Blank(1),
                (At::Blank(length), b';') => At::Extension(length),
                (At::Blank(length @ ..LONGEST_EXTENSION), _) if is_blank(octet) => At::Blank(length + 1),
                (At::Extension(_), b'\r') => At::Lf,
                (At::Extension(length @ ..LONGEST_EXTENSION), _) if is_text(octet) => {
                    At::Extension(length + 1)
                }
                (At::Lf, b'\n') if self.size == 0 => return Part::Ends(at + 1, ()),
                (At::Lf, b'\n') => At::Data,
                (At::Data, _) => {
                    let here = (bytes.len() - at) as u64;
                    let taken = here.min(self.size);
                    self.size -= taken;
                    // No more than there are bytes here.
                    at += taken as usize;
                    if self.size == 0 {
                        self.at = At::DataCr;
                    }
                    continue;
                }
                (At::DataCr, b'\r') => At::DataLf,
                (At::DataLf, b'\n') => At::Size(0),
                _ => return Part::Violated(at),
            };
            at += 1;
        }
        Part::More
    }
}

/// Of a hexadecimal digit.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
