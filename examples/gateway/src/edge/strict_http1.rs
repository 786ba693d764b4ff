//! Strict validation of HTTP/1 requests against request smuggling.
//!
//! hyper accepts input that another HTTP/1 parser, before or after the gateway, could frame differently: bare
//! line feeds, repeated lengths, a length beside a transfer coding. The [`Scanner`] accepts only requests with one
//! possible framing; hyper frames these in the same way or rejects them.
//!
//! A request is valid if
//!
//! 1. its lines end in CRLF, and its head contains no other CR, LF or control character;
//! 2. its first line is a method, a target and `HTTP/1.0` or `HTTP/1.1`, separated by single spaces;
//! 3. each field is a name, a colon directly after it, and a value on the same line;
//! 4. at most one field states the length of the body: a Content-Length of plain digits, or on HTTP/1.1 a
//!    Transfer-Encoding whose last coding, and no other, is `chunked`;
//! 5. chunks have hexadecimal sizes, extensions of bounded length, and CRLF after size line and data; trailers follow
//!    rule 3 and contain neither Content-Length nor Transfer-Encoding.

mod byte_class;
mod chunks;
mod fields;
mod framing;
mod request_line;
#[cfg(test)]
mod tests;
mod validator;

pub(super) use self::validator::Http1Validator;
pub(crate) use self::validator::is_malformed_body;
use self::{
    chunks::ChunkScanner,
    fields::{FieldScanner, FieldSection},
    framing::Framing,
    request_line::RequestLineScanner,
};

/// Maximum number of empty lines before a request (RFC 9112, section 2.2). Some callers send one after a body.
const MAX_EMPTY_LINES: u8 = 4;

/// Result of scanning one element of a request.
#[derive(Debug)]
enum Scan<T> {
    /// All bytes are valid; the element continues.
    Incomplete,
    /// The element ended after this number of bytes.
    Complete(usize, T),
    /// The byte at this offset is invalid.
    Invalid(usize),
}

/// The first invalid byte of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Violation {
    /// Offset in the last scanned bytes.
    offset: usize,
    part: MessagePart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessagePart {
    Head,
    Body,
}

/// State machine over the bytes of one connection.
#[derive(Debug)]
enum Scanner {
    /// Between requests, after this number of empty lines.
    Idle(u8),
    /// After the CR of an empty line.
    IdleLf(u8),
    RequestLine(RequestLineScanner),
    Fields(FieldScanner),
    /// Remaining bytes of the body.
    Body(u64),
    Chunks(ChunkScanner),
    Trailers(FieldScanner),
}

impl Scanner {
    fn new() -> Self {
        Self::Idle(0)
    }

    /// Scans the next bytes of the stream.
    fn scan(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let rest = &bytes[at..];
            let scan = match self {
                Self::Idle(lines @ ..MAX_EMPTY_LINES) if byte == b'\r' => {
                    Scan::Complete(1, Self::IdleLf(*lines))
                }
                Self::Idle(_) => Scan::Complete(0, Self::RequestLine(RequestLineScanner::new())),
                Self::IdleLf(lines) if byte == b'\n' => Scan::Complete(1, Self::Idle(*lines + 1)),
                Self::IdleLf(_) => Scan::Invalid(0),
                Self::RequestLine(line) => line
                    .scan(rest)
                    .then(|version| Self::Fields(FieldScanner::new(FieldSection::Header(version)))),
                Self::Fields(fields) => fields.scan(rest).then(Self::after_head),
                Self::Body(remaining) => {
                    let length = (rest.len() as u64).min(*remaining);
                    *remaining -= length;
                    // The cast is lossless: `length` is at most `rest.len()`.
                    if *remaining == 0 {
                        Scan::Complete(length as usize, Self::new())
                    } else {
                        Scan::Incomplete
                    }
                }
                Self::Chunks(chunks) => {
                    chunks.scan(rest).then(|()| Self::Trailers(FieldScanner::new(FieldSection::Trailer)))
                }
                Self::Trailers(fields) => fields.scan(rest).then(|_| Self::new()),
            };
            match scan {
                Scan::Incomplete => break,
                Scan::Complete(length, next) => {
                    at += length;
                    *self = next;
                }
                Scan::Invalid(offset) => {
                    return Err(Violation { offset: at + offset, part: self.message_part() });
                }
            }
        }
        Ok(())
    }

    fn after_head(framing: Framing) -> Self {
        match framing {
            Framing::Absent | Framing::Length(0) => Self::new(),
            Framing::Length(length) => Self::Body(length),
            Framing::Chunked => Self::Chunks(ChunkScanner::new()),
        }
    }

    fn message_part(&self) -> MessagePart {
        match self {
            Self::Idle(_) | Self::IdleLf(_) | Self::RequestLine(_) | Self::Fields(_) => MessagePart::Head,
            Self::Body(_) | Self::Chunks(_) | Self::Trailers(_) => MessagePart::Body,
        }
    }
}

impl<T> Scan<T> {
    fn then(self, next: impl FnOnce(T) -> Scanner) -> Scan<Scanner> {
        match self {
            Self::Incomplete => Scan::Incomplete,
            Self::Complete(length, value) => Scan::Complete(length, next(value)),
            Self::Invalid(offset) => Scan::Invalid(offset),
        }
    }
}
