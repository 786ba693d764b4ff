mod explain;
mod judge;

use std::{fmt, net::IpAddr, sync::Arc};

use super::{Answer, CertificateSet, DnsNamePattern, NamePattern, RejectionKind, claim::Claim, pins::Pins};
#[cfg(feature = "trust")]
use super::{IssuerPins, TrustAnchors};
use crate::certificate::{
    Certificate, ExtendedKeyUsage, KeyKind, SerialNumber, SpiffeId, SpiffeTrustDomain, Thumbprint, Timestamp,
};

/// One condition over a certificate, or a group of conditions.
///
/// Rules that take a list hold if one entry of the list matches. *Anchored* rules cannot be satisfied by a
/// certificate that anyone makes for the purpose; a policy needs one on every way through it.
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
/// | [`uri`](Self::uri) | URI entries, octet by octet | RFC 5280, 4.2.1.6 | |
/// | [`spiffe_id`](Self::spiffe_id), [`spiffe_trust_domain`](Self::spiffe_trust_domain) | the only URI | X509-SVID, 2 | |
/// | [`email`](Self::email) | rfc822Name entries | RFC 5280, 7.5 | |
/// | [`ip_address`](Self::ip_address) | iPAddress entries | RFC 5280, 4.2.1.6 | |
/// | [`extended_key_usage`](Self::extended_key_usage) | purposes that are named | RFC 5280, 4.2.1.12 | |
/// | [`key`](Self::key) | kind and size of the key | RFC 3279, 5480, 8410 | |
/// | [`custom`](Self::custom) | whatever you like | | |
/// | [`all`](Self::all), [`any`](Self::any), [`not`](Self::not) | other rules | | as their parts |
///
/// ```
/// use tower_mtls::{Policy, Rule};
///
/// // Anyone whom our partner's CA names, except the test client.
/// let not_the_test_client = Rule::not(Rule::common_name(["test-client"]));
/// let orders_or_billing = Rule::any([
///     Rule::subject(["CN=orders,O=Contoso".parse()?]),
///     Rule::subject(["CN=billing,O=Contoso".parse()?]),
/// ]);
/// let unanchored = Policy::builder().require(not_the_test_client).require(orders_or_billing).build();
/// assert!(unanchored.is_err(), "names alone can be forged: a chain or a thumbprint must anchor them");
/// # Ok::<(), tower_mtls::NameParseError>(())
/// ```
#[derive(Clone)]
pub struct Rule(Kind);

/// The name of a custom rule, behind one thin pointer: a rejection stays two words, and is made without allocating.
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
    /// One of these claims matches; all look at the same thing.
    Claims(RejectionKind, Arc<[Claim]>),
    Thumbprint(Arc<Pins>),
    Spki(Arc<Pins>),
    Member(Arc<dyn CertificateSet>),
    Custom(RuleName, Arc<Custom>),
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Not(Box<Rule>),
}

impl Rule {
    /// The moment lies within the certificate's validity period, both ends included.
    pub fn validity() -> Self {
        Self(Kind::Validity)
    }

    /// A chain leads from the certificate to one of these roots, for TLS client authentication.
    #[cfg(feature = "trust")]
    pub fn trust(anchors: TrustAnchors) -> Self {
        Self(Kind::Trust(anchors))
    }

    /// The certificate's issuer is one of these names. Proves nothing unless a chain is proved as well.
    pub fn issuer(names: impl IntoIterator<Item = NamePattern>) -> Self {
        Self::claims(RejectionKind::Issuer, names.into_iter().map(Claim::Issuer))
    }

    /// The certificate's subject is one of these names.
    pub fn subject(names: impl IntoIterator<Item = NamePattern>) -> Self {
        Self::claims(RejectionKind::Subject, names.into_iter().map(Claim::Subject))
    }

    /// The subject has exactly one common name, and it is one of these, case and white space aside.
    pub fn common_name<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(|name| Claim::CommonName(name.into()));
        Self::claims(RejectionKind::CommonName, names)
    }

    /// One of the subject's organizational units (OU) is one of these, case and white space aside.
    pub fn organizational_unit<N: Into<String>>(units: impl IntoIterator<Item = N>) -> Self {
        let units = units.into_iter().map(|unit| Claim::OrganizationalUnit(unit.into()));
        Self::claims(RejectionKind::OrganizationalUnit, units)
    }

    /// The subject has exactly one organization (O), and it is one of these, case and white space aside.
    pub fn organization<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(|name| Claim::Organization(name.into()));
        Self::claims(RejectionKind::Organization, names)
    }

    /// The subject has exactly one country (C, two letters), and it is one of these, case aside.
    pub fn country<N: Into<String>>(codes: impl IntoIterator<Item = N>) -> Self {
        let codes = codes.into_iter().map(|code| Claim::Country(code.into()));
        Self::claims(RejectionKind::Country, codes)
    }

    /// One of the certificate's dNSName entries matches one of these.
    pub fn dns_name(names: impl IntoIterator<Item = DnsNamePattern>) -> Self {
        Self::claims(RejectionKind::DnsName, names.into_iter().map(Claim::DnsName))
    }

    /// One of the certificate's URI entries is one of these, octet by octet.
    pub fn uri<U: Into<String>>(uris: impl IntoIterator<Item = U>) -> Self {
        Self::claims(RejectionKind::Uri, uris.into_iter().map(|uri| Claim::Uri(uri.into())))
    }

    /// The certificate's [SPIFFE ID](Certificate::spiffe_id) is one of these.
    pub fn spiffe_id(ids: impl IntoIterator<Item = SpiffeId>) -> Self {
        Self::claims(RejectionKind::SpiffeId, ids.into_iter().map(Claim::SpiffeId))
    }

    /// The certificate's [SPIFFE ID](Certificate::spiffe_id) belongs to one of these trust domains.
    pub fn spiffe_trust_domain(domains: impl IntoIterator<Item = SpiffeTrustDomain>) -> Self {
        Self::claims(RejectionKind::SpiffeId, domains.into_iter().map(Claim::SpiffeTrustDomain))
    }

    /// One of the certificate's rfc822Name entries is one of these, the domain without regard to case.
    pub fn email<E: Into<String>>(emails: impl IntoIterator<Item = E>) -> Self {
        Self::claims(RejectionKind::Email, emails.into_iter().map(|email| Claim::Email(email.into())))
    }

    /// One of the certificate's iPAddress entries is one of these.
    pub fn ip_address(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self::claims(RejectionKind::IpAddress, addresses.into_iter().map(Claim::Ip))
    }

    /// The certificate's serial number is one of these. Unique only together with an issuer that is proved.
    pub fn serial(serials: impl IntoIterator<Item = SerialNumber>) -> Self {
        Self::claims(RejectionKind::Serial, serials.into_iter().map(Claim::Serial))
    }

    /// The certificate names one of these purposes. A certificate without the extension names none, and
    /// anyExtendedKeyUsage counts only if it is on the list.
    pub fn extended_key_usage(usages: impl IntoIterator<Item = ExtendedKeyUsage>) -> Self {
        Self::claims(RejectionKind::ExtendedKeyUsage, usages.into_iter().map(Claim::ExtendedKeyUsage))
    }

    /// The certificate's key is of one of these kinds, an RSA key at least as long as stated.
    pub fn key(kinds: impl IntoIterator<Item = KeyKind>) -> Self {
        Self::claims(RejectionKind::Key, kinds.into_iter().map(Claim::Key))
    }

    /// The certificate's SHA-1 or SHA-256 thumbprint is one of these. Looked up in constant time.
    pub fn thumbprint(thumbprints: impl IntoIterator<Item = Thumbprint>) -> Self {
        Self::from_thumbprints(thumbprints.into_iter().collect())
    }

    pub(super) fn from_thumbprints(thumbprints: Pins) -> Self {
        Self(Kind::Thumbprint(Arc::new(thumbprints)))
    }

    /// The SHA-256 of the certificate's SubjectPublicKeyInfo is one of these: survives a renewal that keeps
    /// the key. Looked up in constant time.
    pub fn spki_sha256(pins: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self(Kind::Spki(Arc::new(pins.into_iter().map(Thumbprint::Sha256).collect())))
    }

    /// A certificate with one of these thumbprints signed the caller's: it came with the caller's chain, and
    /// its key verifies the signature. If none is found the rule cannot tell, since the caller chooses what to
    /// send.
    #[cfg(feature = "trust")]
    pub fn issuer_thumbprint(thumbprints: impl IntoIterator<Item = Thumbprint>) -> Self {
        Self(Kind::IssuerThumbprint(Arc::new(IssuerPins::new(thumbprints, None))))
    }

    /// As [`issuer_thumbprint`](Self::issuer_thumbprint), and the issuer may also be one of these roots, which
    /// callers do not send.
    #[cfg(feature = "trust")]
    pub fn issuer_thumbprint_among(
        thumbprints: impl IntoIterator<Item = Thumbprint>,
        roots: TrustAnchors,
    ) -> Self {
        Self(Kind::IssuerThumbprint(Arc::new(IssuerPins::new(thumbprints, Some(roots)))))
    }

    /// The very certificate is in a set, which is asked on every request.
    pub fn member_of(set: impl CertificateSet) -> Self {
        Self(Kind::Member(Arc::new(set)))
    }

    /// A condition of your own, asked on every request. It must not block. `name` appears in explanations, in the
    /// log and in [`Rejection::custom_rule`](super::Rejection::custom_rule).
    ///
    /// It does not count as an anchor: a policy whose only proof is here must say
    /// [`allow_unanchored`](super::PolicyBuilder::allow_unanchored).
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

    /// The rule fails. If the rule cannot tell, neither can this: a name that cannot be read, or a subject with
    /// several common names, does not pass `not(common_name(..))`.
    ///
    /// Don't exclude single certificates by thumbprint or set: whoever holds one can change its encoding and
    /// with it the hash ([`PolicyWarning::ExclusionByHash`](super::PolicyWarning::ExclusionByHash)); nor by chain, which
    /// the caller breaks by leaving out an intermediate. URIs and e-mail addresses are compared octet by octet.
    #[expect(clippy::should_implement_trait, reason = "a constructor, as `all` and `any` are")]
    pub fn not(rule: Self) -> Self {
        Self(Kind::Not(Box::new(rule)))
    }

    /// What the rule says of a certificate, outside of a policy.
    #[cfg(feature = "apim")]
    pub(crate) fn answer(&self, certificate: &Certificate, now: Timestamp) -> Answer {
        self.judge(certificate, now).answer
    }

    pub(super) fn claims(kind: RejectionKind, claims: impl Iterator<Item = Claim>) -> Self {
        Self(Kind::Claims(kind, claims.collect()))
    }

    /// Whether no certificate can satisfy this rule without proof that cannot be forged.
    pub(super) fn is_anchored(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "trust")]
            Kind::Trust(_) | Kind::IssuerThumbprint(_) => true,
            Kind::Thumbprint(_) | Kind::Spki(_) | Kind::Member(_) => true,
            Kind::All(rules) => rules.iter().any(Self::is_anchored),
            Kind::Any(rules) => !rules.is_empty() && rules.iter().all(Self::is_anchored),
            Kind::Validity | Kind::Claims(..) | Kind::Custom(..) | Kind::Not(_) => false,
        }
    }

    /// Returns true if the rule only compares fields of the certificate: no signature is verified, and no code of the
    /// user runs.
    pub(super) fn is_cheap(&self) -> bool {
        match &self.0 {
            Kind::Validity | Kind::Claims(..) | Kind::Thumbprint(_) | Kind::Spki(_) => true,
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

    /// Whether a rule of this kind stands inside of `not`.
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

    /// Whether the rule compares a hash over the whole certificate, or the whole of it.
    pub(super) fn is_hash(&self) -> bool {
        matches!(self.0, Kind::Thumbprint(_) | Kind::Member(_))
    }

    /// Whether the rule needs what the caller sends along.
    pub(super) fn is_chain(&self) -> bool {
        #[cfg(feature = "trust")]
        return matches!(self.0, Kind::Trust(_));
        #[cfg(not(feature = "trust"))]
        return false;
    }

    pub(super) fn is_issuer(&self) -> bool {
        matches!(self.0, Kind::Claims(RejectionKind::Issuer, _))
    }

    /// Whether the rule proves that the issuer's name is more than a claim.
    pub(super) fn proves_issuer(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "trust")]
            Kind::Trust(_) | Kind::IssuerThumbprint(_) => true,
            Kind::Thumbprint(_) | Kind::Member(_) => true,
            Kind::All(rules) => rules.iter().any(Self::proves_issuer),
            Kind::Any(rules) => !rules.is_empty() && rules.iter().all(Self::proves_issuer),
            Kind::Validity | Kind::Claims(..) | Kind::Spki(_) | Kind::Custom(..) | Kind::Not(_) => false,
        }
    }

    /// A list or group in this rule that is empty, by the name of its constructor.
    pub(super) fn empty_list(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Claims(kind, claims) if claims.is_empty() => Some(kind.as_str()),
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

/// What the rule demands, in words.
impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.demand())
    }
}
