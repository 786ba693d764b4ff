//! Follows what a caller sends on an HTTP/1 connection and finds the first octet that must not be there.
//!
//! The HTTP library is lenient where a second reader, in front of the gateway or behind it, might see another
//! request than the gateway did: bare line feeds, lengths said twice, two ways to say a length. This follower
//! takes only what can be read in one way. What it passes, the library reads in that way too, or refuses.
//!
//! A request passes when
//!
//! 1. its lines end in CRLF, and neither CR, LF nor another control character stands elsewhere in its head;
//! 2. its first line is a method, a target and `HTTP/1.0` or `HTTP/1.1`, with one space between;
//! 3. each field has a name, a colon right behind it, and a value in one line;
//! 4. at most one field says how long the body is: a Content-Length of plain digits, or on HTTP/1.1 a
//!    Transfer-Encoding whose last coding, and only that, is `chunked`;
//! 5. chunks have hexadecimal sizes, extensions of reasonable length, and CRLF behind line and data; trailers are
//!    as fields in heads, but for the two that say a length.

mod chunks;
mod fields;
mod framing;
mod guard;
mod octets;
mod request_line;
#[cfg(test)]
mod tests;

pub(super) use self::guard::{Guard, is_malformed_body};
use self::{
    chunks::Chunks,
    fields::{Fields, Section},
    framing::Framing,
    request_line::RequestLine,
};

/// Empty lines before a request that are let pass (RFC 9112, section 2.2), for callers that end a body with one.
const EMPTY_LINES: u8 = 4;

/// What a part of a request made of the bytes it was given.
#[derive(Debug)]
enum Part<T> {
    /// All were taken, and more are to come.
    More,
    /// It ended with so many of them.
    Ends(usize, T),
    /// The octet there must not be there.
    Violated(usize),
}

/// The first octet that must not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Violation {
    /// In the bytes that were given last.
    at: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Body,
}

/// How far the stream has come.
#[derive(Debug)]
enum Follower {
    /// Before a request, behind so many empty lines.
    Before(u8),
    /// Behind the CR of an empty line.
    BeforeLf(u8),
    RequestLine(RequestLine),
    Fields(Fields),
    /// So much of the body is to come.
    Body(u64),
    Chunks(Chunks),
    Trailers(Fields),
}

impl Follower {
    fn new() -> Self {
        Self::Before(0)
    }

    /// Takes the bytes that came next.
    fn follow(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while let Some(&octet) = bytes.get(at) {
            let rest = &bytes[at..];
            let part = match self {
                Self::Before(lines @ ..EMPTY_LINES) if octet == b'\r' => {
                    Part::Ends(1, Self::BeforeLf(*lines))
                }
                Self::Before(_) => Part::Ends(0, Self::RequestLine(RequestLine::new())),
                Self::BeforeLf(lines) if octet == b'\n' => Part::Ends(1, Self::Before(*lines + 1)),
                Self::BeforeLf(_) => Part::Violated(0),
                Self::RequestLine(line) => {
                    line.follow(rest).then(|version| Self::Fields(Fields::of(Section::Head(version))))
                }
                Self::Fields(fields) => fields.follow(rest).then(Self::behind_head),
                Self::Body(left) => {
                    let taken = (rest.len() as u64).min(*left);
                    *left -= taken;
                    // No more than there are bytes here.
                    if *left == 0 { Part::Ends(taken as usize, Self::new()) } else { Part::More }
                }
                Self::Chunks(chunks) => {
                    chunks.follow(rest).then(|()| Self::Trailers(Fields::of(Section::Trailers)))
                }
                Self::Trailers(fields) => fields.follow(rest).then(|_| Self::new()),
            };
            match part {
                Part::More => break,
                Part::Ends(taken, next) => {
                    at += taken;
                    *self = next;
                }
                Part::Violated(here) => return Err(Violation { at: at + here, place: self.place() }),
            }
        }
        Ok(())
    }

    fn behind_head(framing: Framing) -> Self {
        match framing {
            Framing::Unsaid | Framing::Length(0) => Self::new(),
            Framing::Length(length) => Self::Body(length),
            Framing::Chunked => Self::Chunks(Chunks::new()),
        }
    }

    fn place(&self) -> Place {
        match self {
            Self::Before(_) | Self::BeforeLf(_) | Self::RequestLine(_) | Self::Fields(_) => Place::Head,
            Self::Body(_) | Self::Chunks(_) | Self::Trailers(_) => Place::Body,
        }
    }
}

impl<T> Part<T> {
    fn then(self, next: impl FnOnce(T) -> Follower) -> Part<Follower> {
        match self {
            Self::More => Part::More,
            Self::Ends(taken, end) => Part::Ends(taken, next(end)),
            Self::Violated(at) => Part::Violated(at),
        }
    }
}
