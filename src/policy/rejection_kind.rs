use std::fmt;

/// Kinds of [`Rejection`](super::Rejection).
///
/// ```
/// use tower_mtls::policy::RejectionKind;
///
/// assert_eq!(RejectionKind::NotTrusted.as_str(), "not_trusted");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// No acceptor captured the client's certificate: a mistake in the setup of the service. Response: 500.
    NotCaptured,
    /// The client presented no certificate.
    Missing,
    /// The client's certificate cannot be read.
    Unreadable,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is no longer valid.
    Expired,
    /// No chain leads from the certificate to a trusted root.
    NotTrusted,
    /// A chain exists, but not for TLS client authentication.
    WrongPurpose,
    /// A chain exists, but a key usage in it is wrong: a CA's without keyCertSign, or the client's with neither
    /// digitalSignature nor keyAgreement.
    KeyUsage,
    /// A chain exists, but its root has expired or is not valid yet.
    ExpiredCa,
    /// A certificate of the chain is revoked.
    Revoked,
    /// The revocation status of a certificate of the chain is unknown.
    RevocationUnknown,
    /// The issuer is not on the list.
    Issuer,
    /// The subject is not on the list.
    Subject,
    /// The subject does not have exactly one common name, or it is not on the list.
    CommonName,
    /// No organizational unit of the subject is on the list.
    OrganizationalUnit,
    /// The subject does not have exactly one organization, or it is not on the list.
    Organization,
    /// The subject does not have exactly one country, or it is not on the list.
    Country,
    /// No subject alternative name of type dNSName is on the list.
    DnsName,
    /// The thumbprint is not on the list.
    Thumbprint,
    /// The serial number is not on the list.
    Serial,
    /// No subject alternative name of type URI is on the list.
    Uri,
    /// The certificate has no SPIFFE ID, or it is not on the list.
    SpiffeId,
    /// No subject alternative name of type rfc822Name is on the list.
    Email,
    /// No subject alternative name of type iPAddress is on the list.
    IpAddress,
    /// No extended key usage is on the list.
    ExtendedKeyUsage,
    /// The key is of another kind or too short.
    Key,
    /// The public key is not on the list.
    SpkiPin,
    /// No certificate on the list issued the client's.
    IssuerThumbprint,
    /// The certificate is not a member of the set.
    NotMember,
    /// A rule inside `not` held.
    Excluded,
    /// A custom rule failed.
    Custom,
    /// The asynchronous decision rejected the client: see [`not_authorized`](super::Rejection::not_authorized).
    NotAuthorized,
    /// The asynchronous decision could not be made: see [`unavailable`](super::Rejection::unavailable). Response: 503.
    AuthorizationUnavailable,
    /// The asynchronous decision took too long, or too many were in progress. Response: 503.
    AuthorizationTimeout,
    /// The asynchronous decision panicked. Response: 500.
    AuthorizationPanicked,
    /// A policy document rejected the request.
    Document,
    /// A rule could not be decided.
    Undecidable,
}

impl RejectionKind {
    /// A stable name for logs and metrics, such as `not_trusted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotCaptured => "not_captured",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::NotTrusted => "not_trusted",
            Self::WrongPurpose => "wrong_purpose",
            Self::KeyUsage => "key_usage",
            Self::ExpiredCa => "expired_ca",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation_unknown",
            Self::Issuer => "issuer",
            Self::Subject => "subject",
            Self::CommonName => "common_name",
            Self::OrganizationalUnit => "organizational_unit",
            Self::Organization => "organization",
            Self::Country => "country",
            Self::DnsName => "dns_name",
            Self::Thumbprint => "thumbprint",
            Self::Serial => "serial",
            Self::Uri => "uri",
            Self::SpiffeId => "spiffe_id",
            Self::Email => "email",
            Self::IpAddress => "ip_address",
            Self::ExtendedKeyUsage => "extended_key_usage",
            Self::Key => "key",
            Self::SpkiPin => "spki_pin",
            Self::IssuerThumbprint => "issuer_thumbprint",
            Self::NotMember => "not_member",
            Self::Excluded => "excluded",
            Self::Custom => "custom",
            Self::NotAuthorized => "not_authorized",
            Self::AuthorizationUnavailable => "authorization_unavailable",
            Self::AuthorizationTimeout => "authorization_timeout",
            Self::AuthorizationPanicked => "authorization_panicked",
            Self::Document => "policy_document",
            Self::Undecidable => "undecidable",
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::NotCaptured => "no listener captured the client certificate",
            Self::Missing => "no client certificate was presented",
            Self::Unreadable => "the client certificate cannot be read",
            Self::NotYetValid => "the client certificate is not valid yet",
            Self::Expired => "the client certificate has expired",
            Self::NotTrusted => "no chain leads from the client certificate to a trusted root",
            Self::WrongPurpose => "the client certificate is not meant for client authentication",
            Self::KeyUsage => "a key usage in the client certificate's chain does not allow its use there",
            Self::ExpiredCa => {
                "the CA at the end of the client certificate's chain has expired or is not valid yet"
            }
            Self::Revoked => "a certificate of the client certificate's chain is revoked",
            Self::RevocationUnknown => "the revocation status of the client certificate's chain is unknown",
            Self::Issuer => "the client certificate's issuer is not allowed",
            Self::Subject => "the client certificate's subject is not allowed",
            Self::CommonName => "the client certificate's common name is not allowed",
            Self::OrganizationalUnit => "none of the client certificate's organizational units is allowed",
            Self::Organization => "the client certificate's organization is not allowed",
            Self::Country => "the client certificate's country is not allowed",
            Self::DnsName => "none of the client certificate's DNS names is allowed",
            Self::Thumbprint => "the client certificate's thumbprint is not allowed",
            Self::Serial => "the client certificate's serial number is not allowed",
            Self::Uri => "none of the client certificate's URIs is allowed",
            Self::SpiffeId => "the client certificate's SPIFFE ID is not allowed",
            Self::Email => "none of the client certificate's e-mail addresses is allowed",
            Self::IpAddress => "none of the client certificate's IP addresses is allowed",
            Self::ExtendedKeyUsage => "none of the client certificate's purposes is allowed",
            Self::Key => "the client certificate's key is of another kind or too short",
            Self::SpkiPin => "the client certificate's public key is not allowed",
            Self::IssuerThumbprint => "the client certificate was issued by none of the allowed certificates",
            Self::NotMember => "the client certificate is not in the set",
            Self::Excluded => "the client certificate is excluded",
            Self::Custom => "a custom rule refused the client certificate",
            Self::NotAuthorized => "the caller is not authorized",
            Self::AuthorizationUnavailable => "the authorization of the caller could not be decided",
            Self::AuthorizationTimeout => "the authorization of the caller took too long",
            Self::AuthorizationPanicked => "the authorization of the caller panicked",
            Self::Document => "a policy document refused the request",
            Self::Undecidable => "a rule about the client certificate could not be decided",
        }
    }
}

impl fmt::Display for RejectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
