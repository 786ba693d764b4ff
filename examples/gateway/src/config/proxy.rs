//! `[proxy]`: what the back end is told about the caller's request.

use super::entry::choose;
use super::section::Section;

/// The keys of `[proxy]`.
pub(crate) const KEYS: &[&str] = &["forwarded"];

/// What the back end is told about the caller's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Proxy {
    /// Whether `X-Forwarded-For`, `-Proto` and `-Host` are set.
    pub(crate) x_forwarded: bool,
    /// Whether `Forwarded` (RFC 7239) is set.
    pub(crate) forwarded: bool,
}

/// A form of forwarded headers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    XForwarded,
    Forwarded,
}

impl Proxy {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_, '_>) -> Self {
        let report = section.report;
        let mut proxy = Self::default();
        for text in section.strings("forwarded") {
            let options = [("x-forwarded", Form::XForwarded), ("forwarded", Form::Forwarded)];
            match choose(report, text, &options).map(|form| form.value) {
                Some(Form::XForwarded) => proxy.x_forwarded = true,
                Some(Form::Forwarded) => proxy.forwarded = true,
                None => {}
            }
        }
        section.finish();
        proxy
    }
}
