//! Elements of APIM that are not supported, with their replacements.

/// Elements of APIM that are not supported, or not in all sections, with their replacement.
const UNSUPPORTED: [(&str, &str); 54] = [
    ("rate-limit", REQUESTS),
    ("rate-limit-by-key", REQUESTS),
    ("quota", REQUESTS),
    ("quota-by-key", REQUESTS),
    (
        "limit-concurrency",
        "limit requests in flight outside the document, and replace the element by its content",
    ),
    ("retry", "retry requests outside the document, and replace the element by its content"),
    ("wait", "replace the element by its content"),
    ("ip-filter", "write a <choose> that compares context.Request.IpAddress"),
    ("check-header", "write a <choose> that compares context.Request.Headers"),
    ("cors", "handle cross-origin requests outside the document"),
    ("cross-domain", "handle cross-origin requests outside the document"),
    ("jsonp", BODIES),
    ("rewrite-uri", "set the path in the route, or in base-url of <set-backend-service>"),
    ("set-query-parameter", "change queries in the backend"),
    ("set-method", "change the method in the backend"),
    ("forward-request", "write it in <backend>, without attributes"),
    ("set-body", "write it in <return-response> or <on-error>, since forwarded bodies are unchanged"),
    ("set-status", "write it in <return-response> or <on-error>"),
    ("find-and-replace", BODIES),
    ("redirect-content-urls", BODIES),
    ("xml-to-json", BODIES),
    ("json-to-xml", BODIES),
    ("xsl-transform", BODIES),
    ("include-fragment", "write the elements of the fragment"),
    ("mock-response", "write <return-response> with <set-status> and <set-body>"),
    ("trace", "remove it, since the log reports decisions of documents"),
    ("emit-metric", TELEMETRY),
    ("log-to-eventhub", TELEMETRY),
    ("validate-jwt", TOKENS),
    ("validate-azure-ad-token", TOKENS),
    (
        "get-authorization-context",
        "write <set-header name=\"Authorization\"> with the credentials of the backend",
    ),
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
    ("proxy", "remove it, since backends are called directly"),
    ("cache-lookup", CACHE),
    ("cache-store", CACHE),
    ("cache-lookup-value", CACHE),
    ("cache-store-value", CACHE),
    ("cache-remove-value", CACHE),
    ("set-graphql-resolver", CALLS),
    ("http-data-source", CALLS),
    ("sql-data-source", CALLS),
];

const REQUESTS: &str = "limit requests outside the document";
const BODIES: &str = "change bodies in the backend";
const TELEMETRY: &str = "remove it, since the log and the metrics report decisions of documents";
const TOKENS: &str = "validate tokens in the backend";
const CONTENTS: &str = "validate content in the backend";
const CALLS: &str = "decide by the certificate, or send requests from the backend";
const CACHE: &str = "remove it, since responses are not cached";

/// Names of supported elements.
const SUPPORTED: [&str; 22] = [
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

/// Returns the name of an unsupported element as a constant, and its replacement.
pub(super) fn remedy(name: &str) -> Option<(&'static str, &'static str)> {
    UNSUPPORTED.iter().find(|(known, _)| *known == name).copied()
}

/// Returns the most similar supported name.
pub(super) fn similar(name: &str) -> Option<&'static str> {
    const LONGEST: usize = 40;
    if name.len() > LONGEST {
        return None;
    }
    let most = if name.len() < 6 { 1 } else { 2 };
    SUPPORTED
        .iter()
        .map(|known| (distance(name, known), *known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

/// Returns the edit distance, ignoring ASCII case.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, byte) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, known) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(!byte.eq_ignore_ascii_case(known));
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
