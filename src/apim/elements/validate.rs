//! `validate-client-certificate`: compiled, and judged.

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

/// What must hold of a certificate.
#[derive(Debug)]
pub(crate) struct Validation {
    pub(crate) trust: bool,
    pub(crate) not_before: bool,
    pub(crate) not_after: bool,
    pub(crate) ignore_error: bool,
    /// One of these, if there are any.
    pub(crate) identities: Option<Vec<Identity>>,
}

/// Claims that must all hold.
#[derive(Debug)]
pub(crate) struct Identity {
    claims: Vec<Claim>,
}

#[derive(Debug)]
struct Claim {
    /// The attribute, for explanations.
    name: &'static str,
    written: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Rule(Rule),
    DnsName,
    IssuerId(Arc<str>),
}

/// Why a certificate is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    /// What the caller is told.
    pub(crate) answer: &'static str,
    pub(crate) kind: RejectionKind,
}

const NOT_FOUND: Invalid = Invalid {
    code: "ClientCertificateNotFound",
    message: "Client certificate missing",
    answer: "Client certificate missing",
    kind: RejectionKind::Missing,
};
const NOT_YET_VALID: Invalid = Invalid {
    code: "ClientCertificateNotYetValid",
    message: "Certificate is not yet valid.",
    answer: "Invalid client certificate",
    kind: RejectionKind::NotYetValid,
};
const EXPIRED: Invalid = Invalid {
    code: "ClientCertificateExpired",
    message: "Certificate has expired.",
    answer: "Invalid client certificate",
    kind: RejectionKind::Expired,
};
const NOT_TRUSTED: Invalid = Invalid {
    code: "ClientCertificateNotTrusted",
    message: "A certificate chain could not be built to a trusted root authority.",
    answer: "Invalid client certificate",
    kind: RejectionKind::NotTrusted,
};
const NOT_MATCHED: Invalid = Invalid {
    code: "ClientCertificateIdentityNotMatched",
    message: "Certificate does not match any of allowed identities.",
    answer: "Invalid client certificate",
    kind: RejectionKind::NotMember,
};

impl Validation {
    /// Whether the trusted roots are looked at.
    pub(crate) fn asks_for_roots(&self) -> bool {
        let claims = self.identities.iter().flatten().flat_map(|identity| &identity.claims);
        self.trust || claims.into_iter().any(|claim| claim.name == "issuer-thumbprint")
    }

    /// Dates before trust, trust before identity.
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
    /// Whether it refuses whatever somebody made themselves, if it refuses.
    pub(crate) fn proves(&self) -> bool {
        self.trust || self.identities.as_ref().is_some_and(|identities| prove(identities))
    }

    /// Whether it demands more than a certificate.
    pub(crate) fn demands(&self) -> bool {
        self.trust || self.not_before || self.not_after || self.identities.is_some()
    }
}

impl Identity {
    fn matches(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> bool {
        self.claims.iter().all(|claim| claim.holds(certificate, inputs))
    }

    /// Each claim, and whether it holds.
    pub(crate) fn explain(&self, inputs: &Inputs<'_>) -> Vec<(String, bool)> {
        let Presented::Certificate(certificate) = inputs.facts.presented else { return Vec::new() };
        let explain = |claim: &Claim| {
            let holds = claim.holds(certificate, inputs);
            let demand = format!("{} is {:?}", claim.name, claim.written);
            let found = if holds { String::new() } else { claim.found(certificate, inputs) };
            (if found.is_empty() { demand } else { format!("{demand} (it has: {found})") }, holds)
        };
        self.claims.iter().map(explain).collect()
    }
}

impl Claim {
    /// What the certificate has in its place, in words; names as documents write them.
    fn found(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> String {
        let printed = match self.name {
            "thumbprint" => Some(certificate.dotnet_thumbprint()),
            "subject" => certificate.dotnet_subject(),
            "issuer-subject" | "issuer-thumbprint" | "issuer-certificate-id" => certificate.dotnet_issuer(),
            _ => None,
        };
        let printed = printed.map(ToOwned::to_owned);
        let found = match &self.test {
            Test::Rule(rule) => printed.unwrap_or_else(|| rule.finds(certificate, inputs.now)),
            Test::DnsName => Rule::dns_name([]).finds(certificate, inputs.now),
            Test::IssuerId(_) => printed.unwrap_or_else(|| certificate.issuer().to_string()),
        };
        if self.name.starts_with("issuer") { format!("the issuer {found}") } else { found }
    }

    fn holds(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> bool {
        match &self.test {
            Test::Rule(rule) => rule.answer(certificate, inputs.now) == Answer::Holds,
            Test::DnsName => certificate.subject_alternative_names().iter().any(
                |name| matches!(name, GeneralName::Dns(name) if name.eq_ignore_ascii_case(&self.written)),
            ),
            Test::IssuerId(id) => inputs
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
                "validate-trust needs trusted roots, and there are none here",
                "name the CAs that callers chain to, or write validate-trust=\"false\"",
            );
        }
        if revocation == Some(true) && !self.scope.is_revocation_off {
            self.findings.error_about(
                FindingKind::Revocation,
                element.position,
                "validate-revocation is true (its default), and revocation is not stated",
                "state beside the trusted roots that it is off (lists of revoked certificates are not supported yet), or \
                 write validate-revocation=\"false\"",
            );
        }
        if trust == Some(true) && (not_before == Some(false) || not_after == Some(false)) {
            let message =
                "validate-trust judges the dates of the whole chain, the certificate's own included";
            self.findings.warn(element.position, message);
        }
        let lists: Vec<_> = element.children.iter().filter(|child| child.name == "identities").collect();
        let identities = match lists.as_slice() {
            [] => Some(None),
            [list] => self.identities(list).map(Some),
            _ => self.error(element, "<identities> stands only once"),
        };
        let (trust, ignore_error) = (trust?, ignore_error?);
        let validation = Validation {
            trust,
            not_before: not_before?,
            not_after: not_after?,
            ignore_error,
            identities: identities?,
        };
        let used = &mut self.facts.used;
        used.certificate = true;
        used.trust |= trust;
        used.revocation |= revocation == Some(true);
        if !ignore_error {
            self.facts.judged.certificate = true;
        }
        Some(Action::Validate(Box::new(validation)))
    }

    fn identities(&mut self, element: &Element) -> Option<Vec<Identity>> {
        self.check_shape(element, &[], &["identity"]);
        if element.children.is_empty() {
            return self.error(element, "<identities> is empty, so nobody would pass: add an <identity>");
        }
        let identities: Vec<_> = element
            .children
            .iter()
            .filter(|child| child.name == "identity")
            .map(|child| self.identity(child))
            .collect();
        identities.into_iter().collect()
    }

    fn identity(&mut self, element: &Element) -> Option<Identity> {
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
                "an <identity> without claims matches everyone: name a thumbprint or a subject",
            );
        }
        is_sound.then_some(Identity { claims })
    }

    fn claim(&mut self, element: &Element, name: &'static str) -> Option<Claim> {
        let attribute = self.required(element, name)?;
        let written = self.literal(attribute)?.trim().to_owned();
        let position = attribute.position;
        let problem = |compiler: &mut Self, message: String| {
            compiler.findings.error(position, message);
            None
        };
        let test = match name {
            "thumbprint" | "issuer-thumbprint" => match written.parse::<Thumbprint>() {
                Ok(thumbprint @ Thumbprint::Sha1(_)) if name == "thumbprint" => {
                    Test::Rule(Rule::thumbprint([thumbprint]))
                }
                Ok(thumbprint @ Thumbprint::Sha1(_)) => Test::Rule(match self.trust {
                    Some(roots) => Rule::issuer_thumbprint_among([thumbprint], roots.clone()),
                    None => Rule::issuer_thumbprint([thumbprint]),
                }),
                Ok(_) => {
                    return problem(self, "a thumbprint is SHA-1 here, as in APIM: 40 hex digits".into());
                }
                Err(error) => return problem(self, error.to_string()),
            },
            "serial-number" => match written.parse::<SerialNumber>() {
                Ok(serial) => Test::Rule(Rule::serial([serial])),
                Err(error) => return problem(self, error.to_string()),
            },
            "common-name" => Test::Rule(Rule::common_name([written.as_str()])),
            "subject" | "issuer-subject" => match written.parse::<NamePattern>() {
                Ok(pattern) if name == "subject" => Test::Rule(Rule::subject([pattern])),
                Ok(pattern) => Test::Rule(Rule::issuer([pattern])),
                Err(error) => return problem(self, error.to_string()),
            },
            "dns-name" => {
                if written.contains('*') {
                    let message = "a '*' in dns-name matches only a certificate with that very entry";
                    self.findings.warn(position, message);
                }
                Test::DnsName
            }
            _ => {
                let id: Arc<str> = written.as_str().into();
                self.name(crate::apim::program::CertificateKey::Id(id.clone()), position, false);
                Test::IssuerId(id)
            }
        };
        Some(Claim { name, written, test })
    }
}

/// Whether every identity demands something that cannot be forged.
fn prove(identities: &[Identity]) -> bool {
    identities.iter().all(|identity| {
        identity
            .claims
            .iter()
            .any(|claim| matches!(claim.name, "thumbprint" | "issuer-thumbprint" | "issuer-certificate-id"))
    })
}
