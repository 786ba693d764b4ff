use std::{borrow::Cow, fmt};

use http::{Uri, uri::PathAndQuery};

/// Request path in normal form, which every parser interprets in the same way: for routing, rules and upstream.
///
/// | in the path | result |
/// |---|---|
/// | an encoded unreserved character (RFC 3986, section 2.3): `%6F` | decoded, once: `o` |
/// | another escape, such as `%c3` or `%2525` | an escape with digits in upper case: `%C3`, `%2525` |
/// | an empty segment: `/a//b`, `/a/;x/b` | kept: [`has_empty_segments`](Self::has_empty_segments) |
/// | path parameters: `/a;v=1` | kept: [`has_parameters`](Self::has_parameters) |
/// | a dot segment: `/../`, `/%2e/`, `/..;x/` | [`PathError::DotSegment`] |
/// | a backslash, plain or encoded: `%5C` | [`PathError::Backslash`] |
/// | an encoded slash: `%2F` | [`PathError::EncodedSlash`] |
/// | an encoded NUL: `%00` | [`PathError::Nul`] |
/// | a malformed escape: `%4`, `%zz` | [`PathError::MalformedEscape`] |
/// | overlong UTF-8: `%C0%AE` | [`PathError::Overlong`] |
/// | a space, a control character, a byte outside ASCII, `?`, `#` | an error |
///
/// The rejected ones are those that one parser resolves and another does not: a rule for `/admin` would not see
/// `/orders/..%2Fadmin`, and the upstream would. Normalization is idempotent: `%25` is never decoded, so each `%` begins an
/// escape of the input.
///
/// ```
/// use http::Uri;
/// use tower_mtls::proxy::{NormalizedPath, PathError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let uri: Uri = "https://orders.example.com/%6frders/caf%c3%a9?full=1".parse()?;
/// let path = NormalizedPath::parse(uri.path())?;
/// assert_eq!(path.as_str(), "/orders/caf%C3%A9");
/// assert_eq!(path.replace_in(&uri).unwrap(), "https://orders.example.com/orders/caf%C3%A9?full=1");
///
/// assert_eq!(NormalizedPath::parse("/orders/..%2Fadmin"), Err(PathError::EncodedSlash));
/// assert_eq!(NormalizedPath::parse("/orders/%2e%2e/admin"), Err(PathError::DotSegment));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalizedPath<'a>(Cow<'a, str>);

impl<'a> NormalizedPath<'a> {
    /// Normalizes the path of a URI, without query. A path in normal form is borrowed.
    ///
    /// # Errors
    ///
    /// The [`PathError`] of the leftmost violation.
    ///
    /// ```
    /// use tower_mtls::proxy::{NormalizedPath, PathError};
    ///
    /// assert_eq!(NormalizedPath::parse("/%6Frders/%7e")?.as_str(), "/orders/~");
    /// assert_eq!(NormalizedPath::parse("/orders%00"), Err(PathError::Nul));
    /// # Ok::<(), PathError>(())
    /// ```
    pub fn parse(path: &'a str) -> Result<Self, PathError> {
        let bytes = path.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        let mut output = Output::new(path);
        let mut segment = Segment::default();
        let mut at = 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'/' => {
                    segment.close()?;
                    output.copy(at);
                    at += 1;
                }
                b'%' => {
                    let value = escape(bytes, at)?;
                    if is_overlong(bytes.get(at + 3..).unwrap_or_default(), value) {
                        return Err(PathError::Overlong);
                    }
                    segment.push(value);
                    output.copy_escape(at, value);
                    at += 3;
                }
                _ => {
                    check(byte)?;
                    segment.push(byte);
                    output.copy(at);
                    at += 1;
                }
            }
        }
        segment.close()?;
        Ok(Self(output.finish()))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if a segment other than the last is empty, with or without parameters: `/a//b`, `/a/;x/b`. Some
    /// upstreams merge such segments with their neighbours.
    ///
    /// ```
    /// use tower_mtls::proxy::NormalizedPath;
    ///
    /// assert!(NormalizedPath::parse("/a//b")?.has_empty_segments());
    /// assert!(!NormalizedPath::parse("/a/b/")?.has_empty_segments());
    /// # Ok::<(), tower_mtls::proxy::PathError>(())
    /// ```
    pub fn has_empty_segments(&self) -> bool {
        let but_last = self.0.rsplit_once('/').map_or("", |(but_last, _)| but_last);
        but_last.split('/').skip(1).any(|segment| without_parameters(segment).is_empty())
    }

    /// Returns true if a segment has parameters: a `;`, plain or encoded. Some upstreams ignore them.
    ///
    /// ```
    /// use tower_mtls::proxy::NormalizedPath;
    ///
    /// assert!(NormalizedPath::parse("/orders;v=1/42")?.has_parameters());
    /// assert!(!NormalizedPath::parse("/orders/42")?.has_parameters());
    /// # Ok::<(), tower_mtls::proxy::PathError>(())
    /// ```
    pub fn has_parameters(&self) -> bool {
        without_parameters(&self.0).len() < self.0.len()
    }

    /// The path for an upstream that ignores parameters: each segment ends at its first `;`.
    ///
    /// ```
    /// use tower_mtls::proxy::NormalizedPath;
    ///
    /// assert_eq!(NormalizedPath::parse("/orders;v=1/42%3Bx")?.without_parameters().as_str(), "/orders/42");
    /// # Ok::<(), tower_mtls::proxy::PathError>(())
    /// ```
    #[must_use]
    pub fn without_parameters(&self) -> NormalizedPath<'static> {
        let segments: Vec<_> = self.0.split('/').map(without_parameters).collect();
        NormalizedPath(segments.join("/").into())
    }

    /// The path for an upstream that merges empty segments: each run of slashes is one slash.
    ///
    /// ```
    /// use tower_mtls::proxy::NormalizedPath;
    ///
    /// assert_eq!(NormalizedPath::parse("//orders///42")?.without_empty_segments().as_str(), "/orders/42");
    /// # Ok::<(), tower_mtls::proxy::PathError>(())
    /// ```
    #[must_use]
    pub fn without_empty_segments(&self) -> NormalizedPath<'static> {
        let mut merged = String::with_capacity(self.0.len());
        for character in self.0.chars() {
            if character != '/' || !merged.ends_with('/') {
                merged.push(character);
            }
        }
        NormalizedPath(merged.into())
    }

    /// Returns the URI with this path in place of its own; the query stays. None if the result is not a valid URI, which
    /// it is for the URI's own path.
    ///
    /// ```
    /// use tower_mtls::proxy::NormalizedPath;
    ///
    /// let uri = "/%6frders?full=1".parse()?;
    /// assert_eq!(NormalizedPath::parse("/orders")?.replace_in(&uri).unwrap(), "/orders?full=1");
    /// assert!(NormalizedPath::parse("/<orders>")?.replace_in(&uri).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace_in(&self, uri: &Uri) -> Option<Uri> {
        let mut parts = uri.clone().into_parts();
        let path_and_query = match uri.query() {
            Some(query) => format!("{self}?{query}"),
            None => self.to_string(),
        };
        parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
        Uri::from_parts(parts).ok()
    }
}

impl AsRef<str> for NormalizedPath<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NormalizedPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the beginning of a segment in normal form, up to its parameters.
fn without_parameters(segment: &str) -> &str {
    // Cheaper than the search for an escape.
    if !segment.bytes().any(|byte| matches!(byte, b';' | b'%')) {
        return segment;
    }
    let end = [segment.find(';'), segment.find("%3B")].into_iter().flatten().min();
    end.and_then(|end| segment.get(..end)).unwrap_or(segment)
}

/// Reason for which a path has no normal form. Its text is the end of a sentence about the path.
///
/// ```
/// use tower_mtls::proxy::{NormalizedPath, PathError};
///
/// let error = NormalizedPath::parse("/orders/../admin").unwrap_err();
/// assert_eq!(error, PathError::DotSegment);
/// assert_eq!(error.to_string(), "has a dot segment");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// It does not start with `/`.
    NotAbsolute,
    /// A segment is `.` or `..`, plain or encoded, with or without path parameters.
    DotSegment,
    /// A backslash, plain or encoded.
    Backslash,
    /// An encoded slash.
    EncodedSlash,
    /// An encoded NUL.
    Nul,
    /// A `%` without two hexadecimal digits.
    MalformedEscape,
    /// An overlong UTF-8 sequence, which some parsers decode to an ASCII character.
    Overlong,
    /// A space or control character.
    Control,
    /// A byte outside ASCII that is not encoded.
    NotAscii,
    /// A `?` or `#`.
    Delimiter,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "does not start with /",
            Self::DotSegment => "has a dot segment",
            Self::Backslash => "has a backslash",
            Self::EncodedSlash => "has an encoded slash",
            Self::Nul => "has an encoded NUL",
            Self::MalformedEscape => "has a % without two hexadecimal digits",
            Self::Overlong => "has an overlong UTF-8 sequence",
            Self::Control => "has a space or control character",
            Self::NotAscii => "has a character outside ASCII that is not percent-encoded",
            Self::Delimiter => "has a query or fragment",
        })
    }
}

impl std::error::Error for PathError {}

/// Rejects a plain byte that is not allowed in a path.
fn check(byte: u8) -> Result<(), PathError> {
    match byte {
        b'\\' => Err(PathError::Backslash),
        b'?' | b'#' => Err(PathError::Delimiter),
        0..=b' ' | 0x7f => Err(PathError::Control),
        0x80.. => Err(PathError::NotAscii),
        _ => Ok(()),
    }
}

/// Returns the value of the escape at `at`, and rejects values that are not allowed in a path.
fn escape(bytes: &[u8], at: usize) -> Result<u8, PathError> {
    let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
    let (Some(high), Some(low)) = (digit(1), digit(2)) else {
        return Err(PathError::MalformedEscape);
    };
    match u8::try_from(high * 16 + low) {
        Ok(0) => Err(PathError::Nul),
        Ok(b'/') => Err(PathError::EncodedSlash),
        Ok(b'\\') => Err(PathError::Backslash),
        Ok(value) => Ok(value),
        Err(_) => Err(PathError::MalformedEscape),
    }
}

/// Returns true if `value` and the escape at the start of `rest` begin an overlong UTF-8 sequence.
fn is_overlong(rest: &[u8], value: u8) -> bool {
    let next = if rest.first() == Some(&b'%') { escape(rest, 0).ok() } else { None };
    match value {
        0xc0 | 0xc1 | 0xf8.. => true,
        0xe0 => next.is_some_and(|next| (0x80..0xa0).contains(&next)),
        0xf0 => next.is_some_and(|next| (0x80..0x90).contains(&next)),
        _ => false,
    }
}

/// Returns true for unreserved characters (RFC 3986, section 2.3), which are equivalent encoded and plain.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Content of a segment up to its first `;`.
#[derive(Default)]
struct Segment {
    dots: usize,
    has_others: bool,
    in_parameters: bool,
}

impl Segment {
    /// Adds the next decoded byte.
    fn push(&mut self, byte: u8) {
        match byte {
            _ if self.in_parameters => {}
            b';' => self.in_parameters = true,
            b'.' => self.dots += 1,
            _ => self.has_others = true,
        }
    }

    /// Ends the segment and starts the next one.
    fn close(&mut self) -> Result<(), PathError> {
        match std::mem::take(self) {
            Self { dots: 1 | 2, has_others: false, .. } => Err(PathError::DotSegment),
            _ => Ok(()),
        }
    }
}

/// Output, which borrows the input until the first difference.
struct Output<'a> {
    raw: &'a str,
    changed: Option<String>,
}

impl<'a> Output<'a> {
    fn new(raw: &'a str) -> Self {
        Self { raw, changed: None }
    }

    /// Copies the ASCII byte at `at`.
    fn copy(&mut self, at: usize) {
        if let (Some(changed), Some(&byte)) = (&mut self.changed, self.raw.as_bytes().get(at)) {
            changed.push(char::from(byte));
        }
    }

    /// Copies the escape at `at`, decoded if `value` is unreserved.
    fn copy_escape(&mut self, at: usize, value: u8) {
        let escape = self.raw.get(at..at + 3).unwrap_or_default();
        let decode = is_unreserved(value);
        if self.changed.is_none() && (decode || escape.bytes().any(|byte| byte.is_ascii_lowercase())) {
            self.changed = Some(self.raw.get(..at).unwrap_or_default().to_owned());
        }
        match &mut self.changed {
            Some(changed) if decode => changed.push(char::from(value)),
            Some(changed) => changed.extend(escape.chars().map(|digit| digit.to_ascii_uppercase())),
            None => {}
        }
    }

    /// Returns the output.
    fn finish(self) -> Cow<'a, str> {
        self.changed.map_or(Cow::Borrowed(self.raw), Cow::Owned)
    }
}

#[cfg(test)]
mod tests;
