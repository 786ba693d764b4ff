//! The element `validate-client-certificate`.

use super::{Compiler, Element};
use crate::{
    apim::{
        backend::ChosenIdentity,
        error::FindingKind,
        program::Action,
        trust::DocumentTrust,
        validation::{IdentityClaim, Matcher, Validation},
    },
    certificate::SerialNumber,
    policy::{NamePattern, Rule, TrustAnchors},
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
        let [revocation, trust, not_before, not_after, ignore_error] = FLAGS.map(|flag| {
            let (default, choices) = (flag != "ignore-error", [("true", true), ("false", false)]);
            self.choice(element, flag, default, "true or false", &choices)
        });
        if trust == Some(true) && self.trust.is_none() {
            self.findings.error_about(
                FindingKind::Trust,
                element.position,
                "validate-trust needs trusted roots, and none are configured",
                "configure the callers' CAs, or write validate-trust=\"false\"",
            );
        }
        if revocation == Some(true) && trust == Some(true) && !self.scope.declares_revocation {
            self.findings.error_about(
                FindingKind::Revocation,
                element.position,
                "validate-revocation is true (the default), and revocation is not configured",
                "give the roots revocation lists, declare that they have none, or write validate-revocation=\"false\"",
            );
        }
        let is_off = self.trust.is_some_and(DocumentTrust::is_revocation_off);
        if revocation == Some(true) && trust == Some(false) && !is_off {
            self.findings.error(
                element.position,
                "validate-revocation is true (the default) and needs a chain, and validate-trust is false; write \
                 validate-trust=\"true\" or validate-revocation=\"false\"",
            );
        }
        if trust == Some(true) && (not_before == Some(false) || not_after == Some(false)) {
            let message = "validate-trust checks the dates of the whole chain, including the certificate";
            self.findings.warn(element.position, message);
        }
        let lists: Vec<_> = element.children.iter().filter(|child| child.name == "identities").collect();
        let identities = match lists.as_slice() {
            [] => Some(None),
            [list] => {
                let roots = self.trust.map(|trust| trust.for_check(revocation == Some(true)));
                self.identities(list, roots).map(Some)
            }
            _ => self.error(element.position, "duplicate <identities>; keep one"),
        };
        let validation = Validation {
            trust: trust?,
            revocation: revocation?,
            not_before: not_before?,
            not_after: not_after?,
            ignore_error: ignore_error?,
            identities: identities?,
        };
        let used = &mut self.analysis.used;
        used.certificate = true;
        used.trust |= validation.trust;
        used.revocation |= revocation == Some(true);
        Some(Action::Validate(Box::new(validation)))
    }

    /// `roots` are those of issuers.
    fn identities(
        &mut self,
        element: &Element,
        roots: Option<&TrustAnchors>,
    ) -> Option<Vec<Vec<IdentityClaim>>> {
        self.check_shape(element, &[], &["identity"]);
        if element.children.is_empty() {
            return self.error(
                element.position,
                "<identities> is empty: no certificate would match; add an <identity>",
            );
        }
        let identities: Vec<_> = element
            .children
            .iter()
            .filter(|child| child.name == "identity")
            .map(|child| self.identity(child, roots))
            .collect();
        identities.into_iter().collect()
    }

    fn identity(&mut self, element: &Element, roots: Option<&TrustAnchors>) -> Option<Vec<IdentityClaim>> {
        self.check_shape(element, &CLAIMS, &[]);
        let issuers = CLAIMS[5..].iter().filter(|name| element.attribute(name).is_some()).count();
        if issuers > 1 && element.attribute("issuer-certificate-id").is_some() {
            return self.error(
                element.position,
                "issuer-certificate-id excludes issuer-subject and issuer-thumbprint",
            );
        }
        let given = CLAIMS.into_iter().filter(|name| element.attribute(name).is_some());
        let claims: Vec<_> = given.map(|name| self.claim(element, name, roots)).collect();
        if claims.is_empty() {
            return self.error(
                element.position,
                "<identity> without claims would match every certificate; add a claim such as thumbprint or subject",
            );
        }
        claims.into_iter().collect()
    }

    fn claim(
        &mut self,
        element: &Element,
        name: &'static str,
        roots: Option<&TrustAnchors>,
    ) -> Option<IdentityClaim> {
        let attribute = self.required(element, name)?;
        let value = self.literal(attribute)?.trim().to_owned();
        let position = attribute.position;
        let rule = match name {
            "thumbprint" => Rule::thumbprint([self.thumbprint(position, &value)?]),
            "issuer-thumbprint" => {
                let thumbprint = [self.thumbprint(position, &value)?];
                match roots {
                    Some(roots) => Rule::issuer_thumbprint_among(thumbprint, roots.clone()),
                    None => Rule::issuer_thumbprint(thumbprint),
                }
            }
            "serial-number" => Rule::serial([self.parsed::<SerialNumber>(position, &value)?]),
            "common-name" => Rule::common_name([value.as_str()]),
            "subject" => Rule::subject([self.parsed::<NamePattern>(position, &value)?]),
            "issuer-subject" => Rule::issuer([self.parsed::<NamePattern>(position, &value)?]),
            "dns-name" => {
                if value.contains('*') {
                    let message = "'*' in dns-name is not a wildcard: it matches only a literal '*'";
                    self.findings.warn(position, message);
                }
                return Some(IdentityClaim { name, value, matcher: Matcher::DnsName });
            }
            _ => {
                self.add_reference(&ChosenIdentity::Id(value.as_str().into()), position, false, None);
                return Some(IdentityClaim { name, value, matcher: Matcher::IssuerId });
            }
        };
        Some(IdentityClaim { name, value, matcher: Matcher::Rule(rule) })
    }
}
