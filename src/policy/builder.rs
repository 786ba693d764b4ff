#[cfg(feature = "trust")]
use super::TrustAnchors;
use super::{
    NamePattern, Policy, PolicyError, RejectionKind, Rule, matcher::Matcher, thumbprint_set::ThumbprintSet,
};
use crate::certificate::Thumbprint;

/// Builder of [`Policy`]. Every rule must hold; a method that is called several times adds to its list, and one entry of a
/// list is enough. See [`Rule`] for the comparisons and their standards.
///
/// ```
/// use tower_mtls::{Policy, PolicyError, Rule};
///
/// let thumbprint = "CA06F56B258B7A0D4F2B05470939478651151984".parse()?;
/// let rules = Policy::builder().thumbprint(thumbprint).require(Rule::common_name(["orders"]));
/// assert!(rules.build().is_ok());
///
/// let names_only = Policy::builder().require(Rule::common_name(["orders"]));
/// assert_eq!(names_only.build().unwrap_err(), PolicyError::Unanchored);
/// # Ok::<(), tower_mtls::certificate::ThumbprintParseError>(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct PolicyBuilder {
    allow_outside_validity: bool,
    allow_unanchored: bool,
    /// Lists of matchers, one list per kind, in the order of their first entries.
    matchers: Vec<(RejectionKind, Vec<Matcher>)>,
    thumbprints: Option<ThumbprintSet>,
    rules: Vec<Rule>,
    #[cfg(feature = "trust")]
    trust: Option<TrustAnchors>,
}

impl PolicyBuilder {
    /// Requires a chain from the certificate to one of these roots, for TLS client authentication.
    ///
    /// Default: no chain is required, and another rule must anchor the policy. The last call counts.
    #[cfg(feature = "trust")]
    pub fn trust(mut self, anchors: TrustAnchors) -> Self {
        self.trust = Some(anchors);
        self
    }

    /// Adds an allowed issuer. Default: any.
    pub fn issuer(self, name: NamePattern) -> Self {
        self.matcher(RejectionKind::Issuer, Matcher::Issuer(name))
    }

    /// Adds an allowed subject. Default: any.
    pub fn subject(self, name: NamePattern) -> Self {
        self.matcher(RejectionKind::Subject, Matcher::Subject(name))
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

    /// Adds a rule or group of rules. Every added rule must hold.
    pub fn require(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Accepts certificates outside their validity period. Default: off.
    ///
    /// A required chain still checks the validity periods of its certificates.
    pub fn allow_outside_validity(mut self) -> Self {
        self.allow_outside_validity = true;
        self
    }

    /// Accepts a policy that anyone can satisfy with a certificate of their own making. Default: off.
    ///
    /// Without a chain, names prove nothing: the creator of a certificate chooses them. No effect on an anchored policy.
    pub fn allow_unanchored(mut self) -> Self {
        self.allow_unanchored = true;
        self
    }

    fn matcher(mut self, kind: RejectionKind, matcher: Matcher) -> Self {
        match self.matchers.iter_mut().find(|(named, _)| *named == kind) {
            Some((_, matchers)) => matchers.push(matcher),
            None => self.matchers.push((kind, vec![matcher])),
        }
        self
    }

    /// Builds the policy.
    ///
    /// # Errors
    ///
    /// 1. [`PolicyError::Empty`]: the policy has no rules; or validity only, and
    ///    [`allow_unanchored`](Self::allow_unanchored) was not called.
    /// 2. [`PolicyError::EmptyList`]: a list or group has no entry.
    /// 3. [`PolicyError::Unanchored`]: the rules can be satisfied without an [anchored](Policy::is_anchored) one, and
    ///    [`allow_unanchored`](Self::allow_unanchored) was not called.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let mut rules = Vec::new();
        if !self.allow_outside_validity {
            rules.push(Rule::validity());
        }
        let before = rules.len();
        // Comparisons first: unknown clients are rejected before a signature is verified.
        rules.extend(self.thumbprints.map(Rule::from_thumbprints));
        rules.extend(
            self.matchers.into_iter().map(|(kind, matchers)| Rule::matchers(kind, matchers.into_iter())),
        );
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
