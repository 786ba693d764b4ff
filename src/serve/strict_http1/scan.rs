//! Result of scanning one element of a request.

/// Result of scanning one element of a request.
#[derive(Debug)]
pub(super) enum Scan<T> {
    /// All bytes are valid; the element continues.
    Incomplete,
    /// The element ended after this number of bytes.
    Complete(usize, T),
    /// The byte at this offset is invalid.
    Invalid(usize),
}

impl<T> Scan<T> {
    /// Converts the value of a complete element.
    pub(super) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Scan<U> {
        match self {
            Self::Incomplete => Scan::Incomplete,
            Self::Complete(length, value) => Scan::Complete(length, convert(value)),
            Self::Invalid(offset) => Scan::Invalid(offset),
        }
    }
}
