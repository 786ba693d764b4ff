//! Request lines: `method SP target SP version CRLF` (RFC 9112, section 3).

use http::Version;

use super::{
    byte_class::{is_token, is_visible, run_length},
    scan::Scan,
};

const VERSION: &[u8] = b"HTTP/1.";

#[derive(Debug)]
pub(super) struct RequestLineScanner(LineState);

#[derive(Debug, Clone, Copy)]
enum LineState {
    Start,
    Method,
    TargetStart,
    Target,
    /// After this number of bytes of `VERSION`.
    Version(usize),
    Cr(Version),
    Lf(Version),
}

impl RequestLineScanner {
    pub(super) fn new() -> Self {
        Self(LineState::Start)
    }

    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan<Version> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            self.0 = match (self.0, byte) {
                (LineState::Start | LineState::Method, _) if is_token(byte) => LineState::Method,
                (LineState::Method, b' ') => LineState::TargetStart,
                (LineState::TargetStart | LineState::Target, _) if is_visible(byte) => {
                    at += run_length(&bytes[at + 1..], is_visible);
                    LineState::Target
                }
                (LineState::Target, b' ') => LineState::Version(0),
                (LineState::Version(matched), _) if VERSION.get(matched) == Some(&byte) => {
                    LineState::Version(matched + 1)
                }
                (LineState::Version(matched), b'0') if matched == VERSION.len() => {
                    LineState::Cr(Version::HTTP_10)
                }
                (LineState::Version(matched), b'1') if matched == VERSION.len() => {
                    LineState::Cr(Version::HTTP_11)
                }
                (LineState::Cr(version), b'\r') => LineState::Lf(version),
                (LineState::Lf(version), b'\n') => return Scan::Complete(at + 1, version),
                _ => return Scan::Invalid(at),
            };
            at += 1;
        }
        Scan::Incomplete
    }
}
