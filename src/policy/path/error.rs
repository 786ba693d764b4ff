//! Reasons why a path is not valid.

use std::fmt;

use super::{key::Key, signature::SignatureError};
use crate::{
    certificate::Timestamp,
    policy::{ChainVerdict, SignatureAlgorithm},
};

/// Reason why a chain is not valid, and the certificate at which it was found. Prints both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct PathError {
    pub(super) role: Role,
    /// The printed subject of the certificate.
    pub(super) name: String,
    pub(super) failure: Failure,
}

/// Position of a certificate in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Leaf,
    Ca,
    Root,
    /// A certificate that cannot be read, by its position among those sent along, from 1.
    Sent(usize),
}

/// Reason, by the step of RFC 5280, section 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The name of a malformed field.
    Malformed(&'static str),
    /// No root or certificate sent along has the issuer's name.
    UnknownIssuer,
    Limit(&'static str),
    // 6.1.3 (a).
    Signature(SignatureError),
    SignatureAlgorithm(SignatureAlgorithm),
    Key(Key, usize),
    Expired(Timestamp),
    NotYetValid(Timestamp),
    Revoked,
    RevocationUnknown(String),
    // 6.1.3 (b), (c).
    NameConstraint(String),
    // 6.1.3 (f), 6.1.5 (g).
    Policy,
    // 6.1.4 (k) to (n).
    Version,
    NotCa,
    PathLength,
    CaKeyUsage,
    // 6.1.4 (o), 6.1.5 (f): the OID.
    CriticalExtension(String),
    // 4.2.1.3, 4.2.1.10 and 4.2.1.12.
    LeafKeyUsage,
    LeafNameConstraints,
    Purpose,
}

impl Failure {
    pub(super) const TOO_MANY_STEPS: Self =
        Self::Limit("the search for its issuers takes too many steps; send fewer certificates");
}

impl PathError {
    /// The verdict on the chain.
    pub(in crate::policy) fn verdict(&self) -> ChainVerdict {
        match &self.failure {
            Failure::Expired(_) | Failure::NotYetValid(_) if self.role == Role::Root => {
                ChainVerdict::RootOutsideValidity
            }
            Failure::Malformed(_) => ChainVerdict::NotTrusted,
            Failure::UnknownIssuer => ChainVerdict::UnknownIssuer,
            Failure::Limit(_) => ChainVerdict::Limit,
            Failure::Signature(SignatureError::Wrong) => ChainVerdict::Signature,
            Failure::Signature(SignatureError::Unsupported(_)) | Failure::SignatureAlgorithm(_) => {
                ChainVerdict::Algorithm
            }
            Failure::Key(..) => ChainVerdict::Key,
            Failure::Expired(_) => ChainVerdict::Expired,
            Failure::NotYetValid(_) => ChainVerdict::NotYetValid,
            Failure::Revoked => ChainVerdict::Revoked,
            Failure::RevocationUnknown(_) => ChainVerdict::RevocationUnknown,
            Failure::NameConstraint(_) | Failure::LeafNameConstraints => ChainVerdict::NameConstraint,
            Failure::Policy => ChainVerdict::Policy,
            Failure::Version => ChainVerdict::Version,
            Failure::NotCa => ChainVerdict::LeafAsCa,
            Failure::PathLength => ChainVerdict::PathLength,
            Failure::CaKeyUsage => ChainVerdict::CaKeyUsage,
            Failure::CriticalExtension(_) => ChainVerdict::CriticalExtension,
            Failure::LeafKeyUsage => ChainVerdict::LeafKeyUsage,
            Failure::Purpose => ChainVerdict::WrongPurpose,
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holder = Holder(self);
        match &self.failure {
            Failure::Malformed(field) => write!(f, "{holder} cannot be read: {field}"),
            Failure::UnknownIssuer if self.role == Role::Leaf => {
                f.write_str("no root or presented certificate issued it")
            }
            Failure::UnknownIssuer => write!(f, "no root or presented certificate issued {holder}"),
            Failure::Limit(reason) => write!(f, "{holder}: {reason}"),
            Failure::Signature(SignatureError::Wrong) => {
                write!(f, "the signature of {holder} is wrong: a CA with the right name and another key")
            }
            Failure::Signature(SignatureError::Unsupported(name)) => {
                write!(f, "the signature algorithm of {holder} is not supported: {name}")
            }
            Failure::SignatureAlgorithm(algorithm) => {
                write!(
                    f,
                    "the signature algorithm of {holder}, {algorithm}, is not among signature_algorithms"
                )
            }
            Failure::Key(Key::Rsa { bits }, minimum) if bits < minimum => {
                write!(f, "the key of {holder} has {bits} bits; RSA keys need {minimum}")
            }
            Failure::Key(key, _) => write!(f, "the key of {holder} is not supported: {key}"),
            Failure::Expired(end) => write!(f, "{holder} expired at {end}"),
            Failure::NotYetValid(start) => write!(f, "{holder} is not valid before {start}"),
            Failure::Revoked => write!(f, "{holder} is revoked"),
            Failure::RevocationUnknown(reason) => {
                write!(f, "the revocation status of {holder} is unknown: {reason}")
            }
            Failure::NameConstraint(reason) => {
                write!(f, "the name constraints of a CA reject {holder}: {reason}")
            }
            Failure::Policy => write!(f, "no certificate policy is valid for the chain to {holder}"),
            Failure::Version => write!(f, "{holder} is not of X.509 version 3, so it cannot be a CA"),
            Failure::NotCa => {
                write!(f, "{holder} is not a CA: its basicConstraints lack cA, but it signed a certificate")
            }
            Failure::PathLength => {
                write!(f, "the path length of a CA does not allow {holder} below it (pathLenConstraint)")
            }
            Failure::CaKeyUsage => {
                write!(f, "the key usage of {holder} lacks keyCertSign: it may not sign certificates")
            }
            Failure::CriticalExtension(oid) => {
                write!(f, "{holder} has the critical extension {oid}, which is not supported")
            }
            Failure::LeafKeyUsage => write!(
                f,
                "the key usage of {holder} has neither digitalSignature nor keyAgreement: it may not authenticate a \
                 client"
            ),
            Failure::LeafNameConstraints => {
                write!(f, "{holder} has nameConstraints, which only CA certificates may have")
            }
            Failure::Purpose => {
                write!(f, "{holder} is not meant for client authentication: its extKeyUsage lacks clientAuth")
            }
        }
    }
}

/// The certificate, as in `CA "CN=issuing,O=Contoso"`.
struct Holder<'a>(&'a PathError);

impl fmt::Display for Holder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.role {
            Role::Leaf => f.write_str("the client certificate"),
            Role::Ca => write!(f, "CA {:?}", self.0.name),
            Role::Root => write!(f, "root {:?}", self.0.name),
            Role::Sent(position) => write!(f, "certificate {position} of those sent along"),
        }
    }
}
