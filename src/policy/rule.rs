mod constructors;
mod explain;
mod groups;
mod judge;

use std::{fmt, sync::Arc};

use super::{
    Answer, CertificateSet, RejectionKind, matcher::Matcher, rule_name::RuleName,
    thumbprint_set::ThumbprintSet,
};
#[cfg(feature = "trust")]
use super::{IssuerPins, TrustAnchors};
use crate::certificate::{Certificate, Timestamp};

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
