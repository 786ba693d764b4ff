//! Values of the request head.

use std::borrow::Cow;

use http::{HeaderMap, header, uri::Authority};

use super::{Evaluated, Evaluation, Fault, NO_KEY, Value};

const HTTPS_PORT: i32 = 443;

/// Maximum query parameters of a request.
const MAX_QUERY_PARAMETERS: usize = 1_000;

impl<'r> Evaluation<'_, 'r> {
    /// The headers with the changes of the document so far.
    pub(super) fn request_headers(&self) -> &HeaderMap {
        self.state.headers.as_ref().unwrap_or(self.inputs.facts.headers)
    }

    /// The values of a header, decoded as Latin-1, as in .NET.
    fn header_values(&self, name: &str) -> Vec<Cow<'r, str>> {
        let values = self.request_headers().get_all(name).iter();
        values.map(|value| value.as_bytes().iter().copied().map(char::from).collect()).collect()
    }

    /// The values of a header, joined by commas; null if it is missing.
    pub(super) fn header(&mut self, name: &str) -> Evaluated<Value<'r>> {
        let values = self.header_values(name);
        // HTTP/2 can split the Cookie field; the parts are joined by "; " (RFC 9113, section 8.2.3).
        let separator = if name == header::COOKIE { "; " } else { "," };
        if values.is_empty() { Ok(Value::Null) } else { self.text(values.join(separator)) }
    }

    pub(super) fn headers(&mut self, name: &str) -> Evaluated<Value<'r>> {
        let texts = self.header_values(name);
        if texts.is_empty() {
            return Err(NO_KEY);
        }
        self.charge_bytes(texts.iter().map(|text| text.len()).sum())?;
        Ok(Value::Texts(texts.into()))
    }

    /// The requested host and port.
    fn authority(&self) -> Option<Authority> {
        let facts = &self.inputs.facts;
        // In the URI with HTTP/2, in the Host header with HTTP/1.1.
        match facts.uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => facts.headers.get(header::HOST)?.to_str().ok()?.parse().ok(),
        }
    }

    pub(super) fn port(&self) -> i32 {
        self.authority().and_then(|authority| authority.port_u16()).map_or(HTTPS_PORT, i32::from)
    }

    /// The host in lower case, as in .NET's `Uri`, without a trailing dot.
    pub(super) fn host(&self) -> String {
        let host =
            self.authority().map(|authority| authority.host().to_ascii_lowercase()).unwrap_or_default();
        host.strip_suffix('.').map(ToOwned::to_owned).unwrap_or(host)
    }

    pub(super) fn url(&self) -> String {
        let path = self.inputs.facts.uri.path_and_query().map_or("/", |path| path.as_str());
        match (self.host(), self.port()) {
            (host, HTTPS_PORT) => format!("https://{host}{path}"),
            (host, port) => format!("https://{host}:{port}{path}"),
        }
    }

    /// Returns the decoded values of a query parameter.
    pub(super) fn query(&mut self, name: &str) -> Evaluated<Vec<String>> {
        let query = self.inputs.facts.uri.query().unwrap_or_default();
        self.charge_bytes(query.len())?;
        let mut found = Vec::new();
        for (index, pair) in query.split('&').enumerate() {
            if index == MAX_QUERY_PARAMETERS {
                return Err(Fault::TooExpensive);
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // Names of query parameters are case-insensitive, as in .NET.
            if !key.is_empty() && decode(key)?.eq_ignore_ascii_case(name) {
                found.push(decode(value)?);
            }
        }
        Ok(found)
    }
}

/// Decodes `application/x-www-form-urlencoded` text.
fn decode(text: &str) -> Evaluated<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high << 4 | low) as u8,
                    _ => return Err(Fault::Format("A query parameter has an invalid percent-encoding.")),
                }
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Fault::Format("A query parameter is not valid UTF-8."))
}
