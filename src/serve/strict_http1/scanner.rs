//! State machine over the bytes of one connection.

use super::{
    chunks::ChunkScanner,
    fields::{FieldScanner, FieldSection},
    framing::Framing,
    request_line::RequestLineScanner,
    scan::Scan,
};
use crate::serve::{HeadLimits, HeadRejection};

/// Maximum number of empty lines before a request (RFC 9112, section 2.2). Some callers send one after a body.
const MAX_EMPTY_LINES: u8 = 4;

/// The first byte of a stream that is invalid or exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation {
    /// Offset in the last scanned bytes.
    pub(super) offset: usize,
    pub(super) part: MessagePart,
    /// None: the byte is invalid.
    pub(super) exceeded: Option<HeadRejection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessagePart {
    Head,
    Body,
}

/// State machine over the bytes of one connection.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    limits: HeadLimits,
    /// Number of further bytes of the current head.
    head: usize,
}

#[derive(Debug)]
enum State {
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
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self { state: State::Idle(0), limits, head: limits.max_size }
    }

    /// Returns true if no byte of the next request has arrived.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    /// Returns true if a part of a head has arrived.
    pub(super) fn is_within_head(&self) -> bool {
        matches!(self.state, State::IdleLf(_) | State::RequestLine(_) | State::Fields(_))
    }

    #[cfg(test)]
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(self.state, State::Idle(_) | State::IdleLf(_))
    }

    /// Scans the next bytes of the stream.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let rest = &bytes[at..];
            let is_head = matches!(self.state, State::RequestLine(_) | State::Fields(_));
            // The whole rest, unless it exceeds the size of a head.
            let rest = if is_head { &rest[..rest.len().min(self.head)] } else { rest };
            let scan = match &mut self.state {
                State::Idle(lines @ ..MAX_EMPTY_LINES) if byte == b'\r' => {
                    Scan::Complete(1, State::IdleLf(*lines))
                }
                State::Idle(_) => {
                    self.head = self.limits.max_size;
                    Scan::Complete(0, State::RequestLine(RequestLineScanner::new(self.limits.max_target)))
                }
                State::IdleLf(lines) if byte == b'\n' => Scan::Complete(1, State::Idle(*lines + 1)),
                State::IdleLf(_) => Scan::Invalid(0),
                State::RequestLine(line) => line.scan(rest).map(|version| {
                    State::Fields(FieldScanner::new(FieldSection::Header(version), self.limits.max_fields))
                }),
                State::Fields(fields) => fields.scan(rest).map(State::after_head),
                State::Body(remaining) => {
                    let length = (rest.len() as u64).min(*remaining);
                    *remaining -= length;
                    // The cast is lossless: `length` is at most `rest.len()`.
                    if *remaining == 0 {
                        Scan::Complete(length as usize, State::Idle(0))
                    } else {
                        Scan::Incomplete
                    }
                }
                State::Chunks(chunks) => chunks.scan(rest).map(|()| {
                    State::Trailers(FieldScanner::new(FieldSection::Trailer, self.limits.max_fields))
                }),
                State::Trailers(fields) => fields.scan(rest).map(|_| State::Idle(0)),
            };
            match scan {
                Scan::Incomplete if is_head => {
                    self.head -= rest.len();
                    at += rest.len();
                    if at < bytes.len() {
                        return Err(self.violation(at, Some(HeadRejection::TooLarge)));
                    }
                }
                Scan::Incomplete => break,
                Scan::Complete(length, next) => {
                    at += length;
                    self.head -= if is_head { length } else { 0 };
                    self.state = next;
                }
                Scan::Invalid(offset) => return Err(self.violation(at + offset, None)),
                Scan::Exceeds(offset, rejection) => {
                    return Err(self.violation(at + offset, Some(rejection)));
                }
            }
        }
        Ok(())
    }

    fn violation(&self, offset: usize, exceeded: Option<HeadRejection>) -> Violation {
        let part = match self.state {
            State::Idle(_) | State::IdleLf(_) | State::RequestLine(_) | State::Fields(_) => MessagePart::Head,
            State::Body(_) | State::Chunks(_) | State::Trailers(_) => MessagePart::Body,
        };
        Violation { offset, part, exceeded }
    }

    /// Returns bytes that complete the current head.
    pub(super) fn completion(&self) -> &'static [u8] {
        match &self.state {
            State::RequestLine(line) => line.completion(),
            State::Fields(fields) => fields.completion(),
            _ => &[],
        }
    }
}

impl State {
    fn after_head(framing: Framing) -> Self {
        match framing {
            Framing::Absent | Framing::Length(0) => Self::Idle(0),
            Framing::Length(length) => Self::Body(length),
            Framing::Chunked => Self::Chunks(ChunkScanner::new()),
        }
    }
}
