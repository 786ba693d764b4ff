//! Elements of APIM that are not supported, with their replacements.

/// Elements of APIM that are not supported, or not in all sections, with their replacement.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("rate-limit|rate-limit-by-key|quota|quota-by-key", "limit requests outside the document"),
    (
        "limit-concurrency",
        "limit requests in flight outside the document, and replace the element by its content",
    ),
    ("retry", "retry requests outside the document, and replace the element by its content"),
    ("wait", "replace the element by its content"),
    ("ip-filter", "write a <choose> that compares context.Request.IpAddress"),
    ("check-header", "write a <choose> that compares context.Request.Headers"),
    ("cors|cross-domain", "handle cross-origin requests outside the document"),
    ("rewrite-uri", "set the path in the route, or in base-url of <set-backend-service>"),
    ("set-query-parameter", "change queries in the backend"),
    ("set-method", "change the method in the backend"),
    ("forward-request", "write it in <backend>, without attributes"),
    ("set-body", "write it in <return-response> or <on-error>, since forwarded bodies are unchanged"),
    ("set-status", "write it in <return-response> or <on-error>"),
    (
        "jsonp|find-and-replace|redirect-content-urls|xml-to-json|json-to-xml|xsl-transform",
        "change bodies in the backend",
    ),
    ("include-fragment", "write the elements of the fragment"),
    ("mock-response", "write <return-response> with <set-status> and <set-body>"),
    ("trace", "remove it, since the log reports decisions of documents"),
    ("emit-metric|log-to-eventhub", "remove it, since the log and the metrics report decisions of documents"),
    ("validate-jwt|validate-azure-ad-token", "validate tokens in the backend"),
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
    (
        "validate-content|validate-parameters|validate-headers|validate-status-code|validate-odata-request|\
         validate-graphql-request",
        "validate content in the backend",
    ),
    (
        "send-request|send-one-way-request|send-service-bus-message|publish-to-dapr|invoke-dapr-binding|invoke-request|\
         set-graphql-resolver|http-data-source|sql-data-source",
        "decide by the certificate, or send requests from the backend",
    ),
    ("proxy", "remove it, since backends are called directly"),
    (
        "cache-lookup|cache-store|cache-lookup-value|cache-store-value|cache-remove-value",
        "remove it, since responses are not cached",
    ),
];

/// Names of supported elements.
const SUPPORTED: &str = "policies|inbound|backend|outbound|on-error|fragment|base|choose|when|otherwise|return-response|\
                         set-status|set-header|set-body|value|set-variable|set-backend-service|forward-request|\
                         validate-client-certificate|identities|identity|authentication-certificate";

/// Returns a name as a constant if the list contains it.
fn find(names: &'static str, name: &str) -> Option<&'static str> {
    names.split('|').find(|known| *known == name)
}

/// Returns the name of a supported element as a constant.
pub(super) fn known(name: &str) -> Option<&'static str> {
    find(SUPPORTED, name)
}

/// Returns the name of an unsupported element as a constant, and its replacement.
pub(super) fn remedy(name: &str) -> Option<(&'static str, &'static str)> {
    UNSUPPORTED.iter().find_map(|(names, remedy)| Some((find(names, name)?, *remedy)))
}

/// Returns the most similar supported name, ignoring ASCII case.
pub(super) fn similar(name: &str) -> Option<&'static str> {
    const LONGEST: usize = 40;
    let most = if name.len() < 6 { 1 } else { 2 };
    let name = name.to_ascii_lowercase();
    let supported = SUPPORTED.split('|').filter(|_| name.len() <= LONGEST);
    let similar = supported.map(|known| (strsim::damerau_levenshtein(&name, known), known));
    similar.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}
