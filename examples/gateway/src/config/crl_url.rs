//! URLs of certificate revocation lists.

use std::fmt;

use super::diagnostic::quoted;
use super::located::Located;
use super::section::Section;
use super::upstream::{Scheme, UpstreamUrl};

/// An `https` URL. [`Display`](fmt::Display) omits the query, which can contain a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CrlUrl {
    url: UpstreamUrl,
    query: Option<String>,
}

impl CrlUrl {
    /// Takes `crl_url`, and reports each URL that is invalid.
    pub(super) fn read_all(section: &mut Section<'_, '_>) -> Vec<Located<Self>> {
        let report = section.report;
        let texts = section.strings("crl_url");
        let mut urls: Vec<Located<Self>> = Vec::new();
        for text in texts {
            match Self::parse(&text) {
                Ok(url) if urls.iter().any(|other| other.value == url) => {
                    let problem = format!("{} is listed twice", quoted(&url.to_string()));
                    report.error(text.line, &text.key, problem, "remove one of them");
                }
                Ok(url) => urls.push(text.map(|_| url)),
                Err((problem, remedy)) => report.error(text.line, &text.key, problem, remedy),
            }
        }
        urls
    }

    pub(crate) fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        let (text, query) = match text.split_once('?') {
            Some((text, query)) => (text, Some(query)),
            None => (text, None),
        };
        let url = UpstreamUrl::parse(text).map_err(|error| (error.problem, error.remedy))?;
        if url.scheme == Scheme::Http {
            return Err((format!("{} is not an https URL", quoted(text)), "write https://host/path"));
        }
        let parsed = Self { url, query: query.map(str::to_owned) };
        if parsed.query.as_ref().is_some_and(|query| query.contains('#')) || parsed.uri().is_err() {
            let problem = format!("{} is followed by an invalid query", quoted(text));
            return Err((problem, "percent-encode the query, and remove a fragment"));
        }
        Ok(parsed)
    }

    /// The URL with its query, for requests.
    ///
    /// # Errors
    /// Never for a parsed URL.
    pub(crate) fn uri(&self) -> Result<http::Uri, http::Error> {
        let path = if self.url.path.is_empty() { "/" } else { &self.url.path };
        let target = match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        http::Uri::builder()
            .scheme(self.url.scheme.as_str())
            .authority(self.url.authority.as_str())
            .path_and_query(target)
            .build()
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        &self.url.authority
    }
}

impl fmt::Display for CrlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.url.scheme.as_str(), self.url.authority, self.url.path)
    }
}

impl fmt::Debug for CrlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_keeps_its_query_for_requests_only() {
        for (text, uri, shown) in [
            (
                "https://crl.example.com/ca.crl",
                "https://crl.example.com/ca.crl",
                "https://crl.example.com/ca.crl",
            ),
            ("https://CA.example:8443", "https://ca.example:8443/", "https://ca.example:8443"),
            (
                "https://ca/CertEnroll/My%20CA.crl",
                "https://ca/CertEnroll/My%20CA.crl",
                "https://ca/CertEnroll/My%20CA.crl",
            ),
            ("https://ca/get?cmd=crl&sig=hunter2", "https://ca/get?cmd=crl&sig=hunter2", "https://ca/get"),
        ] {
            let url = CrlUrl::parse(text).unwrap();
            assert_eq!((url.uri().unwrap().to_string().as_str(), url.to_string().as_str()), (uri, shown));
            assert!(!format!("{url:?}").contains("hunter2"));
        }
    }

    #[test]
    fn invalid_urls_are_rejected_without_their_secrets() {
        for (text, word) in [
            ("http://crl.example.com/ca.crl", "https"),
            ("ldap://ca/cn=crl", "scheme"),
            ("crl.example.com/ca.crl", "scheme"),
            ("https://me:hunter2@ca/crl", "user name"),
            ("https://ca/get?sig=hunter2 x", "query"),
            ("https://ca/get?sig=1#hunter2", "query"),
            ("https://ca/a/../b", "dot segment"),
        ] {
            let (problem, _) = CrlUrl::parse(text).unwrap_err();
            assert!(problem.contains(word) && !problem.contains("hunter2"), "{text}: {problem}");
        }
    }
}
