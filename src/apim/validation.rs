//! Requirements of `validate-client-certificate`, and their check at run time.

use super::{dotnet, expression::Inputs};
use crate::{
    certificate::{Certificate, GeneralName, Presented},
    policy::{Answer, ChainVerdict, Rule},
};

/// Requirements for a certificate.
#[derive(Debug)]
pub(crate) struct Validation {
    pub(crate) trust: bool,
    /// True if the chain is checked against revocation lists. Without effect unless `trust` is true.
    pub(crate) revocation: bool,
    pub(crate) not_before: bool,
    pub(crate) not_after: bool,
    pub(crate) ignore_error: bool,
    /// Alternatives, one of which must match with all its claims.
    pub(crate) identities: Option<Vec<Vec<IdentityClaim>>>,
}

/// An attribute of an `identity`.
#[derive(Debug)]
pub(crate) struct IdentityClaim {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) matcher: Matcher,
}

#[derive(Debug)]
pub(crate) enum Matcher {
    Rule(Rule),
    DnsName,
    IssuerId,
}

/// The reason why a certificate is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    /// The message in the response.
    pub(crate) response: &'static str,
}

const NOT_FOUND: Invalid = Invalid {
    response: "Client certificate missing",
    ..invalid("ClientCertificateNotFound", "Client certificate missing")
};
pub(crate) const NOT_YET_VALID: Invalid =
    invalid("ClientCertificateNotYetValid", "Certificate is not yet valid.");
pub(crate) const EXPIRED: Invalid = invalid("ClientCertificateExpired", "Certificate has expired.");
pub(crate) const NOT_TRUSTED: Invalid = invalid(
    "ClientCertificateNotTrusted",
    "A certificate chain could not be built to a trusted root authority.",
);
pub(crate) const REVOKED: Invalid = invalid("ClientCertificateRevoked", "The certificate is revoked.");
pub(crate) const REVOCATION_UNKNOWN: Invalid = invalid(
    "ClientCertificateRevocationUnknown",
    "The revocation function was unable to check revocation for the certificate.",
);
const NOT_MATCHED: Invalid =
    invalid("ClientCertificateIdentityNotMatched", "Certificate does not match any of allowed identities.");

const fn invalid(code: &'static str, message: &'static str) -> Invalid {
    Invalid { code, message, response: "Invalid client certificate" }
}

impl Validation {
    /// Returns true if the result depends on the trusted roots.
    pub(crate) fn uses_trust(&self) -> bool {
        let mut claims = self.identities.iter().flatten().flatten();
        self.trust || claims.any(|claim| claim.name == "issuer-thumbprint")
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
        if self.trust {
            self.judge_chain(certificate, inputs)?;
        }
        let matches = |claims: &Vec<IdentityClaim>| claims.iter().all(|it| it.matches(certificate, inputs));
        match &self.identities {
            Some(identities) if !identities.iter().any(matches) => Err(NOT_MATCHED),
            _ => Ok(()),
        }
    }

    fn judge_chain(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> Result<(), Invalid> {
        let roots = inputs.trust.map(|trust| trust.for_check(self.revocation)).ok_or(NOT_TRUSTED)?;
        match roots.chain_verdict(certificate, inputs.now) {
            Some(ChainVerdict::Trusted) => Ok(()),
            Some(ChainVerdict::Revoked) => Err(REVOKED),
            Some(ChainVerdict::RevocationUnknown) => Err(REVOCATION_UNKNOWN),
            _ => Err(NOT_TRUSTED),
        }
    }

    /// Returns true if a self-made certificate always fails: by its chain, or by a thumbprint in each identity.
    pub(crate) fn proves(&self) -> bool {
        let has_thumbprint =
            |claims: &Vec<IdentityClaim>| claims.iter().any(|claim| claim.name == "thumbprint");
        let identities = self.identities.as_deref().unwrap_or_default();
        self.trust || (!identities.is_empty() && identities.iter().all(has_thumbprint))
    }
}

impl IdentityClaim {
    /// Describes the claim and the result of its comparison.
    pub(crate) fn explain(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> String {
        let requirement = format!("{} is {:?}", self.name, self.value);
        if self.matches(certificate, inputs) {
            return format!("holds: {requirement}");
        }
        match self.found(certificate, inputs).as_str() {
            "" => format!("FAILS: {requirement}"),
            found => format!("FAILS: {requirement} (found: {found})"),
        }
    }

    /// Prints the value of the certificate for this claim, names in the form of documents.
    fn found(&self, certificate: &Certificate, inputs: &Inputs<'_>) -> String {
        let printed = match self.name {
            "thumbprint" => Some(dotnet::thumbprint(certificate)),
            "subject" => dotnet::subject(certificate),
            "issuer-subject" | "issuer-thumbprint" | "issuer-certificate-id" => dotnet::issuer(certificate),
            _ => None,
        };
        let printed = printed.map(ToOwned::to_owned);
        let found = match &self.matcher {
            Matcher::Rule(rule) => printed.unwrap_or_else(|| rule.finds(certificate, inputs.now)),
            Matcher::DnsName => Rule::dns_name([]).finds(certificate, inputs.now),
            Matcher::IssuerId => printed.unwrap_or_else(|| certificate.issuer().to_string()),
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
            Matcher::IssuerId => inputs
                .deployed()
                .by_id(&self.value)
                .is_some_and(|issuer| issuer.issued(certificate, inputs.now) == Answer::Holds),
        }
    }
}
