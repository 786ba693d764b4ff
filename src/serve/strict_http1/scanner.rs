//! State machine over the bytes of one connection.

use super::{
    chunks::ChunkScanner,
    fields::{FieldScanner, FieldSection},
    framing::Framing,
    request_line::RequestLineScanner,
    scan::Scan,
};

/// Maximum number of empty lines before a request (RFC 9112, section 2.2). Some callers send one after a body.
const MAX_EMPTY_LINES: u8 = 4;

/// The first invalid byte of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation {
    /// Offset in the last scanned bytes.
    pub(super) offset: usize,
    pub(super) part: MessagePart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessagePart {
    Head,
    Body,
}

/// State machine over the bytes of one connection.
#[derive(Debug)]
pub(super) enum Scanner {
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
    pub(super) fn new() -> Self {
        Self::Idle(0)
    }

    /// Scans the next bytes of the stream.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<(), Violation> {
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
                    .map(|version| Self::Fields(FieldScanner::new(FieldSection::Header(version)))),
                Self::Fields(fields) => fields.scan(rest).map(Self::after_head),
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
                    chunks.scan(rest).map(|()| Self::Trailers(FieldScanner::new(FieldSection::Trailer)))
                }
                Self::Trailers(fields) => fields.scan(rest).map(|_| Self::new()),
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
