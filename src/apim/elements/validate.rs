//! The element `validate-client-certificate`.

use std::sync::Arc;

use super::{Compiler, Element};
use crate::{
    apim::{
        error::FindingKind,
        expression::{Inputs, is_trusted},
        program::Action,
    },
    certificate::{Certificate, GeneralName, Presented, SerialNumber, Thumbprint},
    policy::{Answer, NamePattern, RejectionKind, Rule},
};

/// Requirements for a certificate.
#[derive(Debug)]
pub(crate) struct Validation {
    pub(crate) trust: bool,
    pub(crate) not_before: bool,
    pub(crate) not_after: bool,
    pub(crate) ignore_error: bool,
    /// Alternatives, one of which must match.
    pub(crate) identities: Option<Vec<AllowedIdentity>>,
}

/// An element `identity`: all claims must match.
#[derive(Debug)]
pub(crate) struct AllowedIdentity {
    claims: Vec<IdentityClaim>,
}

#[derive(Debug)]
struct IdentityClaim {
    /// Name of the attribute.
    name: &'static str,
    value: String,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Rule(Rule),
    DnsName,
    IssuerId(Arc<str>),
}

/// The reason why a certificate is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    /// The message in the response.
    pub(crate) response: &'static str,
    pub(crate) kind: RejectionKind,
}

const NOT_FOUND: Invalid = Invalid {
    code: "ClientCertificateNotFound",
    message: "Client certificate missing",
    response: "Client certificate missing",
    kind: RejectionKind::Missing,
};
const NOT_YET_VALID: Invalid = Invalid {
    code: "ClientCertificateNotYetValid",
    message: "Certificate is not yet valid.",
    response: "Invalid client certificate",
    kind: RejectionKind::NotYetValid,
};
const EXPIRED: Invalid = Invalid {
    code: "ClientCertificateExpired",
    message: "Certificate has expired.",
    response: "Invalid client certificate",
    kind: RejectionKind::Expired,
};
const NOT_TRUSTED: Invalid = Invalid {
    code: "ClientCertificateNotTrusted",
    message: "A certificate chain could not be built to a trusted root authority.",
    response: "Invalid client certificate",
    kind: RejectionKind::NotTrusted,
};
const NOT_MATCHED: Invalid = Invalid {
    code: "ClientCertificateIdentityNotMatched",
    message: "Certificate does not match any of allowed identities.",
    response: "Invalid client certificate",
    kind: RejectionKind::NotMember,
};

impl Validation {
    /// Returns true if the result depends on the trusted roots.
    pub(crate) fn uses_trust(&self) -> bool {
        let claims = self.identities.iter().flatten().flat_map(|identity| &identity.claims);
        self.trust || claims.into_iter().any(|claim| claim.name == "issuer-thumbprint")
    }

    /// Checks dates, then trust, then identities.
    pub(crate) fn judge(&self, inputs: &Inputs<'_>) -> Result<(), Invalid> {
        let Presented::Certificate(certificate) = inputs.facts.presented else { return Err(NOT_FOUND) };
        let validity = certificate.validity();
        if self.not_before && inputs.now < validity.not_before {
            return Err(NOT_YET_VALID);
        }
        if self.not_after && inputs.now > validity.not_after {
            return Err(EXPIRED);
        }
        if self.trust && !inputs.trust.is_some_and(|trust| is_trusted(certificate, trust, inputs.now)) {
            return Err(NOT_TRUSTED);
        }
        match &self.identities {
            Some(identities) if !identities.iter().any(|identity| identity.matches(certificate, inputs)) => {
                Err(NOT_MATCHED)
            }
            _ => Ok(()),
        }
    }
}

impl Validation {
    /// Returns true if a self-made certificate always fails: by its chain, or by a thumbprint in each identity.
    pub(crate) fn proves(&self) -> bool {
        let has_thumbprint =
            |identity: &AllowedIdentity| identity.claims.iter().any(|claim| claim.name == "thumbprint");
        self.trust || self.identities.as_ref().is_some_and(|identities| identities.iter().all(has_thumbprint))
    }
}

impl AllowedIdentity {
    fn matches(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> bool {
        self.claims.iter().all(|claim| claim.matches(certificate, inputs))
    }

    /// Describes each claim, with true if it matches.
    pub(crate) fn explain(&self, inputs: &Inputs<'_>) -> Vec<(String, bool)> {
        let Presented::Certificate(certificate) = inputs.facts.presented else { return Vec::new() };
        let explain = |claim: &IdentityClaim| {
            let matches = claim.matches(certificate, inputs);
            let requirement = format!("{} is {:?}", claim.name, claim.value);
            let found = if matches { String::new() } else { claim.found(certificate, inputs) };
            (if found.is_empty() { requirement } else { format!("{requirement} (found: {found})") }, matches)
        };
        self.claims.iter().map(explain).collect()
    }
}

impl IdentityClaim {
    /// Prints the value of the certificate for this claim, names in the form of documents.
    fn found(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> String {
        let printed = match self.name {
            "thumbprint" => Some(certificate.dotnet_thumbprint()),
            "subject" => certificate.dotnet_subject(),
            "issuer-subject" | "issuer-thumbprint" | "issuer-certificate-id" => certificate.dotnet_issuer(),
            _ => None,
        };
        let printed = printed.map(ToOwned::to_owned);
        let found = match &self.matcher {
            Matcher::Rule(rule) => printed.unwrap_or_else(|| rule.finds(certificate, inputs.now)),
            Matcher::DnsName => Rule::dns_name([]).finds(certificate, inputs.now),
            Matcher::IssuerId(_) => printed.unwrap_or_else(|| certificate.issuer().to_string()),
        };
        if self.name.starts_with("issuer") { format!("the issuer {found}") } else { found }
    }

    fn matches(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> bool {
        match &self.matcher {
            Matcher::Rule(rule) => rule.answer(certificate, inputs.now) == Answer::Holds,
            Matcher::DnsName => certificate
                .subject_alternative_names()
                .iter()
                .any(|name| matches!(name, GeneralName::Dns(name) if name.eq_ignore_ascii_case(&self.value))),
            Matcher::IssuerId(id) => inputs
                .deployed()
                .by_id(id)
                .is_some_and(|issuer| issuer.issued(certificate, inputs.now) == Answer::Holds),
        }
    }
}

const FLAGS: [&str; 5] =
    ["validate-revocation", "validate-trust", "validate-not-before", "validate-not-after", "ignore-error"];
const CLAIMS: [&str; 8] = [
    "thumbprint",
    "serial-number",
    "common-name",
    "subject",
    "dns-name",
    "issuer-subject",
    "issuer-thumbprint",
    "issuer-certificate-id",
];

impl Compiler<'_> {
    pub(super) fn validate_client_certificate(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &FLAGS, &["identities"]);
        let [revocation, trust, not_before, not_after, ignore_error] =
            FLAGS.map(|flag| self.flag(element, flag, flag != "ignore-error"));
        if trust == Some(true) && self.trust.is_none() {
            self.findings.error_about(
                FindingKind::Trust,
                element.position,
                "validate-trust needs trusted roots, and none are configured",
                "configure the callers' CAs, or write validate-trust=\"false\"",
            );
        }
        if revocation == Some(true) && !self.scope.is_revocation_off {
            self.findings.error_about(
                FindingKind::Revocation,
                element.position,
                "validate-revocation is true (the default), and revocation is not configured",
                "turn revocation checks off (CRLs are not supported yet) or write validate-revocation=\"false\"",
            );
        }
        if trust == Some(true) && (not_before == Some(false) || not_after == Some(false)) {
            let message = "validate-trust checks the dates of the whole chain, including the certificate";
            self.findings.warn(element.position, message);
        }
        let lists: Vec<_> = element.children.iter().filter(|child| child.name == "identities").collect();
        let identities = match lists.as_slice() {
            [] => Some(None),
            [list] => self.identities(list).map(Some),
            _ => self.error(element, "duplicate <identities>; keep one"),
        };
        let (trust, ignore_error) = (trust?, ignore_error?);
        let validation = Validation {
            trust,
            not_before: not_before?,
            not_after: not_after?,
            ignore_error,
            identities: identities?,
        };
        let used = &mut self.analysis.used;
        used.certificate = true;
        used.trust |= trust;
        used.revocation |= revocation == Some(true);
        Some(Action::Validate(Box::new(validation)))
    }

    fn identities(&mut self, element: &Element) -> Option<Vec<AllowedIdentity>> {
        self.check_shape(element, &[], &["identity"]);
        if element.children.is_empty() {
            return self
                .error(element, "<identities> is empty: no certificate would match; add an <identity>");
        }
        let identities: Vec<_> = element
            .children
            .iter()
            .filter(|child| child.name == "identity")
            .map(|child| self.identity(child))
            .collect();
        identities.into_iter().collect()
    }

    fn identity(&mut self, element: &Element) -> Option<AllowedIdentity> {
        self.check_shape(element, &CLAIMS, &[]);
        let issuers = CLAIMS[5..].iter().filter(|name| element.attribute(name).is_some()).count();
        if issuers > 1 && element.attribute("issuer-certificate-id").is_some() {
            return self
                .error(element, "issuer-certificate-id excludes issuer-subject and issuer-thumbprint");
        }
        let mut claims = Vec::new();
        let mut is_sound = true;
        for name in CLAIMS {
            if element.attribute(name).is_none() {
                continue;
            }
            match self.claim(element, name) {
                Some(claim) => claims.push(claim),
                None => is_sound = false,
            }
        }
        if is_sound && claims.is_empty() {
            return self.error(
                element,
                "<identity> without claims would match every certificate; add a claim such as thumbprint or subject",
            );
        }
        is_sound.then_some(AllowedIdentity { claims })
    }

    fn claim(&mut self, element: &Element, name: &'static str) -> Option<IdentityClaim> {
        let attribute = self.required(element, name)?;
        let value = self.literal(attribute)?.trim().to_owned();
        let position = attribute.position;
        let error = |compiler: &mut Self, message: String| {
            compiler.findings.error(position, message);
            None
        };
        let matcher = match name {
            "thumbprint" | "issuer-thumbprint" => match value.parse::<Thumbprint>() {
                Ok(thumbprint @ Thumbprint::Sha1(_)) if name == "thumbprint" => {
                    Matcher::Rule(Rule::thumbprint([thumbprint]))
                }
                Ok(thumbprint @ Thumbprint::Sha1(_)) => Matcher::Rule(match self.trust {
                    Some(roots) => Rule::issuer_thumbprint_among([thumbprint], roots.clone()),
                    None => Rule::issuer_thumbprint([thumbprint]),
                }),
                Ok(_) => {
                    return error(self, "invalid thumbprint; use SHA-1, 40 hex digits, as in APIM".into());
                }
                Err(invalid) => return error(self, invalid.to_string()),
            },
            "serial-number" => match value.parse::<SerialNumber>() {
                Ok(serial) => Matcher::Rule(Rule::serial([serial])),
                Err(invalid) => return error(self, invalid.to_string()),
            },
            "common-name" => Matcher::Rule(Rule::common_name([value.as_str()])),
            "subject" | "issuer-subject" => match value.parse::<NamePattern>() {
                Ok(pattern) if name == "subject" => Matcher::Rule(Rule::subject([pattern])),
                Ok(pattern) => Matcher::Rule(Rule::issuer([pattern])),
                Err(invalid) => return error(self, invalid.to_string()),
            },
            "dns-name" => {
                if value.contains('*') {
                    let message = "'*' in dns-name is not a wildcard: it matches only a literal '*'";
                    self.findings.warn(position, message);
                }
                Matcher::DnsName
            }
            _ => {
                let id: Arc<str> = value.as_str().into();
                self.add_reference(crate::apim::program::CertificateKey::Id(id.clone()), position, false);
                Matcher::IssuerId(id)
            }
        };
        Some(IdentityClaim { name, value, matcher })
    }
}
