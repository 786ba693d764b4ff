use std::sync::Arc;

#[cfg(feature = "trust")]
use super::TrustAnchors;
use super::{Answer, DnsNamePattern, NamePattern, Policy, PolicyError, Rule, thumbprints::Thumbprints};
use crate::certificate::{ClientCertificate, Thumbprint, Timestamp};

/// Builds a [`Policy`]. Everything that is named must hold; a method that is called several times adds to its
/// list, and one entry of a list is enough.
#[derive(Debug, Default)]
#[must_use]
pub struct PolicyBuilder {
    allow_outside_validity: bool,
    allow_unanchored: bool,
    issuers: Vec<NamePattern>,
    subjects: Vec<NamePattern>,
    common_names: Vec<String>,
    dns_names: Vec<DnsNamePattern>,
    thumbprints: Option<Thumbprints>,
    rules: Vec<Rule>,
    #[cfg(feature = "trust")]
    trust: Option<TrustAnchors>,
}

impl PolicyBuilder {
    /// Demands a chain from the certificate to one of these roots, for TLS client authentication.
    ///
    /// Default: no chain is demanded, and then a thumbprint must anchor the policy. The last call counts.
    #[cfg(feature = "trust")]
    pub fn trust(mut self, anchors: TrustAnchors) -> Self {
        self.trust = Some(anchors);
        self
    }

    /// Adds an allowed issuer. Default: any.
    pub fn issuer(mut self, name: NamePattern) -> Self {
        self.issuers.push(name);
        self
    }

    /// Adds an allowed subject. Default: any.
    pub fn subject(mut self, name: NamePattern) -> Self {
        self.subjects.push(name);
        self
    }

    /// Adds an allowed common name. Default: any. The subject must have exactly one.
    pub fn common_name(mut self, name: impl Into<String>) -> Self {
        self.common_names.push(name.into());
        self
    }

    /// Adds an allowed DNS name or wildcard. Default: any.
    pub fn dns_name(mut self, name: DnsNamePattern) -> Self {
        self.dns_names.push(name);
        self
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

    /// Adds a condition of your own: see [`Rule::custom`].
    pub fn custom<A: Into<Answer>>(
        self,
        name: impl Into<Arc<str>>,
        rule: impl Fn(&ClientCertificate, Timestamp) -> A + Send + Sync + 'static,
    ) -> Self {
        self.rule(Rule::custom(name, rule))
    }

    /// Adds any rule or group of rules.
    pub fn rule(mut self, rule: Rule) -> Self {
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

    /// Builds the policy.
    ///
    /// # Errors
    ///
    /// 1. [`PolicyError::Empty`]: no rule was given besides validity, so any certificate would do, and
    ///    [`allow_unanchored`](Self::allow_unanchored) was not called; or no rule at all.
    /// 2. [`PolicyError::EmptyList`]: a list or group without entries.
    /// 3. [`PolicyError::Unanchored`]: neither a chain nor a thumbprint is demanded on every way through the
    ///    rules, and [`allow_unanchored`](Self::allow_unanchored) was not called.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let mut rules = Vec::new();
        if !self.allow_outside_validity {
            rules.push(Rule::validity());
        }
        let before = rules.len();
        // Cheap rules first: a stranger is turned away before a signature is verified.
        rules.extend(self.thumbprints.map(Rule::from_thumbprints));
        rules.extend((!self.issuers.is_empty()).then(|| Rule::issuer(self.issuers)));
        rules.extend((!self.subjects.is_empty()).then(|| Rule::subject(self.subjects)));
        rules.extend((!self.common_names.is_empty()).then(|| Rule::common_name(self.common_names)));
        rules.extend((!self.dns_names.is_empty()).then(|| Rule::dns_name(self.dns_names)));
        #[cfg(feature = "trust")]
        rules.extend(self.trust.map(Rule::trust));
        rules.extend(self.rules);

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
