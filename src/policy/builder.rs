use std::{net::IpAddr, sync::Arc};

#[cfg(feature = "trust")]
use super::TrustAnchors;
use super::{
    Answer, CertificateSet, DnsNamePattern, NamePattern, Policy, PolicyError, RejectionKind, Rule,
    claim::Claim, pins::Pins,
};
use crate::certificate::{
    Certificate, ExtendedKeyUsage, KeyKind, SerialNumber, SpiffeId, SpiffeTrustDomain, Thumbprint, Timestamp,
};

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
    spki_pins: Vec<[u8; 32]>,
    rules: Vec<Rule>,
    #[cfg(feature = "trust")]
    issuer_thumbprints: Vec<Thumbprint>,
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

    /// Adds an allowed common name. Default: any. The subject must have exactly one.
    pub fn common_name(self, name: impl Into<String>) -> Self {
        self.claim(RejectionKind::CommonName, Claim::CommonName(name.into()))
    }

    /// Adds an allowed DNS name or wildcard. Default: any.
    pub fn dns_name(self, name: DnsNamePattern) -> Self {
        self.claim(RejectionKind::DnsName, Claim::DnsName(name))
    }

    /// Adds an allowed URI. Default: any.
    pub fn uri(self, uri: impl Into<String>) -> Self {
        self.claim(RejectionKind::Uri, Claim::Uri(uri.into()))
    }

    /// Adds an allowed SPIFFE ID. Default: any, and none is needed.
    pub fn spiffe_id(self, id: SpiffeId) -> Self {
        self.claim(RejectionKind::SpiffeId, Claim::SpiffeId(id))
    }

    /// Adds a SPIFFE trust domain of which every ID is allowed. Default: any, and none is needed.
    pub fn spiffe_trust_domain(self, domain: SpiffeTrustDomain) -> Self {
        self.claim(RejectionKind::SpiffeId, Claim::SpiffeTrustDomain(domain))
    }

    /// Adds an allowed e-mail address. Default: any.
    pub fn email(self, email: impl Into<String>) -> Self {
        self.claim(RejectionKind::Email, Claim::Email(email.into()))
    }

    /// Adds an allowed IP address (of the certificate, not of the connection). Default: any.
    pub fn ip_address(self, address: IpAddr) -> Self {
        self.claim(RejectionKind::IpAddress, Claim::Ip(address))
    }

    /// Adds an allowed serial number. Default: any.
    pub fn serial(self, serial: SerialNumber) -> Self {
        self.claim(RejectionKind::Serial, Claim::Serial(serial))
    }

    /// Adds an allowed purpose, which the certificate must name. Default: any.
    pub fn extended_key_usage(self, usage: ExtendedKeyUsage) -> Self {
        self.claim(RejectionKind::ExtendedKeyUsage, Claim::ExtendedKeyUsage(usage))
    }

    /// Adds an allowed kind of key; RSA keys must be at least as long as stated. Default: any.
    pub fn key(self, kind: KeyKind) -> Self {
        self.claim(RejectionKind::Key, Claim::Key(kind))
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

    /// Adds an allowed public key by the SHA-256 of its SubjectPublicKeyInfo. Default: any.
    pub fn spki_sha256(mut self, pin: [u8; 32]) -> Self {
        self.spki_pins.push(pin);
        self
    }

    /// Adds an allowed issuing certificate: one that came with the caller's chain, or a root of
    /// [`trust`](Self::trust). Default: any.
    #[cfg(feature = "trust")]
    pub fn issuer_thumbprint(mut self, thumbprint: Thumbprint) -> Self {
        self.issuer_thumbprints.push(thumbprint);
        self
    }

    /// Demands that the very certificate is in a set.
    pub fn member_of(self, set: impl CertificateSet) -> Self {
        self.rule(Rule::member_of(set))
    }

    /// Adds a condition of your own: see [`Rule::custom`].
    pub fn custom<A: Into<Answer>>(
        self,
        name: impl Into<Arc<str>>,
        rule: impl Fn(&Certificate, Timestamp) -> A + Send + Sync + 'static,
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
        // Cheap rules first: a stranger is turned away before a signature is verified.
        rules.extend(self.thumbprints.map(Rule::from_thumbprints));
        rules.extend((!self.spki_pins.is_empty()).then(|| Rule::spki_sha256(self.spki_pins)));
        rules.extend(self.claims.into_iter().map(|(kind, claims)| Rule::claims(kind, claims.into_iter())));
        #[cfg(feature = "trust")]
        {
            if !self.issuer_thumbprints.is_empty() {
                rules.push(match &self.trust {
                    Some(roots) => Rule::issuer_thumbprint_among(self.issuer_thumbprints, roots.clone()),
                    None => Rule::issuer_thumbprint(self.issuer_thumbprints),
                });
            }
            rules.extend(self.trust.map(Rule::trust));
        }
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
