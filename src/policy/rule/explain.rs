//! Demands and findings of rules, as text.

use super::{Kind, Rule};
use crate::{
    certificate::{Certificate, Timestamp},
    policy::{RuleExplanation, matcher},
};

impl Rule {
    /// Demand of the rule.
    pub(in crate::policy) fn demand(&self) -> String {
        match &self.0 {
            Kind::Validity => "now lies within the validity period".into(),
            #[cfg(feature = "trust")]
            Kind::Trust(anchors) => {
                format!("a chain leads to a trusted root (of {}), for client authentication", anchors.len())
            }
            #[cfg(feature = "trust")]
            Kind::IssuerThumbprint(pins) => format!("one of {} listed certificates signed it", pins.len()),
            Kind::Matchers(kind, matchers) => {
                let matchers: Vec<_> = matchers.iter().map(ToString::to_string).collect();
                let among = if matchers.len() == 1 { "is" } else { "is one of" };
                format!("{} {among} {}", matcher::field_name(*kind), matchers.join("; "))
            }
            Kind::Thumbprint(pins) => format!("the thumbprint is one of {} listed", pins.len()),
            Kind::Spki(pins) => format!("the public key is one of {} listed", pins.len()),
            Kind::Member(set) => format!("it is a member of {}", set.name()),
            Kind::Custom(name, _) => format!("the custom rule {:?} accepts it", name.as_str()),
            Kind::All(_) => "all of".into(),
            Kind::Any(_) => "at least one of".into(),
            Kind::Not(_) => "not".into(),
        }
    }

    /// As [`found`](Self::found), for explanations of policy documents.
    #[cfg(feature = "apim")]
    pub(crate) fn finds(&self, certificate: &Certificate, now: Timestamp) -> String {
        self.found(certificate, now)
    }

    /// Value that the rule finds in a certificate.
    #[cfg_attr(not(feature = "trust"), expect(unused_variables, reason = "chains are judged at a moment"))]
    fn found(&self, certificate: &Certificate, now: Timestamp) -> String {
        match &self.0 {
            Kind::Validity => {
                let validity = certificate.validity();
                format!("{} to {}", validity.not_before, validity.not_after)
            }
            #[cfg(feature = "trust")]
            Kind::Trust(anchors) => {
                let found = sent(certificate);
                match anchors.failure(certificate, now) {
                    Some(failure) => format!("{found}; {failure}"),
                    None => found,
                }
            }
            #[cfg(feature = "trust")]
            Kind::IssuerThumbprint(_) => sent(certificate),
            Kind::Matchers(kind, _) => matcher::field_value(*kind, certificate),
            Kind::Thumbprint(_) => {
                format!(
                    "SHA-1 {}, SHA-256 {}",
                    certificate.sha1_thumbprint(),
                    certificate.sha256_thumbprint()
                )
            }
            Kind::Spki(_) => crate::certificate::Thumbprint::Sha256(certificate.spki_sha256()).to_string(),
            Kind::Member(_) | Kind::Custom(..) | Kind::All(_) | Kind::Any(_) | Kind::Not(_) => String::new(),
        }
    }

    pub(in crate::policy) fn explain(&self, certificate: &Certificate, now: Timestamp) -> RuleExplanation {
        let parts = match &self.0 {
            Kind::All(rules) | Kind::Any(rules) => {
                rules.iter().map(|rule| rule.explain(certificate, now)).collect()
            }
            Kind::Not(rule) => vec![rule.explain(certificate, now)],
            _ => Vec::new(),
        };
        RuleExplanation::new(
            self.demand(),
            self.found(certificate, now),
            self.judge(certificate, now).answer,
            parts,
        )
    }

    /// The rules of a group `all`, or this rule itself.
    pub(in crate::policy) fn parts(&self) -> &[Self] {
        match &self.0 {
            Kind::All(rules) => rules,
            _ => std::slice::from_ref(self),
        }
    }
}

#[cfg(feature = "trust")]
fn sent(certificate: &Certificate) -> String {
    format!("the issuer {}, certificates sent along: {}", certificate.issuer(), certificate.chain().len())
}
