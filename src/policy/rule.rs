use std::{fmt, sync::Arc};

#[cfg(feature = "trust")]
use super::TrustAnchors;
use super::{
    Answer, DnsNamePattern, NamePattern, RejectionKind, answer::Judgement, thumbprints::Thumbprints,
};
use crate::certificate::{ClientCertificate, Thumbprint, Timestamp, same_text};

/// One condition over a certificate, or a group of conditions.
///
/// Rules that take a list hold if one entry of the list matches.
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
/// let unanchored = Policy::builder().rule(not_the_test_client).rule(orders_or_billing).build();
/// assert!(unanchored.is_err(), "names alone can be forged: a chain or a thumbprint must anchor them");
/// # Ok::<(), tower_mtls::NameParseError>(())
/// ```
#[derive(Clone)]
pub struct Rule(Kind);

type Custom = dyn Fn(&ClientCertificate, Timestamp) -> Answer + Send + Sync;

#[derive(Clone)]
enum Kind {
    Validity,
    #[cfg(feature = "trust")]
    Trust(TrustAnchors),
    Issuer(Arc<[NamePattern]>),
    Subject(Arc<[NamePattern]>),
    CommonName(Arc<[String]>),
    DnsName(Arc<[DnsNamePattern]>),
    Thumbprint(Arc<Thumbprints>),
    Custom(Arc<str>, Arc<Custom>),
    All(Vec<Rule>),
    Any(Vec<Rule>),
    Not(Box<Rule>),
}

impl Rule {
    /// The moment lies within the certificate's validity period, both ends included (RFC 5280, 4.1.2.5).
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
        Self(Kind::Issuer(names.into_iter().collect()))
    }

    /// The certificate's subject is one of these names.
    pub fn subject(names: impl IntoIterator<Item = NamePattern>) -> Self {
        Self(Kind::Subject(names.into_iter().collect()))
    }

    /// The subject has exactly one common name, and it is one of these, case and white space aside.
    pub fn common_name<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self(Kind::CommonName(names.into_iter().map(Into::into).collect()))
    }

    /// One of the certificate's dNSName entries matches one of these (RFC 9525).
    pub fn dns_name(names: impl IntoIterator<Item = DnsNamePattern>) -> Self {
        Self(Kind::DnsName(names.into_iter().collect()))
    }

    /// The certificate's SHA-1 or SHA-256 thumbprint is one of these. Looked up in constant time.
    pub fn thumbprint(thumbprints: impl IntoIterator<Item = Thumbprint>) -> Self {
        let mut set = Thumbprints::default();
        set.extend(thumbprints);
        Self::from_thumbprints(set)
    }

    pub(super) fn from_thumbprints(thumbprints: Thumbprints) -> Self {
        Self(Kind::Thumbprint(Arc::new(thumbprints)))
    }

    /// A condition of your own, asked on every request. It must not block. `name` appears in `Debug`.
    ///
    /// It does not count as an anchor: a policy whose only proof is here must say
    /// [`allow_unanchored`](super::PolicyBuilder::allow_unanchored).
    pub fn custom<A: Into<Answer>>(
        name: impl Into<Arc<str>>,
        rule: impl Fn(&ClientCertificate, Timestamp) -> A + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Custom(
            name.into(),
            Arc::new(move |certificate, now| rule(certificate, now).into()),
        ))
    }

    /// Every one of these rules holds.
    pub fn all(rules: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::All(rules.into_iter().collect()))
    }

    /// At least one of these rules holds.
    pub fn any(rules: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::Any(rules.into_iter().collect()))
    }

    /// The rule fails. If the rule cannot tell, neither can this.
    #[expect(
        clippy::should_implement_trait,
        reason = "a constructor, as `all` and `any` are"
    )]
    pub fn not(rule: Self) -> Self {
        Self(Kind::Not(Box::new(rule)))
    }

    /// The pure decision: what this rule says of `certificate` at `now`.
    pub(super) fn judge(&self, certificate: &ClientCertificate, now: Timestamp) -> Judgement {
        match &self.0 {
            Kind::Validity => judge_validity(certificate, now),
            #[cfg(feature = "trust")]
            Kind::Trust(anchors) => anchors.judge(certificate, now),
            Kind::Issuer(names) => {
                let holds = names.iter().any(|name| name.matches(certificate.issuer()));
                Judgement::lasting(holds, RejectionKind::Issuer)
            }
            Kind::Subject(names) => {
                let holds = names.iter().any(|name| name.matches(certificate.subject()));
                Judgement::lasting(holds, RejectionKind::Subject)
            }
            Kind::CommonName(names) => {
                let only = certificate.subject().only_common_name();
                let holds = only.is_some_and(|only| names.iter().any(|name| same_text(name, only)));
                Judgement::lasting(holds, RejectionKind::CommonName)
            }
            Kind::DnsName(names) => {
                let holds = names.iter().any(|name| name.matches(certificate));
                Judgement::lasting(holds, RejectionKind::DnsName)
            }
            Kind::Thumbprint(thumbprints) => {
                Judgement::lasting(thumbprints.contains(certificate), RejectionKind::Thumbprint)
            }
            Kind::Custom(_, rule) => Judgement::momentary(rule(certificate, now), RejectionKind::Custom),
            Kind::All(rules) => judge_group(rules, Answer::Fails, certificate, now),
            Kind::Any(rules) => judge_group(rules, Answer::Holds, certificate, now),
            Kind::Not(rule) => judge_not(rule, certificate, now),
        }
    }

    /// Whether no certificate can satisfy this rule without proof that cannot be forged.
    pub(super) fn is_anchored(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "trust")]
            Kind::Trust(_) => true,
            Kind::Thumbprint(_) => true,
            Kind::All(rules) => rules.iter().any(Self::is_anchored),
            Kind::Any(rules) => !rules.is_empty() && rules.iter().all(Self::is_anchored),
            _ => false,
        }
    }

    /// A list or group in this rule that is empty, by the name of its constructor.
    pub(super) fn empty_list(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Issuer(names) if names.is_empty() => Some("issuer"),
            Kind::Subject(names) if names.is_empty() => Some("subject"),
            Kind::CommonName(names) if names.is_empty() => Some("common_name"),
            Kind::DnsName(names) if names.is_empty() => Some("dns_name"),
            Kind::Thumbprint(thumbprints) if thumbprints.is_empty() => Some("thumbprint"),
            Kind::All(rules) if rules.is_empty() => Some("all"),
            Kind::Any(rules) if rules.is_empty() => Some("any"),
            Kind::All(rules) | Kind::Any(rules) => rules.iter().find_map(Self::empty_list),
            Kind::Not(rule) => rule.empty_list(),
            _ => None,
        }
    }
}

fn judge_validity(certificate: &ClientCertificate, now: Timestamp) -> Judgement {
    let validity = certificate.validity();
    if now < validity.not_before {
        Judgement::lasting(false, RejectionKind::NotYetValid).no_longer_than(validity.not_before.plus(-1))
    } else if now > validity.not_after {
        Judgement::lasting(false, RejectionKind::Expired)
    } else {
        Judgement::lasting(true, RejectionKind::Expired).no_longer_than(validity.not_after)
    }
}

/// `decisive` ends the group at once: a failing rule ends `all`, a holding rule ends `any`. Without one, a
/// rule that cannot tell decides before the rest.
fn judge_group(
    rules: &[Rule],
    decisive: Answer,
    certificate: &ClientCertificate,
    now: Timestamp,
) -> Judgement {
    let mut undecidable = None;
    let mut first = None;
    let mut until = Timestamp::MAX;
    for rule in rules {
        let judgement = rule.judge(certificate, now);
        if judgement.answer == decisive {
            return judgement;
        }
        until = until.min(judgement.until);
        if judgement.answer == Answer::CannotTell {
            undecidable = undecidable.or(Some(judgement));
        }
        first = first.or(Some(judgement));
    }
    match undecidable.or(first) {
        Some(judgement) => judgement.no_longer_than(until),
        // `build` refuses empty groups; should one get here, it refuses the caller.
        None => Judgement::momentary(Answer::CannotTell, RejectionKind::Undecidable),
    }
}

fn judge_not(rule: &Rule, certificate: &ClientCertificate, now: Timestamp) -> Judgement {
    let judgement = rule.judge(certificate, now);
    match judgement.answer {
        Answer::Holds => Judgement {
            answer: Answer::Fails,
            kind: RejectionKind::Excluded,
            ..judgement
        },
        Answer::Fails => Judgement {
            answer: Answer::Holds,
            ..judgement
        },
        Answer::CannotTell => judgement,
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Validity => f.write_str("validity"),
            #[cfg(feature = "trust")]
            Kind::Trust(anchors) => f.debug_tuple("trust").field(anchors).finish(),
            Kind::Issuer(names) => f.debug_tuple("issuer").field(names).finish(),
            Kind::Subject(names) => f.debug_tuple("subject").field(names).finish(),
            Kind::CommonName(names) => f.debug_tuple("common_name").field(names).finish(),
            Kind::DnsName(names) => f.debug_tuple("dns_name").field(names).finish(),
            Kind::Thumbprint(_) => f.write_str("thumbprint(..)"),
            Kind::Custom(name, _) => f.debug_tuple("custom").field(name).finish(),
            Kind::All(rules) => f.debug_tuple("all").field(rules).finish(),
            Kind::Any(rules) => f.debug_tuple("any").field(rules).finish(),
            Kind::Not(rule) => f.debug_tuple("not").field(rule).finish(),
        }
    }
}
