//! Headers by which a caller could claim to be somebody else.

/// Names that proxies and servers use for certificates, for users, and for where a request came from or went.
/// Back ends behind CGI-like interfaces see every other character as `_`, so here they are all one.
pub(crate) fn is_claim(name: &str) -> bool {
    const NAMES: [&str; 23] = [
        "forwarded",
        "x-forwarded",
        "x-arr-clientcert",
        "client-cert",
        "client-cert-chain",
        "x-real-ip",
        "true-client-ip",
        "x-original-url",
        "x-original-uri",
        "x-original-host",
        "x-rewrite-url",
        "remote-user",
        "x-remote-user",
        "x-client-dn",
        "x-client-verify",
        "x-client-subject-dn",
        "x-client-s-dn",
        "x-client-i-dn",
        "x-client-ip",
        "x-cluster-client-ip",
        "cf-connecting-ip",
        "x-webauth-user",
        "x-ssl",
    ];
    const PREFIXES: [&str; 10] = [
        "x-forwarded-",
        "x-ssl-",
        "ssl-client-",
        "x-client-cert",
        "x-amzn-mtls-",
        "x-amzn-oidc-",
        "x-tls-client-",
        "x-ms-client-principal",
        "x-auth-request-",
        "x-goog-authenticated-user-",
    ];
    let name = folded(name);
    NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The name with every character that is no letter and no digit as `-`.
pub(crate) fn folded(name: &str) -> String {
    name.replace(|character: char| !character.is_ascii_alphanumeric(), "-")
}
