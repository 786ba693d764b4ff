//! The URL of an upstream.

use tower_mtls::proxy::NormalizedPath;

use super::diagnostic::quoted;
use super::names;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// Without TLS.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamUrl {
    pub(crate) scheme: Scheme,
    /// `host` or `host:port` in lower case; an IPv6 address is in brackets.
    pub(crate) authority: String,
    /// The prefix of request paths; empty if the URL has no path or only `/`.
    pub(crate) path: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UrlError {
    /// The problem, with the parts of the URL that are not secret.
    pub(crate) problem: String,
    pub(crate) remedy: &'static str,
}

/// Remedy: the form of a URL.
const FORM: &str = "write http://host:port or https://host:port, with an optional path";

impl UpstreamUrl {
    /// Parses `http://host:port/path` or `https://host:port/path`; port and path are optional.
    ///
    /// # Errors
    /// [`UrlError`] if it has another form. User names, passwords, queries and fragments are never repeated.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let shown = text.split(['?', '#']).next().unwrap_or_default();
        if text.contains('@') {
            let problem = "has a user name or password, or an @".to_owned();
            return Err(UrlError {
                problem,
                remedy: "write the URL without it; secrets do not belong into URLs",
            });
        }
        let error =
            |problem: &str, remedy| UrlError { problem: format!("{} {problem}", quoted(shown)), remedy };
        let Some((scheme, rest)) = shown.split_once("://") else {
            return Err(error("has no scheme", FORM));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => {
                return Err(error("has an unknown scheme", "write http://host:port or https://host:port"));
            }
        };
        if shown.len() != text.len() {
            return Err(error("is followed by a query or fragment", "remove what follows the path"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = read_authority(authority).map_err(|problem| error(problem, FORM))?;
        let path = read_path(path).map_err(|problem| error(&problem, "write a plain path such as /api"))?;
        Ok(Self { scheme, authority, path })
    }
}

/// Splits an authority into host and port. Colons inside of brackets belong to an IPv6 address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Parses an authority into its normal form. The error is the end of a sentence.
fn read_authority(authority: &str) -> Result<String, &'static str> {
    let (host, port) = split_port(authority);
    if host.is_empty() {
        return Err("has no host");
    }
    let host = names::host(host)?;
    let Some(port) = port else {
        return Ok(host);
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port) if is_number && port > 0 => Ok(format!("{host}:{port}")),
        _ => Err("has an invalid port; ports are 1 to 65535"),
    }
}

/// Parses the path; empty for the root. The error is the end of a sentence.
fn read_path(path: &str) -> Result<String, String> {
    if path.is_empty() || path == "/" {
        return Ok(String::new());
    }
    let normal = NormalizedPath::parse(path).map_err(|error| error.to_string())?;
    if normal.has_empty_segments() {
        return Err("has an empty path segment".to_owned());
    }
    if normal.as_str() != path {
        return Err(format!("has a path whose normal form is {}", quoted(normal.as_str())));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_split_into_authority_and_path() {
        for (text, authority, path) in [
            ("https://localhost:9444/api", "localhost:9444", "/api"),
            ("HTTP://Back.Example.com", "back.example.com", ""),
            ("https://back/", "back", ""),
            ("https://[0::1]:08443/a/b/", "[::1]:8443", "/a/b/"),
            ("https://[::1]", "[::1]", ""),
            ("http://10.1.2.3:80", "10.1.2.3:80", ""),
        ] {
            let found = UpstreamUrl::parse(text).unwrap();
            assert_eq!((found.authority.as_str(), found.path.as_str()), (authority, path), "{text}");
        }
    }

    #[test]
    fn invalid_urls_are_rejected_without_their_secrets() {
        let cases = [
            ("localhost:9444", "scheme"),
            ("htps://x", "scheme"),
            ("ftp://x", "scheme"),
            ("https://", "host"),
            ("https://:443", "host"),
            ("https:///api", "host"),
            ("https://x:", "port"),
            ("https://x:0", "port"),
            ("https://x:65536", "port"),
            ("https://x:+1", "port"),
            ("https://::1", "port"),
            ("https://a b", "character"),
            ("https://a\\b", "character"),
            ("https://x/../y", "dot segment"),
            ("https://x/a%2fb", "encoded slash"),
            ("https://x/a//b", "empty"),
            ("https://x/%61", "\"/a\""),
            ("https://x/a?key=hunter2", "query"),
            ("https://x#hunter2", "fragment"),
            ("https://me:hunter2@x", "user name"),
            ("htps://me:hunter2@x", "user name"),
            ("me:hunter2@x", "user name"),
        ];
        for (text, word) in cases {
            let error = UpstreamUrl::parse(text).unwrap_err();
            assert!(error.problem.contains(word), "{text}: {error:?}");
            assert!(!error.problem.contains("hunter2"), "{text}: {error:?}");
        }
    }
}
