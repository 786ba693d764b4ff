//! Names and general settings that sections refer to.

use std::collections::BTreeSet;

use super::diagnostic::quoted;
use super::limits::RequestLimits;
use super::listener::CertificateRequest;
use super::located::Located;
use super::names;
use super::report::Report;

/// Names and general settings that routes and other sections refer to.
#[derive(Debug)]
pub(crate) struct DefinedNames {
    /// The names of `[trust]`.
    pub(crate) trust: BTreeSet<String>,
    /// Whether there is a `[store]`.
    pub(crate) has_store: bool,
    /// The names of `[identities]`.
    pub(crate) identities: BTreeSet<String>,
    /// Whether the listener requests or requires a client certificate.
    pub(crate) certificate_request: CertificateRequest,
    /// Limits of routes without their own.
    pub(crate) request_limits: RequestLimits,
}

impl DefinedNames {
    /// The set of CAs, if there is exactly one.
    pub(super) fn only_trust(&self) -> Option<&str> {
        let mut sets = self.trust.iter();
        sets.next().map(String::as_str).filter(|_| sets.next().is_none())
    }

    /// Reports a set of CAs that is not defined.
    pub(crate) fn check_trust(&self, trust: Option<&Located<String>>, report: &Report) {
        if let Some(trust) = trust.filter(|trust| !self.trust.contains(trust.as_str())) {
            let remedy = names::defined_name(trust, "trust", self.trust.iter().map(String::as_str));
            report.missing(trust.line, &trust.key, format!("{} is not defined", quoted(trust)), remedy);
        }
    }

    /// Reports an identity that is not defined.
    pub(crate) fn check_identity(&self, identity: Option<&Located<String>>, report: &Report) {
        if let Some(identity) = identity.filter(|identity| !self.identities.contains(identity.as_str())) {
            let remedy =
                names::defined_name(identity, "identities", self.identities.iter().map(String::as_str));
            report.missing(
                identity.line,
                &identity.key,
                format!("{} is not defined", quoted(identity)),
                remedy,
            );
        }
    }
}
