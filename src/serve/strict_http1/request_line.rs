//! Request lines: `method SP target SP version CRLF` (RFC 9112, section 3).

use http::Version;

use super::{
    byte_class::{is_token, is_visible, run_length},
    scan::Scan,
};
use crate::serve::HeadRejection;

const VERSION: &[u8] = b"HTTP/1.";

/// Rest of a head from the end of the method on.
const REST: &[u8] = b" / HTTP/1.1\r\n\r\n";

/// Maximum length of scheme and authority of a target in absolute form.
const MAX_ORIGIN: usize = 512;

/// Maximum length of a target for hyper.
const MAX_TARGET: usize = 65_534;

#[derive(Debug)]
pub(super) struct RequestLineScanner {
    state: LineState,
    /// Number of further bytes of the target.
    target: usize,
}

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
    /// `max_target` is the maximum size of path and query.
    pub(super) fn new(max_target: usize) -> Self {
        let target = max_target.saturating_add(MAX_ORIGIN).min(MAX_TARGET);
        Self { state: LineState::Start, target }
    }

    /// Returns bytes that complete the head.
    pub(super) fn completion(&self) -> &'static [u8] {
        let start = match self.state {
            LineState::Start | LineState::Method => 0,
            LineState::TargetStart => 1,
            LineState::Target => 2,
            LineState::Version(matched) => 3 + matched,
            LineState::Cr(_) => 11,
            LineState::Lf(_) => 12,
        };
        REST.get(start..).unwrap_or_default()
    }

    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan<Version> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            self.state = match (self.state, byte) {
                (LineState::Start | LineState::Method, _) if is_token(byte) => LineState::Method,
                (LineState::Method, b' ') => LineState::TargetStart,
                (LineState::TargetStart | LineState::Target, _) if is_visible(byte) => {
                    let length = 1 + run_length(&bytes[at + 1..], is_visible);
                    let Some(target) = self.target.checked_sub(length) else {
                        let offset = at + self.target;
                        if self.target > 0 {
                            self.state = LineState::Target;
                        }
                        return Scan::Exceeds(offset, HeadRejection::TargetTooLong);
                    };
                    self.target = target;
                    at += length - 1;
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
