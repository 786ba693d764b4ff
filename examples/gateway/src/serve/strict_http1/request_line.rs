//! The first line of a request: `method SP target SP version CRLF` (RFC 9112, section 3).

use http::Version;

use super::{
    Part,
    octets::{is_token, is_visible, run},
};

const VERSION: &[u8] = b"HTTP/1.";

#[derive(Debug)]
pub(super) struct RequestLine(At);

#[derive(Debug, Clone, Copy)]
enum At {
    Start,
    Method,
    TargetStart,
    Target,
    /// So many octets of `VERSION` were there.
    Version(usize),
    Cr(Version),
    Lf(Version),
}

impl RequestLine {
    pub(super) fn new() -> Self {
        Self(At::Start)
    }

    pub(super) fn follow(&mut self, bytes: &[u8]) -> Part<Version> {
        let mut at = 0;
        while let Some(&octet) = bytes.get(at) {
            self.0 = match (self.0, octet) {
                (At::Start | At::Method, _) if is_token(octet) => At::Method,
                (At::Method, b' ') => At::TargetStart,
                (At::TargetStart | At::Target, _) if is_visible(octet) => {
                    at += run(&bytes[at + 1..], is_visible);
                    At::Target
                }
                (At::Target, b' ') => At::Version(0),
                (At::Version(matched), _) if VERSION.get(matched) == Some(&octet) => At::Version(matched + 1),
                (At::Version(matched), b'0') if matched == VERSION.len() => At::Cr(Version::HTTP_10),
                (At::Version(matched), b'1') if matched == VERSION.len() => At::Cr(Version::HTTP_11),
                (At::Cr(version), b'\r') => At::Lf(version),
                (At::Lf(version), b'\n') => return Part::Ends(at + 1, version),
                _ => return Part::Violated(at),
            };
            at += 1;
        }
        Part::More
    }
}
