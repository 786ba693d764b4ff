//! Verdicts on chains.

use super::RejectionKind;

/// Result for a chain. Cached in five bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainVerdict {
    Trusted,
    NotTrusted,
    WrongPurpose,
    UnknownIssuer,
    LeafAsCa,
    Version,
    Expired,
    NotYetValid,
    NameConstraint,
    PathLength,
    CriticalExtension,
    Signature,
    CaKeyUsage,
    LeafKeyUsage,
    RootOutsideValidity,
    Revoked,
    RevocationUnknown,
    Policy,
    Key,
    Algorithm,
    Limit,
}

impl ChainVerdict {
    const ALL: [Self; 21] = [
        Self::Trusted,
        Self::NotTrusted,
        Self::WrongPurpose,
        Self::UnknownIssuer,
        Self::LeafAsCa,
        Self::Version,
        Self::Expired,
        Self::NotYetValid,
        Self::NameConstraint,
        Self::PathLength,
        Self::CriticalExtension,
        Self::Signature,
        Self::CaKeyUsage,
        Self::LeafKeyUsage,
        Self::RootOutsideValidity,
        Self::Revoked,
        Self::RevocationUnknown,
        Self::Policy,
        Self::Key,
        Self::Algorithm,
        Self::Limit,
    ];

    /// The verdict with this [`code`](Self::code); not trusted for other codes.
    pub(super) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::NotTrusted)
    }

    /// Five bits.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// Kind of rejection for a chain that is not trusted.
    pub(super) fn kind(self) -> RejectionKind {
        match self {
            Self::WrongPurpose => RejectionKind::WrongPurpose,
            Self::CaKeyUsage | Self::LeafKeyUsage => RejectionKind::KeyUsage,
            Self::RootOutsideValidity => RejectionKind::ExpiredCa,
            Self::Revoked => RejectionKind::Revoked,
            Self::RevocationUnknown => RejectionKind::RevocationUnknown,
            _ => RejectionKind::NotTrusted,
        }
    }

    /// Reason as text; None for a trusted chain. [`TrustAnchors::failure`](super::TrustAnchors::failure) also names the
    /// certificate.
    pub(crate) fn describe(self) -> Option<&'static str> {
        Some(match self {
            Self::Trusted => return None,
            Self::NotTrusted => "the chain cannot be verified",
            Self::WrongPurpose => "a certificate of the chain is not meant for client authentication",
            Self::UnknownIssuer => "no root or presented certificate issued it",
            Self::LeafAsCa => "a certificate in the chain is not a CA",
            Self::Version => "a CA in the chain is not of X.509 version 3",
            Self::Expired => "a certificate of the chain has expired",
            Self::NotYetValid => "a certificate of the chain is not valid yet",
            Self::NameConstraint => "a CA may not issue this name",
            Self::PathLength => "the chain is longer than one of its CAs allows",
            Self::CriticalExtension => {
                "a certificate of the chain has a critical extension that is not supported"
            }
            Self::Signature => "a signature in the chain is wrong: a CA with the right name and another key",
            Self::CaKeyUsage => {
                "the key usage of a CA in the chain lacks keyCertSign: it may not sign certificates"
            }
            Self::LeafKeyUsage => {
                "its key usage has neither digitalSignature nor keyAgreement: it may not authenticate a client"
            }
            Self::RootOutsideValidity => "the CA at the end of the chain has expired or is not valid yet",
            Self::Revoked => "a certificate of the chain is revoked",
            Self::RevocationUnknown => "the revocation status of a certificate of the chain is unknown",
            Self::Policy => "no certificate policy is valid for the chain",
            Self::Key => "a key in the chain is too short or of a kind that is not supported",
            Self::Algorithm => "a signature algorithm in the chain is not accepted",
            Self::Limit => "the chain takes too many steps to verify",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_round_trip_through_their_codes() {
        for verdict in ChainVerdict::ALL {
            assert!(verdict.code() < 32);
            assert_eq!(ChainVerdict::from_code(verdict.code()), verdict);
        }
        assert_eq!(ChainVerdict::from_code(31), ChainVerdict::NotTrusted);
    }
}
