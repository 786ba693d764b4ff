//! Constructors of rules.

use std::{net::IpAddr, sync::Arc};

use super::{Kind, Rule};
#[cfg(feature = "trust")]
use crate::policy::{IssuerPins, TrustAnchors};
use crate::{
    certificate::{ExtendedKeyUsage, KeyKind, SerialNumber, SpiffeId, SpiffeTrustDomain, Thumbprint},
    policy::{
        CertificateSet, DnsNamePattern, NamePattern, RejectionKind, matcher::Matcher,
        thumbprint_set::ThumbprintSet,
    },
};

impl Rule {
    /// The current time is within the certificate's validity period, both ends included.
    ///
    /// Every policy has this rule unless
    /// [`allow_outside_validity`](crate::policy::PolicyBuilder::allow_outside_validity) is called.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::validity();
    /// assert_eq!(format!("{rule:?}"), "Rule(now lies within the validity period)");
    /// ```
    pub fn validity() -> Self {
        Self(Kind::Validity)
    }

    /// A chain for TLS client authentication leads from the certificate to one of these roots. See [`TrustAnchors`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let ca = params.self_signed(&rcgen::KeyPair::generate()?)?;
    /// use tower_mtls::{Policy, Rule, TrustAnchors};
    ///
    /// let rule = Rule::trust(TrustAnchors::from_pem(ca.pem())?);
    /// assert!(Policy::builder().require(rule).build()?.is_anchored());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "trust")]
    pub fn trust(anchors: TrustAnchors) -> Self {
        Self(Kind::Trust(anchors))
    }

    /// The certificate's issuer is one of these names. Proves nothing without a chain.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::issuer(["CN=Partners CA,O=Contoso".parse()?]);
    /// assert_eq!(format!("{rule:?}"), "Rule(the issuer is CN=Partners CA,O=Contoso)");
    /// # Ok::<(), tower_mtls::certificate::NameParseError>(())
    /// ```
    pub fn issuer(names: impl IntoIterator<Item = NamePattern>) -> Self {
        Self::matchers(RejectionKind::Issuer, names.into_iter().map(Matcher::Issuer))
    }

    /// The certificate's subject is one of these names.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::subject(["CN=orders,O=Contoso".parse()?]);
    /// assert_eq!(format!("{rule:?}"), "Rule(the subject is CN=orders,O=Contoso)");
    /// # Ok::<(), tower_mtls::certificate::NameParseError>(())
    /// ```
    pub fn subject(names: impl IntoIterator<Item = NamePattern>) -> Self {
        Self::matchers(RejectionKind::Subject, names.into_iter().map(Matcher::Subject))
    }

    /// The subject has exactly one common name, and it is one of these, ignoring case and repeated white space.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.distinguished_name.push(rcgen::DnType::CommonName, "orders");
    /// # let made = params.self_signed(&rcgen::KeyPair::generate()?)?;
    /// use tower_mtls::{Certificate, Policy, Rule, certificate::{Clock, Presented, SystemClock}};
    ///
    /// let orders = Presented::from(Certificate::from_der(made.der())?);
    /// for (name, admitted) in [("Orders", true), ("billing", false)] {
    ///     let policy = Policy::builder().require(Rule::common_name([name])).allow_unanchored().build()?;
    ///     assert_eq!(policy.judge(&orders, SystemClock.now()).is_ok(), admitted);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn common_name<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(|name| Matcher::CommonName(name.into()));
        Self::matchers(RejectionKind::CommonName, names)
    }

    /// One of the subject's organizational units (OU) is one of these, ignoring case and repeated white space.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::organizational_unit(["Payments"]);
    /// assert_eq!(format!("{rule:?}"), r#"Rule(an organizational unit is "Payments")"#);
    /// ```
    pub fn organizational_unit<N: Into<String>>(units: impl IntoIterator<Item = N>) -> Self {
        let units = units.into_iter().map(|unit| Matcher::OrganizationalUnit(unit.into()));
        Self::matchers(RejectionKind::OrganizationalUnit, units)
    }

    /// The subject has exactly one organization (O), and it is one of these, ignoring case and repeated white space.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::organization(["Contoso"]);
    /// assert_eq!(format!("{rule:?}"), r#"Rule(the only organization is "Contoso")"#);
    /// ```
    pub fn organization<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(|name| Matcher::Organization(name.into()));
        Self::matchers(RejectionKind::Organization, names)
    }

    /// The subject has exactly one country (C, two letters), and it is one of these, ignoring case.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::country(["DE", "AT"]);
    /// assert_eq!(format!("{rule:?}"), r#"Rule(the only country is one of "DE"; "AT")"#);
    /// ```
    pub fn country<N: Into<String>>(codes: impl IntoIterator<Item = N>) -> Self {
        let codes = codes.into_iter().map(|code| Matcher::Country(code.into()));
        Self::matchers(RejectionKind::Country, codes)
    }

    /// One of the certificate's dNSName entries matches one of these.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::dns_name(["*.contoso.com".parse()?]);
    /// assert_eq!(format!("{rule:?}"), "Rule(a DNS name is *.contoso.com)");
    /// # Ok::<(), tower_mtls::policy::DnsNameParseError>(())
    /// ```
    pub fn dns_name(names: impl IntoIterator<Item = DnsNamePattern>) -> Self {
        Self::matchers(RejectionKind::DnsName, names.into_iter().map(Matcher::DnsName))
    }

    /// One of the certificate's URI entries is one of these, compared byte by byte.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::uri(["urn:contoso:orders"]);
    /// assert_eq!(format!("{rule:?}"), r#"Rule(a URI is "urn:contoso:orders")"#);
    /// ```
    pub fn uri<U: Into<String>>(uris: impl IntoIterator<Item = U>) -> Self {
        Self::matchers(RejectionKind::Uri, uris.into_iter().map(|uri| Matcher::Uri(uri.into())))
    }

    /// The certificate's [SPIFFE ID](crate::Certificate::spiffe_id) is one of these.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::spiffe_id(["spiffe://contoso.com/orders".parse()?]);
    /// assert_eq!(format!("{rule:?}"), "Rule(the SPIFFE ID is spiffe://contoso.com/orders)");
    /// # Ok::<(), tower_mtls::certificate::SpiffeIdParseError>(())
    /// ```
    pub fn spiffe_id(ids: impl IntoIterator<Item = SpiffeId>) -> Self {
        Self::matchers(RejectionKind::SpiffeId, ids.into_iter().map(Matcher::SpiffeId))
    }

    /// The certificate's [SPIFFE ID](crate::Certificate::spiffe_id) belongs to one of these trust domains.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::spiffe_trust_domain(["contoso.com".parse()?]);
    /// assert_eq!(format!("{rule:?}"), "Rule(the SPIFFE ID is any ID of contoso.com)");
    /// # Ok::<(), tower_mtls::certificate::SpiffeIdParseError>(())
    /// ```
    pub fn spiffe_trust_domain(domains: impl IntoIterator<Item = SpiffeTrustDomain>) -> Self {
        Self::matchers(RejectionKind::SpiffeId, domains.into_iter().map(Matcher::SpiffeTrustDomain))
    }

    /// One of the certificate's rfc822Name entries is one of these, ignoring the case of the domain.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::email(["orders@contoso.com"]);
    /// assert_eq!(format!("{rule:?}"), r#"Rule(an e-mail address is "orders@contoso.com")"#);
    /// ```
    pub fn email<E: Into<String>>(emails: impl IntoIterator<Item = E>) -> Self {
        Self::matchers(RejectionKind::Email, emails.into_iter().map(|email| Matcher::Email(email.into())))
    }

    /// One of the certificate's iPAddress entries is one of these.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::ip_address([[192, 0, 2, 7].into()]);
    /// assert_eq!(format!("{rule:?}"), "Rule(an IP address is 192.0.2.7)");
    /// ```
    pub fn ip_address(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self::matchers(RejectionKind::IpAddress, addresses.into_iter().map(Matcher::Ip))
    }

    /// The certificate's serial number is one of these. Unique only for one issuer: require a chain too.
    ///
    /// ```
    /// use tower_mtls::Rule;
    ///
    /// let rule = Rule::serial(["A1B2C3D4".parse()?]);
    /// assert_eq!(format!("{rule:?}"), "Rule(the serial number is A1B2C3D4)");
    /// # Ok::<(), tower_mtls::certificate::SerialNumberParseError>(())
    /// ```
    pub fn serial(serials: impl IntoIterator<Item = SerialNumber>) -> Self {
        Self::matchers(RejectionKind::Serial, serials.into_iter().map(Matcher::Serial))
    }

    /// One of the certificate's extended key usages is one of these. A certificate without the extension has none, and
    /// anyExtendedKeyUsage matches only itself.
    ///
    /// ```
    /// use tower_mtls::{Rule, certificate::ExtendedKeyUsage};
    ///
    /// let rule = Rule::extended_key_usage([ExtendedKeyUsage::ClientAuth]);
    /// assert_eq!(format!("{rule:?}"), "Rule(an extended key usage is clientAuth)");
    /// ```
    pub fn extended_key_usage(usages: impl IntoIterator<Item = ExtendedKeyUsage>) -> Self {
        Self::matchers(RejectionKind::ExtendedKeyUsage, usages.into_iter().map(Matcher::ExtendedKeyUsage))
    }

    /// The certificate's key is of one of these kinds; an RSA key has at least the given length.
    ///
    /// ```
    /// use tower_mtls::{Rule, certificate::KeyKind};
    ///
    /// let rule = Rule::key([KeyKind::P256, KeyKind::rsa(3_072)]);
    /// assert_eq!(format!("{rule:?}"), "Rule(the key is one of P-256; RSA of at least 3072 bits)");
    /// ```
    pub fn key(kinds: impl IntoIterator<Item = KeyKind>) -> Self {
        Self::matchers(RejectionKind::Key, kinds.into_iter().map(Matcher::Key))
    }

    /// The certificate's SHA-1 or SHA-256 thumbprint is one of these. Looked up in constant time.
    ///
    /// ```
    /// use tower_mtls::{Policy, Rule};
    ///
    /// let rule = Rule::thumbprint(["CA06F56B258B7A0D4F2B05470939478651151984".parse()?]);
    /// assert!(Policy::builder().require(rule).build()?.is_anchored());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn thumbprint(thumbprints: impl IntoIterator<Item = Thumbprint>) -> Self {
        Self::from_thumbprints(thumbprints.into_iter().collect())
    }

    pub(in crate::policy) fn from_thumbprints(thumbprints: ThumbprintSet) -> Self {
        Self(Kind::Thumbprint(Arc::new(thumbprints)))
    }

    /// The SHA-256 of the certificate's SubjectPublicKeyInfo is one of these. It does not change when a certificate is
    /// renewed with the same key. Looked up in constant time.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// use tower_mtls::{Certificate, Policy, Rule};
    ///
    /// let client = Certificate::from_der(made.cert.der())?;
    /// let rule = Rule::spki_sha256([client.spki_sha256()]);
    /// assert!(Policy::builder().require(rule).build()?.is_anchored());
    /// # Ok(())
    /// # }
    /// ```
    pub fn spki_sha256(pins: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(Kind::Spki(Arc::new(pins.into_iter().map(Thumbprint::Sha256).collect())))
    }

    /// A certificate with one of these thumbprints issued the client's: the client sent it in its chain, and its key
    /// verifies the signature. If none is found the rule is undecided, since the client chooses which certificates to
    /// send.
    ///
    /// ```
    /// use tower_mtls::{Policy, Rule};
    ///
    /// let rule = Rule::issuer_thumbprint(["CA06F56B258B7A0D4F2B05470939478651151984".parse()?]);
    /// assert!(Policy::builder().require(rule).build()?.is_anchored());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "trust")]
    pub fn issuer_thumbprint(thumbprints: impl IntoIterator<Item = Thumbprint>) -> Self {
        Self(Kind::IssuerThumbprint(Arc::new(IssuerPins::new(thumbprints, None))))
    }

    /// As [`issuer_thumbprint`](Self::issuer_thumbprint); the issuer can also be one of these roots, which clients do not
    /// send. The requirements and revocation lists of the roots apply, those of all roots to an issuer that is not one of
    /// them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let ca = params.self_signed(&rcgen::KeyPair::generate()?)?;
    /// use tower_mtls::{Policy, Rule, TrustAnchors, certificate::Thumbprint};
    ///
    /// let roots = TrustAnchors::from_pem(ca.pem())?;
    /// let rule = Rule::issuer_thumbprint_among([Thumbprint::sha256_of(ca.der())], roots);
    /// assert!(Policy::builder().require(rule).build()?.is_anchored());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "trust")]
    pub fn issuer_thumbprint_among(
        thumbprints: impl IntoIterator<Item = Thumbprint>,
        roots: TrustAnchors,
    ) -> Self {
        Self(Kind::IssuerThumbprint(Arc::new(IssuerPins::new(thumbprints, Some(roots)))))
    }

    /// The certificate is in a set, which is looked up on every request.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let orders = rcgen::generate_simple_self_signed(vec![])?;
    /// # let billing = rcgen::generate_simple_self_signed(vec![])?;
    /// use std::collections::HashSet;
    /// use tower_mtls::{Certificate, Policy, Rule, certificate::{Clock, Presented, SystemClock}};
    ///
    /// let set = HashSet::from([orders.cert.der().to_vec()]);
    /// let policy = Policy::builder().require(Rule::member_of(set)).build()?;
    /// for (der, admitted) in [(orders.cert.der(), true), (billing.cert.der(), false)] {
    ///     let client = Presented::from(Certificate::from_der(der)?);
    ///     assert_eq!(policy.judge(&client, SystemClock.now()).is_ok(), admitted);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn member_of(set: impl CertificateSet) -> Self {
        Self(Kind::Member(Arc::new(set)))
    }
}
