//! Members of certificates that are not stored as text, and chain verification.

use std::borrow::Cow;

use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{CHAIN_STEPS, Evaluated, Evaluation, certificate_text, time};
use crate::{
    apim::{
        dotnet,
        expression::{
            node::{CertificateText, Function},
            value::{CertificateValue, Fault, Value},
        },
    },
    certificate::{Certificate, DistinguishedName, GeneralName, SingleValue, Thumbprint, Timestamp},
    policy::{Answer, Rule, TrustAnchors},
};

const COMMON_NAME: Fault =
    Fault::CannotTell("The name has no common name or several; .NET chooses another attribute.");
const ALGORITHM: Fault = Fault::CannotTell("The name of this signature algorithm depends on the platform.");

/// Signature algorithms: object identifiers, and .NET's names on all platforms.
const ALGORITHMS: [(&str, &str); 7] = [
    ("1.2.840.113549.1.1.5", "sha1RSA"),
    ("1.2.840.113549.1.1.11", "sha256RSA"),
    ("1.2.840.113549.1.1.12", "sha384RSA"),
    ("1.2.840.113549.1.1.13", "sha512RSA"),
    ("1.2.840.10045.4.3.2", "sha256ECDSA"),
    ("1.2.840.10045.4.3.3", "sha384ECDSA"),
    ("1.2.840.10045.4.3.4", "sha512ECDSA"),
];

/// Returns true if the certificate chains to a trusted root or is one itself.
///
/// As in .NET, a trusted root is valid as a client certificate, which allows self-signed ones: the operator trusts this
/// exact certificate, and the handshake proves its key.
pub(crate) fn is_trusted(certificate: &Certificate, trust: &TrustAnchors, now: Timestamp) -> bool {
    if trust.lists(certificate) {
        return certificate.validity().contains(now);
    }
    Rule::trust(trust.clone()).answer(certificate, now) == Answer::Holds
}

/// Reason for a recent negative result of [`is_trusted`], if there is one. Verifies no chain.
pub(crate) fn trust_failure(
    certificate: &Certificate,
    trust: &TrustAnchors,
    now: Timestamp,
) -> Option<&'static str> {
    let validity = certificate.validity();
    let lists = trust.lists(certificate);
    let failure = trust.known_failure(certificate, now).filter(|_| !lists);
    if !lists && failure.is_none() {
        return None;
    }
    if now > validity.not_after {
        Some("the certificate has expired")
    } else if now < validity.not_before {
        Some("the certificate is not valid yet")
    } else {
        failure
    }
}

impl<'r> Evaluation<'_, 'r> {
    pub(super) fn call_certificate(&mut self, function: Function, value: Value<'r>) -> Evaluated<Value<'r>> {
        match (function, value) {
            (Function::PairValue, Value::Pair(entry)) => Ok(Value::Certificate(CertificateValue {
                certificate: entry.certificate(),
                has_private_key: entry.has_private_key(),
            })),
            (Function::PairKey, Value::Pair(entry)) => {
                Ok(Value::borrowed(dotnet::thumbprint(entry.certificate())))
            }
            (function, Value::Certificate(certificate)) => self.certificate_member(function, certificate),
            _ => Err(Fault::NullReference),
        }
    }

    fn certificate_member(
        &mut self,
        function: Function,
        which: CertificateValue<'r>,
    ) -> Evaluated<Value<'r>> {
        let certificate = which.certificate;
        let moment = |at| Ok(Value::DateTime(time::from_timestamp(at)));
        match function {
            Function::NotBefore => moment(certificate.validity().not_before),
            Function::NotAfter => moment(certificate.validity().not_after),
            Function::HasPrivateKey => Ok(Value::Bool(which.has_private_key)),
            Function::Verify => {
                self.step(CHAIN_STEPS)?;
                let trust = self.inputs.trust.ok_or(Fault::CannotTell("No trusted roots are configured."))?;
                Ok(Value::Bool(is_trusted(certificate, trust, self.inputs.now)))
            }
            Function::SimpleName { of_issuer } => {
                let name = if of_issuer { certificate.issuer() } else { certificate.subject() };
                // Fails if a value of the name cannot be decoded.
                let which = if of_issuer { CertificateText::Issuer } else { CertificateText::Subject };
                certificate_text(which, CertificateValue { certificate, has_private_key: false })?;
                common_name(name)
            }
            Function::DnsName { or_common_name } => {
                let dns = certificate.subject_alternative_names().iter().find_map(|name| match name {
                    GeneralName::Dns(name) => Some(name.as_str()),
                    _ => None,
                });
                match dns {
                    Some(dns) => Ok(Value::borrowed(dns)),
                    None if or_common_name => common_name(certificate.subject()),
                    None => Ok(Value::borrowed("")),
                }
            }
            Function::RawData => Ok(Value::Bytes(Cow::Borrowed(certificate.der()))),
            Function::Sha1 => match certificate.sha1_thumbprint() {
                Thumbprint::Sha1(bytes) => Ok(Value::Bytes(bytes.to_vec().into())),
                _ => Err(Fault::InvalidCast),
            },
            Function::SerialReversed => {
                let bytes: Vec<u8> = certificate.serial().as_bytes().iter().rev().copied().collect();
                Ok(Value::Bytes(bytes.into()))
            }
            Function::Version => {
                let version = self.parsed(certificate)?.version().0;
                Ok(Value::Int(i32::try_from(version).unwrap_or(0) + 1))
            }
            Function::SignatureAlgorithm { is_name } => {
                let oid = self.parsed(certificate)?.signature_algorithm.algorithm.to_id_string();
                if !is_name {
                    return self.text(oid);
                }
                let name = ALGORITHMS.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
                name.map(Value::borrowed).ok_or(ALGORITHM)
            }
            _ => Err(Fault::InvalidCast),
        }
    }

    /// Parses the certificate again, for rarely used members.
    fn parsed(&mut self, certificate: &'r Certificate) -> Evaluated<X509Certificate<'r>> {
        self.step(200)?;
        match X509Certificate::from_der(certificate.der()) {
            Ok((_, parsed)) => Ok(parsed),
            Err(_) => Err(Fault::CannotTell("The certificate cannot be parsed.")),
        }
    }
}

fn common_name(name: &DistinguishedName) -> Evaluated<Value<'_>> {
    match name.common_name() {
        SingleValue::One(only) => Ok(Value::borrowed(only)),
        _ => Err(COMMON_NAME),
    }
}
