mod explain;
mod judge;

use std::{fmt, net::IpAddr, sync::Arc};

use super::{
    Answer, CertificateSet, DnsNamePattern, NamePattern, RejectionKind, matcher::Matcher,
    thumbprint_set::ThumbprintSet,
};
#[cfg(feature = "trust")]
use super::{IssuerPins, TrustAnchors};
use crate::certificate::{
    Certificate, ExtendedKeyUsage, KeyKind, SerialNumber, SpiffeId, SpiffeTrustDomain, Thumbprint, Timestamp,
};

/// One condition over a certificate, or a group of conditions.
///
/// Rules that take a list hold if one entry of the list matches. *Anchored* rules cannot be satisfied by a certificate of
/// the client's own making; a policy must not be satisfiable without one.
///
/// | rule | compares | standard | anchored |
/// |---|---|---|---|
/// | [`validity`](Self::validity) | now with notBefore and notAfter | RFC 5280, 4.1.2.5 | |
/// | [`trust`](Self::trust) | a chain to roots, for client authentication | RFC 5280, 6 | yes |
/// | [`thumbprint`](Self::thumbprint) | SHA-1 or SHA-256 of the certificate | | yes |
/// | [`spki_sha256`](Self::spki_sha256) | SHA-256 of the SubjectPublicKeyInfo | RFC 7469, 2.4 | yes |
/// | [`issuer_thumbprint`](Self::issuer_thumbprint) | the certificate that signed | RFC 5280, 6.1.3 | yes |
/// | [`member_of`](Self::member_of) | the whole certificate with a set | | yes |
/// | [`issuer`](Self::issuer), [`subject`](Self::subject) | distinguished names | RFC 5280, 7.1 | |
/// | [`common_name`](Self::common_name) | the subject's only CN | RFC 5280, 7.1 | |
/// | [`organization`](Self::organization), [`country`](Self::country) | the subject's only O or C | RFC 5280, 7.1 | |
/// | [`organizational_unit`](Self::organizational_unit) | the subject's OUs | RFC 5280, 7.1 | |
/// | [`serial`](Self::serial) | the serial number | RFC 5280, 4.1.2.2 | |
/// | [`dns_name`](Self::dns_name) | dNSName entries | RFC 9525 | |
/// | [`uri`](Self::uri) | URI entries, byte by byte | RFC 5280, 4.2.1.6 | |
/// | [`spiffe_id`](Self::spiffe_id), [`spiffe_trust_domain`](Self::spiffe_trust_domain) | the only URI | X509-SVID, 2 | |
/// | [`email`](Self::email) | rfc822Name entries | RFC 5280, 7.5 | |
/// | [`ip_address`](Self::ip_address) | iPAddress entries | RFC 5280, 4.2.1.6 | |
/// | [`extended_key_usage`](Self::extended_key_usage) | purposes that are named | RFC 5280, 4.2.1.12 | |
/// | [`key`](Self::key) | kind and size of the key | RFC 3279, 5480, 8410 | |
/// | [`custom`](Self::custom) | anything, in a closure | | |
/// | [`all`](Self::all), [`any`](Self::any), [`not`](Self::not) | other rules | | as their parts |
///
/// ```
/// use tower_mtls::{Policy, Rule};
///
/// // Two clients of the partner's CA, and never its test client.
/// let not_the_test_client = Rule::not(Rule::common_name(["test-client"]));
/// let orders_or_billing = Rule::any([
///     Rule::subject(["CN=orders,O=Contoso".parse()?]),
///     Rule::subject(["CN=billing,O=Contoso".parse()?]),
/// ]);
/// let unanchored = Policy::builder().require(not_the_test_client).require(orders_or_billing).build();
/// assert!(unanchored.is_err(), "names alone can be forged: a chain or a thumbprint must anchor them");
/// # Ok::<(), tower_mtls::certificate::NameParseError>(())
/// ```
#[derive(Clone)]
pub struct Rule(Kind);

/// Name of a custom rule. One thin pointer: a rejection is two words and does not allocate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleName(Arc<Arc<str>>);

impl RuleName {
    pub(super) fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(name.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

type Custom = dyn Fn(&Certificate, Timestamp) -> Answer + Send + Sync;

#[derive(Clone)]
enum Kind {
    Validity,
    #[cfg(feature = "trust")]
    Trust(TrustAnchors),
    #[cfg(feature = "trust")]
    IssuerThumbprint(Arc<IssuerPins>),
    /// One of these entries matches; all compare the same field.
    Matchers(RejectionKind, Arc<[Matcher]>),
    Thumbprint(Arc<ThumbprintSet>),
    Spki(Arc<ThumbprintSet>),
    Member(Arc<dyn CertificateSet>),
    Custom(RuleName, Arc<Custom>),
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Not(Box<Rule>),
}

impl Rule {
    /// The current time is within the certificate's validity period, both ends included.
    ///
    /// Every policy has this rule unless
    /// [`allow_outside_validity`](super::PolicyBuilder::allow_outside_validity) is called.
    pub fn validity() -> Self {
        Self(Kind::Validity)
    }

    /// A chain for TLS client authentication leads from the certificate to one of these roots. See [`TrustAnchors`].
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
    /// # Ok::<(), tower_mtls::certificate::NameParseError>(())
    /// ```
    pub fn issuer(names: impl IntoIterator<Item = NamePattern>) -> Self {
        Self::matchers(RejectionKind::Issuer, names.into_iter().map(Matcher::Issuer))
    }

    /// The certificate's subject is one of these names.
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
    pub fn organizational_unit<N: Into<String>>(units: impl IntoIterator<Item = N>) -> Self {
        let units = units.into_iter().map(|unit| Matcher::OrganizationalUnit(unit.into()));
        Self::matchers(RejectionKind::OrganizationalUnit, units)
    }

    /// The subject has exactly one organization (O), and it is one of these, ignoring case and repeated white space.
    pub fn organization<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(|name| Matcher::Organization(name.into()));
        Self::matchers(RejectionKind::Organization, names)
    }

    /// The subject has exactly one country (C, two letters), and it is one of these, ignoring case.
    pub fn country<N: Into<String>>(codes: impl IntoIterator<Item = N>) -> Self {
        let codes = codes.into_iter().map(|code| Matcher::Country(code.into()));
        Self::matchers(RejectionKind::Country, codes)
    }

    /// One of the certificate's dNSName entries matches one of these.
    pub fn dns_name(names: impl IntoIterator<Item = DnsNamePattern>) -> Self {
        Self::matchers(RejectionKind::DnsName, names.into_iter().map(Matcher::DnsName))
    }

    /// One of the certificate's URI entries is one of these, compared byte by byte.
    pub fn uri<U: Into<String>>(uris: impl IntoIterator<Item = U>) -> Self {
        Self::matchers(RejectionKind::Uri, uris.into_iter().map(|uri| Matcher::Uri(uri.into())))
    }

    /// The certificate's [SPIFFE ID](Certificate::spiffe_id) is one of these.
    pub fn spiffe_id(ids: impl IntoIterator<Item = SpiffeId>) -> Self {
        Self::matchers(RejectionKind::SpiffeId, ids.into_iter().map(Matcher::SpiffeId))
    }

    /// The certificate's [SPIFFE ID](Certificate::spiffe_id) belongs to one of these trust domains.
    pub fn spiffe_trust_domain(domains: impl IntoIterator<Item = SpiffeTrustDomain>) -> Self {
        Self::matchers(RejectionKind::SpiffeId, domains.into_iter().map(Matcher::SpiffeTrustDomain))
    }

    /// One of the certificate's rfc822Name entries is one of these, ignoring the case of the domain.
    pub fn email<E: Into<String>>(emails: impl IntoIterator<Item = E>) -> Self {
        Self::matchers(RejectionKind::Email, emails.into_iter().map(|email| Matcher::Email(email.into())))
    }

    /// One of the certificate's iPAddress entries is one of these.
    pub fn ip_address(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self::matchers(RejectionKind::IpAddress, addresses.into_iter().map(Matcher::Ip))
    }

    /// The certificate's serial number is one of these. Unique only for one issuer: require a chain too.
    pub fn serial(serials: impl IntoIterator<Item = SerialNumber>) -> Self {
        Self::matchers(RejectionKind::Serial, serials.into_iter().map(Matcher::Serial))
    }

    /// One of the certificate's extended key usages is one of these. A certificate without the extension has none, and
    /// anyExtendedKeyUsage matches only itself.
    pub fn extended_key_usage(usages: impl IntoIterator<Item = ExtendedKeyUsage>) -> Self {
        Self::matchers(RejectionKind::ExtendedKeyUsage, usages.into_iter().map(Matcher::ExtendedKeyUsage))
    }

    /// The certificate's key is of one of these kinds; an RSA key has at least the given length.
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

    pub(super) fn from_thumbprints(thumbprints: ThumbprintSet) -> Self {
        Self(Kind::Thumbprint(Arc::new(thumbprints)))
    }

    /// The SHA-256 of the certificate's SubjectPublicKeyInfo is one of these. It does not change when a certificate is
    /// renewed with the same key. Looked up in constant time.
    pub fn spki_sha256(pins: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(Kind::Spki(Arc::new(pins.into_iter().map(Thumbprint::Sha256).collect())))
    }

    /// A certificate with one of these thumbprints issued the client's: the client sent it in its chain, and its key
    /// verifies the signature. If none is found the rule is undecided, since the client chooses which certificates to
    /// send.
    #[cfg(feature = "trust")]
    pub fn issuer_thumbprint(thumbprints: impl IntoIterator<Item = Thumbprint>) -> Self {
        Self(Kind::IssuerThumbprint(Arc::new(IssuerPins::new(thumbprints, None))))
    }

    /// As [`issuer_thumbprint`](Self::issuer_thumbprint); the issuer can also be one of these roots, which clients do not
    /// send.
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

    /// A custom condition, evaluated on every request. It must not block. `name` is used in explanations, in the log and
    /// in [`Rejection::custom_rule`](super::Rejection::custom_rule).
    ///
    /// It is not anchored: a policy without an anchored rule needs
    /// [`allow_unanchored`](super::PolicyBuilder::allow_unanchored).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// use tower_mtls::{Certificate, Policy, Rule, certificate::{Clock, Presented, SystemClock}};
    ///
    /// let closed = Rule::custom("office hours", |_certificate, now| now.as_unix() < 0);
    /// let client = Certificate::from_der(made.cert.der())?;
    /// let policy = Policy::builder().thumbprint(client.sha256_thumbprint()).require(closed).build()?;
    /// let rejection = policy.judge(&Presented::from(client), SystemClock.now()).unwrap_err();
    /// assert_eq!(rejection.custom_rule(), Some("office hours"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn custom<A: Into<Answer>>(
        name: impl Into<Arc<str>>,
        rule: impl Fn(&Certificate, Timestamp) -> A + Send + Sync + 'static,
    ) -> Self {
        let name = RuleName::new(name);
        Self(Kind::Custom(name, Arc::new(move |certificate, now| rule(certificate, now).into())))
    }

    /// Every one of these rules holds.
    pub fn all(rules: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::All(rules.into_iter().collect()))
    }

    /// At least one of these rules holds.
    pub fn any(rules: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::Any(rules.into_iter().collect()))
    }

    /// The rule fails. If the rule is undecided, so is this one: an unreadable name, or a subject with several common
    /// names, is not admitted by `not(common_name(..))`.
    ///
    /// Do not exclude single certificates by thumbprint or set: the owner of a certificate can change its encoding and with
    /// it the hash ([`PolicyWarning::ExclusionByHash`](super::PolicyWarning::ExclusionByHash)). Do not exclude by chain: a
    /// client breaks the chain by not sending an intermediate. URIs and the local parts of e-mail addresses are compared
    /// byte by byte.
    #[expect(clippy::should_implement_trait, reason = "a constructor, as `all` and `any` are")]
    pub fn not(rule: Self) -> Self {
        Self(Kind::Not(Box::new(rule)))
    }

    /// Result of the rule for a certificate, outside a policy.
    #[cfg(feature = "apim")]
    pub(crate) fn answer(&self, certificate: &Certificate, now: Timestamp) -> Answer {
        self.judge(certificate, now).answer
    }

    pub(super) fn matchers(kind: RejectionKind, matchers: impl Iterator<Item = Matcher>) -> Self {
        Self(Kind::Matchers(kind, matchers.collect()))
    }

    /// Returns true if the rule cannot be satisfied without a proof that cannot be forged.
    pub(super) fn is_anchored(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "trust")]
            Kind::Trust(_) | Kind::IssuerThumbprint(_) => true,
            Kind::Thumbprint(_) | Kind::Spki(_) | Kind::Member(_) => true,
            Kind::All(rules) => rules.iter().any(Self::is_anchored),
            Kind::Any(rules) => !rules.is_empty() && rules.iter().all(Self::is_anchored),
            Kind::Validity | Kind::Matchers(..) | Kind::Custom(..) | Kind::Not(_) => false,
        }
    }

    /// Returns true if the rule only compares fields of the certificate: it verifies no signature and calls no code of the
    /// user.
    pub(super) fn is_cheap(&self) -> bool {
        match &self.0 {
            Kind::Validity | Kind::Matchers(..) | Kind::Thumbprint(_) | Kind::Spki(_) => true,
            Kind::All(rules) | Kind::Any(rules) => rules.iter().all(Self::is_cheap),
            Kind::Not(rule) => rule.is_cheap(),
            Kind::Member(_) | Kind::Custom(..) => false,
            #[cfg(feature = "trust")]
            Kind::Trust(_) | Kind::IssuerThumbprint(_) => false,
        }
    }

    pub(super) fn is_validity(&self) -> bool {
        matches!(self.0, Kind::Validity)
    }

    /// Returns true if `not` contains a rule of this kind.
    pub(super) fn excludes(&self, kind: fn(&Self) -> bool) -> bool {
        match &self.0 {
            Kind::Not(rule) => rule.contains(kind),
            Kind::All(rules) | Kind::Any(rules) => rules.iter().any(|rule| rule.excludes(kind)),
            _ => false,
        }
    }

    fn contains(&self, kind: fn(&Self) -> bool) -> bool {
        match &self.0 {
            Kind::All(rules) | Kind::Any(rules) => rules.iter().any(|rule| rule.contains(kind)),
            Kind::Not(rule) => rule.contains(kind),
            _ => kind(self),
        }
    }

    /// Returns true if the rule compares the whole certificate or a hash over it.
    pub(super) fn is_hash(&self) -> bool {
        matches!(self.0, Kind::Thumbprint(_) | Kind::Member(_))
    }

    /// Returns true if the rule depends on the intermediates that the client sends.
    pub(super) fn is_chain(&self) -> bool {
        #[cfg(feature = "trust")]
        return matches!(self.0, Kind::Trust(_));
        #[cfg(not(feature = "trust"))]
        return false;
    }

    pub(super) fn is_issuer(&self) -> bool {
        matches!(self.0, Kind::Matchers(RejectionKind::Issuer, _))
    }

    /// Returns true if the rule proves the issuer's name.
    pub(super) fn proves_issuer(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "trust")]
            Kind::Trust(_) | Kind::IssuerThumbprint(_) => true,
            Kind::Thumbprint(_) | Kind::Member(_) => true,
            Kind::All(rules) => rules.iter().any(Self::proves_issuer),
            Kind::Any(rules) => !rules.is_empty() && rules.iter().all(Self::proves_issuer),
            Kind::Validity | Kind::Matchers(..) | Kind::Spki(_) | Kind::Custom(..) | Kind::Not(_) => false,
        }
    }

    /// Name of the constructor of an empty list or group in this rule.
    pub(super) fn empty_list(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Matchers(kind, matchers) if matchers.is_empty() => Some(kind.as_str()),
            Kind::Thumbprint(pins) if pins.is_empty() => Some("thumbprint"),
            Kind::Spki(pins) if pins.is_empty() => Some("spki_sha256"),
            #[cfg(feature = "trust")]
            Kind::IssuerThumbprint(pins) if pins.is_empty() => Some("issuer_thumbprint"),
            Kind::All(rules) if rules.is_empty() => Some("all"),
            Kind::Any(rules) if rules.is_empty() => Some("any"),
            Kind::All(rules) | Kind::Any(rules) => rules.iter().find_map(Self::empty_list),
            Kind::Not(rule) => rule.empty_list(),
            _ => None,
        }
    }
}

/// Prints the rule's demand as text.
impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.demand())
    }
}
