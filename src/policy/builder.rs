#[cfg(feature = "trust")]
use super::TrustAnchors;
use super::{NamePattern, Policy, PolicyError, RejectionKind, Rule, claim::Claim, pins::Pins};
use crate::certificate::Thumbprint;

/// Builds a [`Policy`]. Everything that is named must hold; a method that is called several times adds to its
/// list, and one entry of a list is enough. [`Rule`] says what each method compares, and by which standard.
#[derive(Debug, Default)]
#[must_use]
pub struct PolicyBuilder {
    allow_outside_validity: bool,
    allow_unanchored: bool,
    /// Lists of claims, each about one thing, in the order in which they were first named.
    claims: Vec<(RejectionKind, Vec<Claim>)>,
    thumbprints: Option<Pins>,
    rules: Vec<Rule>,
    #[cfg(feature = "trust")]
    trust: Option<TrustAnchors>,
}

impl PolicyBuilder {
    /// Demands a chain from the certificate to one of these roots, for TLS client authentication.
    ///
    /// Default: no chain is demanded, and then something else must anchor the policy. The last call counts.
    #[cfg(feature = "trust")]
    pub fn trust(mut self, anchors: TrustAnchors) -> Self {
        self.trust = Some(anchors);
        self
    }

    /// Adds an allowed issuer. Default: any.
    pub fn issuer(self, name: NamePattern) -> Self {
        self.claim(RejectionKind::Issuer, Claim::Issuer(name))
    }

    /// Adds an allowed subject. Default: any.
    pub fn subject(self, name: NamePattern) -> Self {
        self.claim(RejectionKind::Subject, Claim::Subject(name))
    }

    /// Adds an allowed thumbprint. Default: any.
    pub fn thumbprint(self, thumbprint: Thumbprint) -> Self {
        self.thumbprints([thumbprint])
    }

    /// Adds allowed thumbprints. An empty list is an error at [`build`](Self::build), not "any".
    pub fn thumbprints(mut self, thumbprints: impl IntoIterator<Item = Thumbprint>) -> Self {
        self.thumbprints.get_or_insert_default().extend(thumbprints);
        self
    }

    /// Demands any rule or group of rules. Called several times, every rule must hold.
    pub fn require(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Lets certificates pass before and after their validity period. Default: off.
    ///
    /// A demanded chain still ends with its certificates' dates.
    pub fn allow_outside_validity(mut self) -> Self {
        self.allow_outside_validity = true;
        self
    }

    /// Accepts a policy that anyone can satisfy with a self-made certificate. Default: off.
    ///
    /// Names prove nothing without a chain: whoever makes a certificate chooses them. Has no effect on an
    /// anchored policy.
    pub fn allow_unanchored(mut self) -> Self {
        self.allow_unanchored = true;
        self
    }

    fn claim(mut self, kind: RejectionKind, claim: Claim) -> Self {
        match self.claims.iter_mut().find(|(named, _)| *named == kind) {
            Some((_, claims)) => claims.push(claim),
            None => self.claims.push((kind, vec![claim])),
        }
        self
    }

    /// Builds the policy.
    ///
    /// # Errors
    ///
    /// 1. [`PolicyError::Empty`]: no rule was given besides validity, so any certificate would do, and
    ///    [`allow_unanchored`](Self::allow_unanchored) was not called; or no rule at all.
    /// 2. [`PolicyError::EmptyList`]: a list or group without entries.
    /// 3. [`PolicyError::Unanchored`]: nothing that cannot be forged is demanded on every way through the
    ///    rules, and [`allow_unanchored`](Self::allow_unanchored) was not called.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let mut rules = Vec::new();
        if !self.allow_outside_validity {
            rules.push(Rule::validity());
        }
        let before = rules.len();
        // Comparisons first: a stranger is rejected before a signature is verified.
        rules.extend(self.thumbprints.map(Rule::from_thumbprints));
        rules.extend(self.claims.into_iter().map(|(kind, claims)| Rule::claims(kind, claims.into_iter())));
        let (cheap, costly): (Vec<_>, Vec<_>) = self.rules.into_iter().partition(Rule::is_cheap);
        rules.extend(cheap);
        #[cfg(feature = "trust")]
        rules.extend(self.trust.map(Rule::trust));
        rules.extend(costly);

        if rules.len() == before && (self.allow_outside_validity || !self.allow_unanchored) {
            return Err(PolicyError::Empty);
        }
        if let Some(list) = rules.iter().find_map(Rule::empty_list) {
            return Err(PolicyError::EmptyList { rule: list });
        }
        if !self.allow_unanchored && !rules.iter().any(Rule::is_anchored) {
            return Err(PolicyError::Unanchored);
        }
        Ok(Policy::new(rules))
    }
}
