//! Who may call: rules over a certificate and a moment, nothing else.
//!
//! A decision here is a pure function of the certificate, the time and the trust that a [`Policy`] holds; it
//! knows no HTTP and carries nothing out. A rule *holds*, *fails* or *cannot tell*
//! ([`Answer`]), and cannot tell never becomes "allowed".
//!
//! A policy admits a caller when
//! 1. it presented a certificate, and the certificate can be read;
//! 2. the certificate is within its validity period (unless that was switched off by name);
//! 3. every other rule holds. Where a rule takes a list, one match in the list is enough.
//!
//! Otherwise the answer is a [`Rejection`] whose [`kind`](Rejection::kind) names the first rule that did not
//! hold. Cheap rules are asked first, a chain last.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(vec![])?;
//! # let other = rcgen::generate_simple_self_signed(vec![])?;
//! use tower_mtls::{Clock, Certificate, Policy, Presented, RejectionKind, SystemClock};
//!
//! let certificate = Certificate::from_der(made.cert.der())?;
//! let policy = Policy::builder().thumbprint(certificate.sha256_thumbprint()).build()?;
//!
//! let now = SystemClock.now();
//! assert!(policy.judge(&Presented::from(certificate), now).is_ok());
//!
//! let stranger = Certificate::from_der(other.cert.der())?;
//! let rejection = policy.judge(&Presented::from(stranger), now).unwrap_err();
//! assert_eq!(rejection.kind(), RejectionKind::Thumbprint);
//! # Ok(())
//! # }
//! ```

mod answer;
mod builder;
mod certificate_set;
#[cfg(feature = "trust")]
mod chain;
mod claim;
mod dns_name;
mod error;
mod explanation;
#[cfg(feature = "trust")]
mod issuer_pins;
mod name_pattern;
mod pins;
mod rejection;
mod rule;
mod shared;
#[cfg(test)]
mod tests;
#[cfg(feature = "trust")]
mod trust;
mod verification;

use std::sync::Arc;

use crate::{
    certificate::{Presented, Timestamp},
    generation::Generation,
};

#[cfg(feature = "trust")]
use self::issuer_pins::IssuerPins;
#[cfg(feature = "trust")]
pub use self::trust::{TrustAnchors, TrustError};
pub use self::{
    answer::Answer,
    builder::PolicyBuilder,
    certificate_set::CertificateSet,
    dns_name::{DnsNameParseError, DnsNamePattern},
    error::{PolicyError, PolicyWarning},
    explanation::{Explanation, Step},
    name_pattern::NamePattern,
    rejection::{Rejection, RejectionKind},
    rule::Rule,
    verification::Verification,
};

/// Rules that decide whether a certificate is admitted. See the [module](self) for when a caller passes.
///
/// Immutable and cheap to clone; put it behind a [`Shared<Policy>`](crate::Shared) to replace it while serving.
#[derive(Debug, Clone)]
pub struct Policy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rules: Rule,
    /// Whether no certificate passes without a proof that cannot be forged.
    is_anchored: bool,
    generation: Generation,
}

/// The verdicts worth remembering: a refusal is rare and cheap, or its chain is remembered on its own.
const ADMITTED: u8 = 1;
const ADMITTED_UNPROVEN: u8 = 2;

impl Policy {
    /// Starts a policy that demands a currently valid certificate and nothing else yet.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    fn new(rules: Vec<Rule>) -> Self {
        let is_anchored = rules.iter().any(Rule::is_anchored);
        Self(Arc::new(Inner { rules: Rule::all(rules), is_anchored, generation: Generation::next() }))
    }

    /// Whether a chain, a hash or membership of a set is demanded on every way through the rules. If not, anyone can make
    /// a certificate that is admitted, as [`Unproven`](Verification::Unproven).
    pub fn is_anchored(&self) -> bool {
        self.0.is_anchored
    }

    pub(crate) fn generation(&self) -> Generation {
        self.0.generation
    }

    /// Judges what a caller presented, at the moment `now`.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] whose kind is
    /// 1. [`Missing`](RejectionKind::Missing) or [`Unreadable`](RejectionKind::Unreadable) if there is no
    ///    certificate to judge;
    /// 2. the kind of the first rule that fails;
    /// 3. [`Undecidable`](RejectionKind::Undecidable), or the kind of the rule, if no rule fails but one cannot
    ///    tell.
    pub fn judge(&self, presented: &Presented, now: Timestamp) -> Result<(), Rejection> {
        if let Presented::Certificate(certificate) = presented
            && certificate.verdicts().get(self.0.generation, now) == Some(ADMITTED)
        {
            return Ok(());
        }
        self.evaluate(presented, now).map(drop)
    }

    /// Judges as [`judge`](Self::judge) does, and says what each rule demands and finds.
    ///
    /// For operators and tests: every rule is asked, also after one has failed, and texts are made.
    pub fn explain(&self, presented: &Presented, now: Timestamp) -> Explanation {
        let steps = match presented {
            Presented::Certificate(certificate) => {
                self.0.rules.parts().iter().map(|rule| rule.explain(certificate, now)).collect()
            }
            _ => Vec::new(),
        };
        let verification = self.judge(presented, now).map(|()| Verification::of(self.0.is_anchored));
        Explanation::new(steps, verification)
    }

    /// What an operator should know about these rules. See [`PolicyWarning`].
    pub fn warnings(&self) -> Vec<PolicyWarning> {
        let parts = self.0.rules.parts();
        let mut warnings = Vec::new();
        if !self.0.is_anchored {
            warnings.push(PolicyWarning::Unanchored);
        }
        // A chain has dates of its own to judge.
        if !parts.iter().any(|rule| rule.is_validity() || rule.is_chain()) {
            warnings.push(PolicyWarning::OutsideValidity);
        }
        if parts.iter().any(|rule| rule.excludes(Rule::is_hash)) {
            warnings.push(PolicyWarning::ExclusionByHash);
        }
        if parts.iter().any(|rule| rule.excludes(Rule::is_chain)) {
            warnings.push(PolicyWarning::ExclusionByChain);
        }
        if parts.iter().any(Rule::is_issuer) && !parts.iter().any(Rule::proves_issuer) {
            warnings.push(PolicyWarning::IssuerWithoutChain);
        }
        warnings
    }

    /// Asks the rules, and remembers an admission.
    fn evaluate(&self, presented: &Presented, now: Timestamp) -> Result<Verification, Rejection> {
        let certificate = match presented {
            Presented::Certificate(certificate) => certificate,
            Presented::Nothing => return Err(Rejection::new(RejectionKind::Missing)),
            Presented::Unreadable(_) => return Err(Rejection::new(RejectionKind::Unreadable)),
        };
        let (generation, verification) = (self.0.generation, Verification::of(self.0.is_anchored));
        let admitted = if verification.is_proven() { ADMITTED } else { ADMITTED_UNPROVEN };
        // That of an anchored policy has been looked for before the policy was.
        if !verification.is_proven() && certificate.verdicts().get(generation, now) == Some(admitted) {
            return Ok(verification);
        }
        let judgement = self.0.rules.judge(certificate, now);
        match judgement.answer {
            Answer::Holds => {
                certificate.verdicts().put(generation, admitted, now, judgement.until);
                Ok(verification)
            }
            Answer::Fails | Answer::CannotTell => Err(Rejection::of(judgement)),
        }
    }
}
