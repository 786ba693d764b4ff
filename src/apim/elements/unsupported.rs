//! Elements and members of APIM that are not run here, and what to do instead.

/// Elements that APIM knows and this crate does not run where they stand, with what to do instead.
const ELSEWHERE: [(&str, &str); 54] = [
    ("rate-limit", REQUESTS),
    ("rate-limit-by-key", REQUESTS),
    ("quota", REQUESTS),
    ("quota-by-key", REQUESTS),
    (
        "limit-concurrency",
        "limit requests in flight outside of the document, and write what it holds in its place",
    ),
    ("retry", "repeat requests outside of the document, and write what it holds in its place"),
    ("wait", "write what it holds in its place"),
    ("ip-filter", "write a choose that compares context.Request.IpAddress"),
    ("check-header", "write a choose that compares context.Request.Headers"),
    ("cors", "answer cross-origin requests outside of the document"),
    ("cross-domain", "answer cross-origin requests outside of the document"),
    ("jsonp", BODIES),
    ("rewrite-uri", "the route decides about the path, or the path of base-url in <set-backend-service>"),
    ("set-query-parameter", "queries are passed on as they came: do it in the backend"),
    ("set-method", "methods are passed on as they came: do it in the backend"),
    ("forward-request", "it stands in <backend>, without attributes"),
    (
        "set-body",
        "it stands in <return-response> and in <on-error>; what is passed on keeps its body, both ways",
    ),
    ("set-status", "it stands in <return-response> and in <on-error>"),
    ("find-and-replace", BODIES),
    ("redirect-content-urls", BODIES),
    ("xml-to-json", BODIES),
    ("json-to-xml", BODIES),
    ("xsl-transform", BODIES),
    ("include-fragment", "write the fragment's elements in its place"),
    ("mock-response", "write <return-response> with <set-status> and <set-body>"),
    ("trace", "leave it out: the log tells what documents decide"),
    ("emit-metric", WATCHED),
    ("log-to-eventhub", WATCHED),
    ("validate-jwt", TOKENS),
    ("validate-azure-ad-token", TOKENS),
    ("get-authorization-context", "write <set-header name=\"Authorization\"> with what the backend asks for"),
    (
        "authentication-basic",
        "write <set-header name=\"Authorization\"> with Basic and user:password in base64",
    ),
    (
        "authentication-managed-identity",
        "call the backend with <authentication-certificate>, or write <set-header name=\"Authorization\">",
    ),
    ("validate-content", CONTENTS),
    ("validate-parameters", CONTENTS),
    ("validate-headers", CONTENTS),
    ("validate-status-code", CONTENTS),
    ("validate-odata-request", CONTENTS),
    ("validate-graphql-request", CONTENTS),
    ("send-request", CALLS),
    ("send-one-way-request", CALLS),
    ("send-service-bus-message", CALLS),
    ("publish-to-dapr", CALLS),
    ("invoke-dapr-binding", CALLS),
    ("invoke-request", CALLS),
    ("proxy", "reach the backend without it: backends are called directly"),
    ("cache-lookup", CACHE),
    ("cache-store", CACHE),
    ("cache-lookup-value", CACHE),
    ("cache-store-value", CACHE),
    ("cache-remove-value", CACHE),
    ("set-graphql-resolver", CALLS),
    ("http-data-source", CALLS),
    ("sql-data-source", CALLS),
];

const REQUESTS: &str = "limit requests outside of the document";
const BODIES: &str = "bodies are passed on as they came: remove it, or do it in the backend";
const WATCHED: &str = "leave it out: the log and the metrics tell what documents decide";
const TOKENS: &str = "there is no token check here: let the backend check tokens";
const CONTENTS: &str = "requests are judged by certificate and head: let the backend check the rest";
const CALLS: &str = "documents here call nobody: decide by the certificate, or let the backend call";
const CACHE: &str = "nothing is cached here: remove it";

/// Names of elements that stand somewhere in a document.
const KNOWN: [&str; 22] = [
    "policies",
    "inbound",
    "backend",
    "outbound",
    "on-error",
    "base",
    "choose",
    "when",
    "otherwise",
    "return-response",
    "set-status",
    "set-header",
    "set-body",
    "set-variable",
    "set-backend-service",
    "value",
    "validate-client-certificate",
    "identities",
    "identity",
    "authentication-certificate",
    "forward-request",
    "fragment",
];

/// What to do in place of an element, and its name as a constant.
pub(super) fn remedy(name: &str) -> Option<(&'static str, &'static str)> {
    ELSEWHERE.iter().find(|(known, _)| *known == name).copied()
}

/// The name that was probably meant.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    const LONGEST: usize = 40;
    if name.len() > LONGEST {
        return None;
    }
    let most = if name.len() < 6 { 1 } else { 2 };
    KNOWN
        .iter()
        .map(|known| (distance(name, known), *known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

/// How many characters have to be put in, taken out or replaced; case does not count.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, octet) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, known) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(!octet.eq_ignore_ascii_case(known));
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_element_is_recognised() {
        for (written, expected) in [
            ("chose", Some("choose")),
            ("Choose", Some("choose")),
            ("return-responce", Some("return-response")),
            ("validate-client-certificat", Some("validate-client-certificate")),
            ("whem", Some("when")),
            ("else", None),
            ("no-such-policy", None),
            ("set-method", None),
        ] {
            assert_eq!(meant(written), expected, "{written}");
        }
    }
}
