//! Strict validation of HTTP/1 requests against request smuggling.
//!
//! hyper accepts input that another HTTP/1 parser, before or after the gateway, could frame differently: bare
//! line feeds, repeated lengths, a length beside a transfer coding. The [`Scanner`](scanner::Scanner) accepts only requests with one
//! possible framing; hyper frames these in the same way or rejects them.
//!
//! A request is valid if
//!
//! 1. its lines end in CRLF, and its head contains no other CR, LF or control character;
//! 2. its first line is a method, a target and `HTTP/1.0` or `HTTP/1.1`, separated by single spaces;
//! 3. each field is a name, a colon directly after it, and a value on the same line;
//! 4. at most one field states the length of the body: a Content-Length of plain digits, or on HTTP/1.1 a
//!    Transfer-Encoding whose last coding, and no other, is `chunked`;
//! 5. chunks have hexadecimal sizes, extensions of bounded length, and CRLF after size line and data; trailers follow
//!    rule 3 and contain neither Content-Length nor Transfer-Encoding.

mod byte_class;
mod chunks;
mod fields;
mod framing;
mod request_line;
mod scan;
mod scanner;
#[cfg(test)]
mod tests;
mod validator;

pub(super) use self::validator::Http1Validator;
pub use self::validator::is_malformed_body;
