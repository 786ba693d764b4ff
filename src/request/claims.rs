//! Names of headers that claim an identity or an origin.
//!
//! Servers with CGI-like interfaces map every character except letters and digits to `_`, so all of them compare equal. A
//! name that ends in `*` is a prefix.

/// Names that proxies and servers use for the client's certificate or user.
const IDENTITY: &[&str] = &[
    "cf-access-*",
    "cf-client-cert-*",
    "client-cert",
    "client-cert-chain",
    "l5d-*",
    "remote-email",
    "remote-groups",
    "remote-name",
    "remote-user",
    "ssl-client*",
    "tailscale-*",
    "x-amzn-mtls-*",
    "x-amzn-oidc-*",
    "x-arr-clientcert*",
    "x-auth-request-*",
    "x-authenticated-*",
    "x-authentik-*",
    "x-cert-*",
    "x-certificate*",
    "x-client-cert*",
    "x-client-dn",
    "x-client-i-dn",
    "x-client-s-dn",
    "x-client-subject-dn",
    "x-client-verify",
    "x-clientcert*",
    "x-consumer-*",
    "x-credential-*",
    "x-forwarded-client-cert*",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-tls-client*",
    "x-forwarded-user",
    "x-goog-authenticated-*",
    "x-goog-iap-*",
    "x-ms-client-principal*",
    "x-ms-token-*",
    "x-nginx-ssl-*",
    "x-peer-cert*",
    "x-pomerium-*",
    "x-remote-*",
    "x-ssl",
    "x-ssl-*",
    "x-subject-dn",
    "x-tls-client-*",
    "x-webauth-*",
    "x-wso2-client-certificate",
];

/// Names for the origin or target of a request, and for another method.
const ORIGIN: &[&str] = &[
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "true-client-ip",
    "x-azure-*",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-*",
    "x-forwarded",
    "x-forwarded-*",
    "x-host",
    "x-http-method-override",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Returns true if a header with this name claims an identity or an origin.
pub(crate) fn is_claim(name: &str) -> bool {
    is_identity_claim(name) || is_among(ORIGIN, &ORIGIN_RANGES, name)
}

/// Returns true if a header with this name claims an identity: a certificate or a user.
pub(crate) fn is_identity_claim(name: &str) -> bool {
    is_among(IDENTITY, &IDENTITY_RANGES, name)
}

/// Begin and end of the patterns with each first letter.
type Ranges = [(usize, usize); 26];

const IDENTITY_RANGES: Ranges = ranges(IDENTITY);

const ORIGIN_RANGES: Ranges = ranges(ORIGIN);

/// Returns the ranges of sorted patterns.
const fn ranges(patterns: &[&str]) -> Ranges {
    let mut ranges = [(0, 0); 26];
    let mut at = 0;
    while at < patterns.len() {
        let range = &mut ranges[(patterns[at].as_bytes()[0] - b'a') as usize];
        if range.1 == 0 {
            range.0 = at;
        }
        assert!(range.1 == 0 || range.1 == at, "patterns are sorted");
        range.1 = at + 1;
        at += 1;
    }
    ranges
}

/// Returns true if a pattern matches the name. Most names differ from all patterns in their first byte.
fn is_among(patterns: &[&str], ranges: &Ranges, name: &str) -> bool {
    let letter = name.bytes().next().and_then(|first| fold(first).checked_sub(b'a'));
    let range = letter.and_then(|letter| ranges.get(usize::from(letter)));
    let patterns = range.and_then(|(begin, end)| patterns.get(*begin..*end));
    patterns.is_some_and(|patterns| patterns.iter().any(|pattern| matches(pattern, name)))
}

/// Returns true if a folded name, or with a `*` at its end a folded prefix, matches the name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, is_prefix) = match pattern.strip_suffix('*') {
        Some(prefix) => (prefix.as_bytes(), true),
        None => (pattern.as_bytes(), false),
    };
    let name = name.as_bytes();
    let fits = if is_prefix { name.len() >= pattern.len() } else { name.len() == pattern.len() };
    fits && pattern.iter().zip(name).all(|(folded, byte)| *folded == fold(*byte))
}

/// The name in lower case, with `-` for every character except letters and digits.
#[cfg(feature = "proxy")]
pub(crate) fn folded(name: &str) -> String {
    name.bytes().map(|byte| char::from(fold(byte))).collect()
}

fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_identity_and_origin_match_in_every_spelling() {
        for (name, is_identity) in [
            ("X-ARR-ClientCert", true),
            ("X-ARR-ClientCert-Chain", true),
            ("X-ARR-ClientCertificate", true),
            ("X-Remote-User", true),
            ("X-Remote-Group", true),
            ("X-Remote-Extra-Scopes", true),
            ("Remote-User", true),
            ("Remote-Groups", true),
            ("Remote-Name", true),
            ("Remote-Email", true),
            ("X-WebAuth-Groups", true),
            ("X-Consumer-Username", true),
            ("X-Authenticated-UserId", true),
            ("X-Credential-Identifier", true),
            ("l5d-client-id", true),
            ("X-WSO2-CLIENT-CERTIFICATE", true),
            ("Cf-Access-Jwt-Assertion", true),
            ("Cf-Client-Cert-Sha256", true),
            ("X-Goog-Iap-Jwt-Assertion", true),
            ("X-Goog-Authenticated-User-Email", true),
            ("X-MS-Token-AAD-Id-Token", true),
            ("X-MS-Client-Principal", true),
            ("X-MS-Client-Principal-Name", true),
            ("X-Authentik-Username", true),
            ("X-Pomerium-Claim-Email", true),
            ("Tailscale-User-Login", true),
            ("X-Certificate", true),
            ("X-Certificate-Subject", true),
            ("X-Certificates", true),
            ("X-Peer-Cert", true),
            ("X-Peer-Certificate", true),
            ("X-Cert-Subject", true),
            ("X-Subject-DN", true),
            ("X-Nginx-Ssl-Client-S-Dn", true),
            ("X-Client-Certificate", true),
            ("Ssl-Client-Verify", true),
            ("X-Envoy-External-Address", false),
            ("X-Envoy-Original-Path", false),
            ("X-Original-Forwarded-For", false),
            ("X-Azure-ClientIP", false),
            ("X-Azure-FDID", false),
            ("Fastly-Client-IP", false),
            ("X-Host", false),
            ("X-Http-Method-Override", false),
            ("X-Forwarded-For", false),
            ("X-Forwarded-Anything", false),
            ("Forwarded", false),
        ] {
            for spelling in
                [name.to_owned(), name.to_ascii_lowercase(), name.replace('-', "_"), name.replace('-', ".")]
            {
                assert!(is_claim(&spelling), "{spelling}");
                assert_eq!(is_identity_claim(&spelling), is_identity, "{spelling}");
            }
        }
    }

    #[test]
    fn headers_that_requests_need_are_not_claims() {
        for name in [
            "accept",
            "authorization",
            "cache-control",
            "cf-ray",
            "connection",
            "content-length",
            "content-type",
            "cookie",
            "grpc-accept-encoding",
            "grpc-encoding",
            "grpc-timeout",
            "host",
            "if-match",
            "origin",
            "range",
            "referer",
            "remote-host",
            "sec-websocket-extensions",
            "sec-websocket-key",
            "sec-websocket-protocol",
            "sec-websocket-version",
            "te",
            "traceparent",
            "tracestate",
            "transfer-encoding",
            "upgrade",
            "user-agent",
            "x-api-key",
            "x-certainty",
            "x-client",
            "x-correlation-id",
            "x-goog-api-client",
            "x-grpc-web",
            "x-hostname",
            "x-ms-version",
            "x-request-id",
            "x-requested-with",
            "x-subject",
            "x-tenant",
        ] {
            assert!(!is_claim(name), "{name}");
        }
    }

    #[test]
    fn patterns_are_folded() {
        for pattern in IDENTITY.iter().chain(ORIGIN) {
            let name = pattern.trim_end_matches('*');
            assert!(name.bytes().all(|byte| fold(byte) == byte), "{pattern}");
        }
    }
}
