//! Policies: rules about client certificates.
//!
//! Built on [`certificate`](crate::certificate), and on [`keys`](crate::keys) to read trust anchors.
//!
//! A decision is a pure function of the certificate, the time, and the roots and sets of a [`Policy`]; it does not depend
//! on HTTP. A rule *holds*, *fails* or is *undecided* ([`Answer`]), and an undecided rule never admits a client.
//!
//! A policy admits a client when
//! 1. it presented a certificate, and the certificate can be read;
//! 2. the certificate is within its validity period (unless
//!    [`allow_outside_validity`](PolicyBuilder::allow_outside_validity) was called);
//! 3. every other rule holds. Of a list in a rule, one match is enough.
//!
//! Otherwise the result is a [`Rejection`] whose [`kind`](Rejection::kind) names the first rule that does not hold. Cheap
//! rules are evaluated first, a chain last.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(vec![])?;
//! # let other = rcgen::generate_simple_self_signed(vec![])?;
//! use tower_mtls::{Certificate, Policy, certificate::{Clock, Presented, SystemClock}, policy::RejectionKind};
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

#[cfg(feature = "trust")]
mod accepted_chains;
mod answer;
mod builder;
mod certificate_set;
#[cfg(feature = "trust")]
mod chain;
#[cfg(feature = "trust")]
mod chain_requirements;
#[cfg(feature = "trust")]
mod crl;
mod dns_name;
mod error;
mod explanation;
#[cfg(feature = "trust")]
mod issuer_pins;
mod matcher;
mod name_pattern;
#[cfg(feature = "trust")]
mod path;
mod rejection;
mod rejection_kind;
mod rule;
mod rule_name;
mod rule_result;
mod shared;
#[cfg(test)]
mod tests;
mod thumbprint_set;
#[cfg(feature = "trust")]
mod trust;
#[cfg(feature = "trust")]
mod trust_error;
mod verdict_cache;
mod verification;

use std::sync::Arc;

use crate::{
    certificate::{Presented, Timestamp},
    generation::Generation,
};

#[cfg(feature = "trust")]
pub(crate) use self::chain::ChainVerdict;
#[cfg(feature = "trust")]
use self::issuer_pins::IssuerPins;
use self::verdict_cache::VerdictCache;
pub use self::{
    answer::Answer,
    builder::PolicyBuilder,
    certificate_set::CertificateSet,
    dns_name::{DnsNameParseError, DnsNamePattern},
    error::{PolicyError, PolicyWarning},
    explanation::{Explanation, RuleExplanation},
    name_pattern::NamePattern,
    rejection::Rejection,
    rejection_kind::RejectionKind,
    rule::Rule,
    verification::Verification,
};
#[cfg(feature = "trust")]
pub use self::{
    chain_requirements::{ChainRequirements, ChainRequirementsError, SignatureAlgorithm},
    crl::{
        ReplacementError, Revocation, RevocationList, RevocationListError, RevocationListLimitation,
        RevocationMode,
    },
    trust::TrustAnchors,
    trust_error::TrustError,
};

/// Rules that decide whether a certificate is admitted. See the [module](self) for when a caller passes.
///
/// Immutable and cheap to clone; put it behind a [`Shared<Policy>`](crate::Shared) to replace it while serving.
///
/// ```
/// use tower_mtls::Policy;
///
/// let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
/// assert!(policy.is_anchored());
/// assert!(policy.warnings().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Policy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rules: Rule,
    /// True if no certificate is admitted without a proof that cannot be forged.
    is_anchored: bool,
    generation: Generation,
}

// Cached verdicts. Rejections are not cached: they are rare, and the result of their chain is cached separately.
const ADMITTED: u8 = 1;
const ADMITTED_UNPROVEN: u8 = 2;

impl Policy {
    /// Returns a builder whose only rule is that the certificate is valid now.
    ///
    /// ```
    /// use tower_mtls::{Policy, PolicyError};
    ///
    /// assert!(Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build().is_ok());
    /// assert_eq!(Policy::builder().build().unwrap_err(), PolicyError::Empty);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    fn new(rules: Vec<Rule>) -> Self {
        let is_anchored = rules.iter().any(Rule::is_anchored);
        Self(Arc::new(Inner { rules: Rule::all(rules), is_anchored, generation: Generation::next() }))
    }

    /// Returns true if the rules cannot be satisfied without a chain, a hash or membership of a set. If false, anyone can
    /// make a certificate that is admitted, as [`Unproven`](Verification::Unproven).
    pub fn is_anchored(&self) -> bool {
        self.0.is_anchored
    }

    pub(crate) fn generation(&self) -> Generation {
        self.0.generation
    }

    /// Judges a presented certificate at the time `now`.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] whose kind is
    /// 1. [`Missing`](RejectionKind::Missing) or [`Unreadable`](RejectionKind::Unreadable) if there is no
    ///    certificate to judge;
    /// 2. the kind of the first rule that fails;
    /// 3. [`Undecidable`](RejectionKind::Undecidable), or the kind of the rule, if no rule fails but one is undecided.
    pub fn judge(&self, presented: &Presented, now: Timestamp) -> Result<(), Rejection> {
        if let Presented::Certificate(certificate) = presented
            && VerdictCache::of(certificate).get(self.0.generation, now) == Some(ADMITTED)
        {
            return Ok(());
        }
        self.evaluate(presented, now).map(drop)
    }

    /// Judges like [`judge`](Self::judge) and explains each rule.
    ///
    /// For operators and tests: every rule is evaluated, also after one has failed.
    pub fn explain(&self, presented: &Presented, now: Timestamp) -> Explanation {
        let rules = match presented {
            Presented::Certificate(certificate) => {
                self.0.rules.parts().iter().map(|rule| rule.explain(certificate, now)).collect()
            }
            _ => Vec::new(),
        };
        let verification = self.judge(presented, now).map(|()| Verification::of(self.0.is_anchored));
        Explanation::new(rules, verification)
    }

    /// Warnings about these rules. See [`PolicyWarning`].
    pub fn warnings(&self) -> Vec<PolicyWarning> {
        let parts = self.0.rules.parts();
        let mut warnings = Vec::new();
        if !self.0.is_anchored {
            warnings.push(PolicyWarning::Unanchored);
        }
        // A chain checks validity itself.
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

    /// Evaluates the rules and caches an admission.
    fn evaluate(&self, presented: &Presented, now: Timestamp) -> Result<Verification, Rejection> {
        let certificate = match presented {
            Presented::Certificate(certificate) => certificate,
            Presented::Nothing => return Err(Rejection::new(RejectionKind::Missing)),
            Presented::Unreadable(_) => return Err(Rejection::new(RejectionKind::Unreadable)),
        };
        let (generation, verification) = (self.0.generation, Verification::of(self.0.is_anchored));
        let admitted = if verification.is_proven() { ADMITTED } else { ADMITTED_UNPROVEN };
        // For an anchored policy the caller has already checked the cache.
        if !verification.is_proven() && VerdictCache::of(certificate).get(generation, now) == Some(admitted) {
            return Ok(verification);
        }
        let result = self.0.rules.judge(certificate, now);
        match result.answer {
            Answer::Holds => {
                VerdictCache::of(certificate).put(generation, admitted, now, result.until);
                Ok(verification)
            }
            Answer::Fails | Answer::CannotTell => Err(Rejection::of(result)),
        }
    }
}
