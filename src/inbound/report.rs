//! What operators are told of callers who are not admitted: an event and a counter each.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use http::Request;

use super::capture::Captured;
use crate::{
    certificate::Presented,
    policy::{Rejection, RejectionKind},
};

#[cold]
pub(crate) fn refused<B>(rejection: &Rejection, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    super::counter::refused(rejection.kind());
    if rejection.kind() == RejectionKind::NotCaptured {
        tracing::error!(
            reason = rejection.kind().as_str(),
            method = %Cut(request.method()),
            path = &*cut_path(request.uri().path()),
            "request refused with 500: no listener captured the caller's certificate; serve with MtlsListener and \
             capture(..)"
        );
        return;
    }
    event("request refused", rejection, request);
}

#[cold]
pub(super) fn would_refuse<B>(rejection: &Rejection, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    super::counter::would_refuse(rejection.kind());
    event("request would be refused", rejection, request);
}

fn event<B>(what: &str, rejection: &Rejection, request: &Request<B>) {
    // Looked for only if someone listens.
    let captured = || request.extensions().get::<Captured>();
    let certificate = || match captured()?.presented {
        Presented::Certificate(ref certificate) => Some(certificate),
        _ => None,
    };
    let error = || match captured()?.presented {
        Presented::Unreadable(ref error) => Some(error),
        _ => None,
    };
    tracing::info!(
        reason = rejection.kind().as_str(),
        rule = rejection.custom_rule(),
        method = %Cut(request.method()),
        // Without the query, which may hold secrets.
        path = &*cut_path(request.uri().path()),
        remote = captured().and_then(|captured| captured.remote).map(tracing::field::display),
        subject = certificate().map(|certificate| tracing::field::display(Cut(certificate.subject()))),
        issuer = certificate().map(|certificate| tracing::field::display(Cut(certificate.issuer()))),
        thumbprint = certificate().map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        not_after = certificate().map(|certificate| tracing::field::display(certificate.validity().not_after)),
        error = error().map(|error| tracing::field::display(Cut(error))),
        "{what}: {rejection}"
    );
}

/// The longest text of the caller's choice in a log line. Whoever makes a certificate fills it at will.
const LONGEST: usize = 256;

/// The beginning of a path, of at most 256 bytes.
pub(crate) fn cut_path(path: &str) -> Cow<'_, str> {
    let end = (0..=LONGEST).rev().find(|end| path.is_char_boundary(*end));
    match end.and_then(|end| path.get(..end)) {
        Some(beginning) if path.len() > LONGEST => Cow::Owned(format!("{beginning}...")),
        _ => Cow::Borrowed(path),
    }
}

/// Prints the beginning of a text.
pub(crate) struct Cut<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Cut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limited = Limited { inner: f, room: LONGEST };
        match write!(limited, "{}", self.0) {
            Err(_) if limited.room == 0 => f.write_str("..."),
            printed => printed,
        }
    }
}

/// Stops its writer with an error when the room is used up.
struct Limited<'a, 'f> {
    inner: &'a mut fmt::Formatter<'f>,
    room: usize,
}

impl fmt::Write for Limited<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.room == 0 {
                return Err(fmt::Error);
            }
            self.room -= 1;
            self.inner.write_char(character)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(Cut("short").to_string(), "short");
        assert_eq!(Cut("x".repeat(LONGEST)).to_string(), "x".repeat(LONGEST));
        assert_eq!(Cut("x".repeat(LONGEST + 1)).to_string(), "x".repeat(LONGEST) + "...");
    }

    #[test]
    fn paths_are_cut_at_256_bytes_between_characters() {
        let (exact, long) = ("x".repeat(256), "x".repeat(257));
        assert_eq!(cut_path(&exact), exact);
        assert_eq!(cut_path(&long), format!("{exact}..."));
        let odd = format!("x{}", "é".repeat(128));
        assert_eq!(cut_path(&odd), format!("x{}...", "é".repeat(127)));
    }
}
