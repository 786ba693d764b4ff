//! The element `validate-client-certificate`.

use std::sync::Arc;

use super::{Compiler, Element};
use crate::{
    apim::{
        error::FindingKind,
        program::{Action, CertificateKey},
        validation::{AllowedIdentity, IdentityClaim, Matcher, Validation},
    },
    certificate::{SerialNumber, Thumbprint},
    policy::{NamePattern, Rule},
};

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
                self.add_reference(CertificateKey::Id(id.clone()), position, false);
                Matcher::IssuerId(id)
            }
        };
        Some(IdentityClaim { name, value, matcher })
    }
}
