//! Headers by which a caller could claim to be somebody else.

/// Names that proxies and servers use for certificates, for users, and for where a request came from or went.
/// Back ends behind CGI-like interfaces see every other character as `_`, so here they are all one.
pub(crate) fn is_claim(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "forwarded",
        "x-forwarded",
        "x-real-ip",
        "true-client-ip",
        "x-original-url",
        "x-original-uri",
        "x-original-host",
        "x-rewrite-url",
        "x-cluster-client-ip",
        "cf-connecting-ip",
        "x-client-ip",
    ];
    let name = folded(name);
    is_folded_identity(&name) || NAMES.contains(&name.as_str()) || name.starts_with("x-forwarded-")
}

/// Those of them that tell who the caller is: its certificate, or its user.
#[cfg(feature = "apim")]
pub(crate) fn is_identity_claim(name: &str) -> bool {
    is_folded_identity(&folded(&name.to_ascii_lowercase()))
}

fn is_folded_identity(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "x-arr-clientcert",
        "client-cert",
        "client-cert-chain",
        "remote-user",
        "x-remote-user",
        "x-client-dn",
        "x-client-verify",
        "x-client-subject-dn",
        "x-client-s-dn",
        "x-client-i-dn",
        "x-webauth-user",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-preferred-username",
        "x-ssl",
    ];
    const PREFIXES: [&str; 12] = [
        "x-forwarded-client-cert",
        "x-forwarded-tls-client",
        "x-ssl-",
        "ssl-client",
        "x-client-cert",
        "x-clientcert",
        "x-amzn-mtls-",
        "x-amzn-oidc-",
        "x-tls-client-",
        "x-ms-client-principal",
        "x-auth-request-",
        "x-goog-authenticated-user-",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The name with every character that is no letter and no digit as `-`.
pub(crate) fn folded(name: &str) -> String {
    name.replace(|character: char| !character.is_ascii_alphanumeric(), "-")
}
