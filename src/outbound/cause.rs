//! Search among the causes of an error.

use std::{error::Error as StdError, io};

use rustls::AlertDescription;

/// Returns the first error of a type among an error and its causes. `io::Error::source` skips the wrapped error, which
/// is therefore examined here.
pub(super) fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// Returns the TLS alert that the peer sent, if that is the cause.
pub(super) fn alert_in(error: &io::Error) -> Option<AlertDescription> {
    match find::<rustls::Error>(error) {
        Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
        _ => None,
    }
}
