//! Field lines of a header or trailer section up to the empty line, inclusive (RFC 9112, section 5).

use http::Version;

use super::{
    byte_class::{is_text, is_token, run_length},
    framing::{ContentLength, Framing, TransferEncoding},
    scan::Scan,
};

const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";

#[derive(Debug)]
pub(super) struct FieldScanner {
    section: FieldSection,
    name: FieldName,
    framing: Framing,
    state: FieldState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldSection {
    Header(Version),
    Trailer,
}

#[derive(Debug)]
enum FieldState {
    LineStart,
    Name,
    /// In a value that does not affect framing.
    Value,
    Length(ContentLength),
    Codings(TransferEncoding),
    Lf,
    LastLf,
}

impl FieldScanner {
    pub(super) fn new(section: FieldSection) -> Self {
        Self { section, name: FieldName::default(), framing: Framing::Absent, state: FieldState::LineStart }
    }

    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan<Framing> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match &mut self.state {
                FieldState::LineStart => match byte {
                    b'\r' => self.state = FieldState::LastLf,
                    _ if is_token(byte) => {
                        self.name = FieldName::default();
                        self.state = FieldState::Name;
                        continue;
                    }
                    // Whitespace here would continue the previous line (obs-fold).
                    _ => return Scan::Invalid(at),
                },
                FieldState::Name => {
                    let rest = &bytes[at..];
                    let length = run_length(rest, is_token);
                    self.name.push(&rest[..length]);
                    at += length;
                    let Some(byte) = bytes.get(at) else {
                        return Scan::Incomplete;
                    };
                    match self.value_state().filter(|_| *byte == b':') {
                        Some(value) => self.state = value,
                        None => return Scan::Invalid(at),
                    }
                }
                FieldState::Value => {
                    at += run_length(&bytes[at..], is_text);
                    match bytes.get(at) {
                        Some(b'\r') => self.state = FieldState::Lf,
                        Some(_) => return Scan::Invalid(at),
                        None => return Scan::Incomplete,
                    }
                }
                FieldState::Length(length) => match (byte, length.value()) {
                    (b'\r', Some(length)) => {
                        self.framing = Framing::Length(length);
                        self.state = FieldState::Lf;
                    }
                    _ if length.push(byte) => {}
                    _ => return Scan::Invalid(at),
                },
                FieldState::Codings(codings) => match byte {
                    b'\r' if codings.is_chunked() => {
                        self.framing = Framing::Chunked;
                        self.state = FieldState::Lf;
                    }
                    _ if codings.push(byte) => {}
                    _ => return Scan::Invalid(at),
                },
                FieldState::Lf if byte == b'\n' => self.state = FieldState::LineStart,
                FieldState::LastLf if byte == b'\n' => return Scan::Complete(at + 1, self.framing),
                _ => return Scan::Invalid(at),
            }
            at += 1;
        }
        Scan::Incomplete
    }

    /// Returns the state for the value of the current field, or `None` if the field is not allowed here.
    fn value_state(&self) -> Option<FieldState> {
        let is_length = self.name.is(CONTENT_LENGTH);
        let is_coding = self.name.is(TRANSFER_ENCODING);
        if !is_length && !is_coding {
            return Some(FieldState::Value);
        }
        // A second length is ambiguous even if it is equal. Trailers cannot change the framing.
        if self.framing != Framing::Absent || self.section == FieldSection::Trailer {
            return None;
        }
        if is_length {
            return Some(FieldState::Length(ContentLength::default()));
        }
        // HTTP/1.0 does not define this field, so an intermediary could have framed the request without it.
        (self.section == FieldSection::Header(Version::HTTP_11))
            .then(|| FieldState::Codings(TransferEncoding::default()))
    }
}

/// Prefix of a field name, long enough to recognize the two framing fields.
#[derive(Debug, Default)]
struct FieldName {
    bytes: [u8; TRANSFER_ENCODING.len()],
    /// Length of the whole name, which can exceed the prefix.
    length: usize,
}

impl FieldName {
    fn push(&mut self, bytes: &[u8]) {
        let stored = self.length.min(self.bytes.len());
        let room = &mut self.bytes[stored..];
        let length = bytes.len().min(room.len());
        room[..length].copy_from_slice(&bytes[..length]);
        self.length = self.length.saturating_add(bytes.len());
    }

    fn is(&self, name: &[u8]) -> bool {
        self.bytes.get(..self.length).is_some_and(|bytes| bytes.eq_ignore_ascii_case(name))
    }
}
