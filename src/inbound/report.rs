//! Log events and counters of requests that are not admitted.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    net::SocketAddr,
};

use http::Request;

use crate::{
    certificate::Presented,
    policy::{Rejection, RejectionKind},
    request::captured::Captured,
};

#[cold]
pub(crate) fn refused<B>(rejection: &Rejection, request: &Request<B>) {
    #[cfg(feature = "metrics")]
    super::counter::refused(rejection.kind());
    if rejection.kind() == RejectionKind::NotCaptured {
        tracing::error!(
            reason = rejection.kind().as_str(),
            method = %Shortened(request.method()),
            path = &*shortened_path(request.uri().path()),
            "request refused with 500: no listener captured the client certificate; serve with MtlsListener and \
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

/// Reports a request in flight that is cut.
#[cold]
pub(crate) fn cut(rejection: &Rejection, presented: &Presented, remote: SocketAddr) {
    #[cfg(feature = "metrics")]
    super::counter::cut(rejection.kind());
    let certificate = match presented {
        Presented::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    tracing::info!(
        reason = rejection.kind().as_str(),
        rule = rejection.custom_rule(),
        %remote,
        subject = certificate.map(|certificate| tracing::field::display(Shortened(certificate.subject()))),
        issuer = certificate.map(|certificate| tracing::field::display(Shortened(certificate.issuer()))),
        thumbprint = certificate.map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        not_after = certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
        "request in flight cut: {rejection}"
    );
}

fn event<B>(message: &str, rejection: &Rejection, request: &Request<B>) {
    // Closures: evaluated only if the event is enabled.
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
        method = %Shortened(request.method()),
        // Without the query, which can contain secrets.
        path = &*shortened_path(request.uri().path()),
        remote = captured().and_then(|captured| captured.remote).map(tracing::field::display),
        subject = certificate().map(|certificate| tracing::field::display(Shortened(certificate.subject()))),
        issuer = certificate().map(|certificate| tracing::field::display(Shortened(certificate.issuer()))),
        thumbprint = certificate().map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        not_after = certificate().map(|certificate| tracing::field::display(certificate.validity().not_after)),
        error = error().map(|error| tracing::field::display(Shortened(error))),
        "{message}: {rejection}"
    );
}

/// Maximum length of a text in a log line that a client chooses.
const MAX_LENGTH: usize = 256;

/// Returns at most the first 256 bytes of a path.
pub(crate) fn shortened_path(path: &str) -> Cow<'_, str> {
    let end = (0..=MAX_LENGTH).rev().find(|end| path.is_char_boundary(*end));
    match end.and_then(|end| path.get(..end)) {
        Some(beginning) if path.len() > MAX_LENGTH => Cow::Owned(format!("{beginning}...")),
        _ => Cow::Borrowed(path),
    }
}

/// Prints at most the first 256 characters of a text.
pub(crate) struct Shortened<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Shortened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limited = LimitedWriter { inner: f, remaining: MAX_LENGTH };
        match write!(limited, "{}", self.0) {
            Err(_) if limited.remaining == 0 => f.write_str("..."),
            printed => printed,
        }
    }
}

/// A formatter that fails beyond a number of characters.
struct LimitedWriter<'a, 'f> {
    inner: &'a mut fmt::Formatter<'f>,
    remaining: usize,
}

impl fmt::Write for LimitedWriter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.remaining == 0 {
                return Err(fmt::Error);
            }
            self.remaining -= 1;
            self.inner.write_char(character)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(Shortened("short").to_string(), "short");
        assert_eq!(Shortened("x".repeat(MAX_LENGTH)).to_string(), "x".repeat(MAX_LENGTH));
        assert_eq!(Shortened("x".repeat(MAX_LENGTH + 1)).to_string(), "x".repeat(MAX_LENGTH) + "...");
    }

    #[test]
    fn paths_are_shortened_to_256_bytes_between_characters() {
        let (exact, long) = ("x".repeat(256), "x".repeat(257));
        assert_eq!(shortened_path(&exact), exact);
        assert_eq!(shortened_path(&long), format!("{exact}..."));
        let odd = format!("x{}", "é".repeat(128));
        assert_eq!(shortened_path(&odd), format!("x{}...", "é".repeat(127)));
    }
}
