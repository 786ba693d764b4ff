//! The lines of fields behind a request line, or behind the last chunk, up to and with the empty one
//! (RFC 9112, section 5).

use http::Version;

use super::{
    Part,
    framing::{Codings, Framing, Length},
    octets::{is_text, is_token, run},
};

const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";

#[derive(Debug)]
pub(super) struct Fields {
    section: Section,
    name: Name,
    framing: Framing,
    at: At,
}

/// Where the fields stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Head(Version),
    Trailers,
}

#[derive(Debug)]
enum At {
    LineStart,
    Name,
    /// In a value that says nothing of the body's length.
    Value,
    Length(Length),
    Codings(Codings),
    Lf,
    LastLf,
}

impl Fields {
    pub(super) fn of(section: Section) -> Self {
        Self { section, name: Name::default(), framing: Framing::Unsaid, at: At::LineStart }
    }

    pub(super) fn follow(&mut self, bytes: &[u8]) -> Part<Framing> {
        let mut at = 0;
        while let Some(&octet) = bytes.get(at) {
            match &mut self.at {
                At::LineStart => match octet {
                    b'\r' => self.at = At::LastLf,
                    _ if is_token(octet) => {
                        self.name = Name::default();
                        self.at = At::Name;
                        continue;
                    }
                    // A blank here would continue the line before (obs-fold).
                    _ => return Part::Violated(at),
                },
                At::Name => {
                    let rest = &bytes[at..];
                    let length = run(rest, is_token);
                    self.name.push(&rest[..length]);
                    at += length;
                    let Some(octet) = bytes.get(at) else {
                        return Part::More;
                    };
                    match self.value().filter(|_| *octet == b':') {
                        Some(value) => self.at = value,
                        None => return Part::Violated(at),
                    }
                }
                At::Value => {
                    at += run(&bytes[at..], is_text);
                    match bytes.get(at) {
                        Some(b'\r') => self.at = At::Lf,
                        Some(_) => return Part::Violated(at),
                        None => return Part::More,
                    }
                }
                At::Length(length) => match (octet, length.value()) {
                    (b'\r', Some(length)) => {
                        self.framing = Framing::Length(length);
                        self.at = At::Lf;
                    }
                    _ if length.take(octet) => {}
                    _ => return Part::Violated(at),
                },
                At::Codings(codings) => match octet {
                    b'\r' if codings.is_chunked() => {
                        self.framing = Framing::Chunked;
                        self.at = At::Lf;
                    }
                    _ if codings.take(octet) => {}
                    _ => return Part::Violated(at),
                },
                At::Lf if octet == b'\n' => self.at = At::LineStart,
                At::LastLf if octet == b'\n' => return Part::Ends(at + 1, self.framing),
                _ => return Part::Violated(at),
            }
            at += 1;
        }
        Part::More
    }

    /// What the value behind this name is read as; `None`: it must not be there.
    fn value(&self) -> Option<At> {
        let is_length = self.name.is(CONTENT_LENGTH);
        let is_coding = self.name.is(TRANSFER_ENCODING);
        if !is_length && !is_coding {
            return Some(At::Value);
        }
        // Said twice, even if the same twice, it was not said by one who knew. Trailers come too late to say it.
        if self.framing != Framing::Unsaid || self.section == Section::Trailers {
            return None;
        }
        if is_length {
            return Some(At::Length(Length::default()));
        }
        // Who speaks HTTP/1.0 does not know this field, so it went past somebody who did not read it either.
        (self.section == Section::Head(Version::HTTP_11)).then(|| At::Codings(Codings::default()))
    }
}

/// A field's name, as far as is needed to tell the two that matter from all others.
#[derive(Debug, Default)]
struct Name {
    octets: [u8; TRANSFER_ENCODING.len()],
    /// Of the whole name, which may be longer than what was kept.
    length: usize,
}

impl Name {
    fn push(&mut self, octets: &[u8]) {
        let kept = self.length.min(self.octets.len());
        let room = &mut self.octets[kept..];
        let fitting = octets.len().min(room.len());
        room[..fitting].copy_from_slice(&octets[..fitting]);
        self.length = self.length.saturating_add(octets.len());
    }

    fn is(&self, name: &[u8]) -> bool {
        self.octets.get(..self.length).is_some_and(|octets| octets.eq_ignore_ascii_case(name))
    }
}
