//! Signatures of certificates and revocation lists (RFC 4055, 5480, 8410).
//!
//! The crypto provider verifies them through webpki's table of algorithms. RSA-PSS with a salt that is not as long as the
//! hash is verified by aws-lc-rs; ring has no such parameter.

use std::fmt;

use super::{
    super::SignatureAlgorithm,
    der::{self, Reader},
};

/// Signed bytes.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Signed<'a> {
    pub(in crate::policy) message: &'a [u8],
    /// DER-encoded AlgorithmIdentifier.
    pub(in crate::policy) algorithm: &'a [u8],
    /// Content of the BIT STRING, without the number of unused bits.
    pub(in crate::policy) signature: &'a [u8],
}

/// Reason why a signature is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum SignatureError {
    /// The algorithm, by name or as a dotted OID, is not supported.
    Unsupported(String),
    /// The signature does not match the message and the key.
    Wrong,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(name) => write!(f, "the signature algorithm {name} is not supported"),
            Self::Wrong => f.write_str("the signature does not match the issuer's key"),
        }
    }
}

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
const NULL: &[u8] = &[0x05, 0x00];

/// Verifies a signature with a DER-encoded SubjectPublicKeyInfo.
pub(in crate::policy) fn verify(signed: &Signed<'_>, issuer_spki: &[u8]) -> Result<(), SignatureError> {
    let algorithm = Identifier::read(signed.algorithm).ok_or(SignatureError::Wrong)?;
    let mut spki = der::sequence(issuer_spki).ok_or(SignatureError::Wrong)?;
    let key_algorithm = spki.element().ok_or(SignatureError::Wrong)?;
    let key_kind = Identifier::read(key_algorithm.encoding).ok_or(SignatureError::Wrong)?;
    let key = spki.bytes().ok_or(SignatureError::Wrong)?;
    if algorithm.oid == RSA_PSS {
        let parameters = PssParameters::read(algorithm.parameters).ok_or_else(|| algorithm.unsupported())?;
        let is_allowed = match key_kind.oid {
            RSA_ENCRYPTION => true,
            // RFC 4055, 3.1: the key's parameters, if present, limit those of signatures.
            RSA_PSS if key_kind.parameters.is_empty() => true,
            RSA_PSS => PssParameters::read(key_kind.parameters)
                .is_some_and(|key| key.hash == parameters.hash && key.salt_length <= parameters.salt_length),
            _ => false,
        };
        return if is_allowed { parameters.verify(signed, key) } else { Err(SignatureError::Wrong) };
    }
    algorithm.named()?;
    let candidate = webpki::ALL_VERIFICATION_ALGS.iter().find(|candidate| {
        candidate.signature_alg_id().as_ref() == algorithm.content
            && candidate.public_key_alg_id().as_ref() == key_algorithm.content
    });
    let verified =
        candidate.map(|algorithm| algorithm.verify_signature(key, signed.message, signed.signature));
    if let Some(Ok(())) = verified { Ok(()) } else { Err(SignatureError::Wrong) }
}

/// Algorithm of a DER-encoded AlgorithmIdentifier.
pub(in crate::policy) fn algorithm(identifier: &[u8]) -> Result<SignatureAlgorithm, SignatureError> {
    let unreadable = || SignatureError::Unsupported("with unreadable parameters".into());
    Identifier::read(identifier).ok_or_else(unreadable)?.named()
}

/// An AlgorithmIdentifier.
#[derive(Clone, Copy)]
struct Identifier<'a> {
    content: &'a [u8],
    oid: &'a [u8],
    /// Encoding of the parameters; empty if absent.
    parameters: &'a [u8],
}

impl<'a> Identifier<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut reader = der::sequence(der)?;
        let content = reader.rest();
        let oid = reader.expect(der::OID)?;
        let parameters = reader.rest();
        if !parameters.is_empty() {
            reader.element()?;
            reader.end()?;
        }
        Some(Self { content, oid, parameters })
    }

    fn named(&self) -> Result<SignatureAlgorithm, SignatureError> {
        use SignatureAlgorithm as S;
        let has_no_parameters = self.parameters.is_empty();
        let is_null_or_absent = has_no_parameters || self.parameters == NULL;
        Ok(match self.oid {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11] if is_null_or_absent => S::RsaPkcs1Sha256,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12] if is_null_or_absent => S::RsaPkcs1Sha384,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13] if is_null_or_absent => S::RsaPkcs1Sha512,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] if has_no_parameters => S::EcdsaSha256,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] if has_no_parameters => S::EcdsaSha384,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] if has_no_parameters => S::EcdsaSha512,
            [0x2b, 0x65, 0x70] if has_no_parameters => S::Ed25519,
            oid if oid == RSA_PSS => {
                match PssParameters::read(self.parameters).ok_or_else(|| self.unsupported())?.hash {
                    PssHash::Sha256 => S::RsaPssSha256,
                    PssHash::Sha384 => S::RsaPssSha384,
                    PssHash::Sha512 => S::RsaPssSha512,
                }
            }
            _ => return Err(self.unsupported()),
        })
    }

    fn unsupported(&self) -> SignatureError {
        let oid = der::dotted(self.oid);
        let name = match oid.as_str() {
            "1.2.840.113549.1.1.4" => "md5WithRSAEncryption (MD5)",
            "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption (SHA-1)",
            "1.2.840.113549.1.1.10" => "RSASSA-PSS with these parameters",
            "1.2.840.113549.1.1.14" => "sha224WithRSAEncryption (SHA-224)",
            "1.2.840.10040.4.3" => "dsa-with-sha1 (SHA-1)",
            "2.16.840.1.101.3.4.3.2" => "dsa-with-sha256",
            "1.2.840.10045.4.1" => "ecdsa-with-SHA1 (SHA-1)",
            "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
            "1.3.101.113" => "Ed448",
            other => other,
        };
        SignatureError::Unsupported(name.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PssHash {
    Sha256,
    Sha384,
    Sha512,
}

/// RSASSA-PSS-params (RFC 4055, section 3.1), with MGF1 over the same hash and the trailer 0xBC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PssParameters {
    hash: PssHash,
    salt_length: u32,
}

impl PssParameters {
    /// None also for SHA-1, the default.
    fn read(der: &[u8]) -> Option<Self> {
        let mut fields = der::sequence(der)?;
        let hash = Self::hash(fields.optional(0xa0)??)?;
        let mask = Identifier::read(fields.optional(0xa1)??)?;
        if mask.oid != MGF1 || Self::hash(mask.parameters)? != hash {
            return None;
        }
        let number = |content: &[u8]| {
            let mut reader = Reader::new(content);
            let number = der::unsigned(reader.expect(der::INTEGER)?)?;
            reader.end()?;
            Some(number)
        };
        let salt_length = fields.optional(0xa2)?.map_or(Some(20), number)?;
        let trailer = fields.optional(0xa3)?.map_or(Some(1), number)?;
        fields.end()?;
        (trailer == 1).then_some(Self { hash, salt_length })
    }

    fn hash(identifier: &[u8]) -> Option<PssHash> {
        let identifier = Identifier::read(identifier)?;
        if !identifier.parameters.is_empty() && identifier.parameters != NULL {
            return None;
        }
        match identifier.oid {
            [0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, 1] => Some(PssHash::Sha256),
            [0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, 2] => Some(PssHash::Sha384),
            [0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, 3] => Some(PssHash::Sha512),
            _ => None,
        }
    }

    #[cfg(feature = "aws-lc-rs")]
    fn verify(self, signed: &Signed<'_>, key: &[u8]) -> Result<(), SignatureError> {
        use aws_lc_rs::signature::{
            RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
            RsaPssSaltLength::{Custom, Max},
            UnparsedPublicKey,
        };
        /// The longest salt that each key allows, and the usual lengths.
        macro_rules! with_salts {
            ($parameters:ident) => {{
                static SALTS: [(u32, RsaParameters); 5] = [
                    (0, $parameters.with_pss_salt_length(Custom(0))),
                    (20, $parameters.with_pss_salt_length(Custom(20))),
                    (32, $parameters.with_pss_salt_length(Custom(32))),
                    (48, $parameters.with_pss_salt_length(Custom(48))),
                    (64, $parameters.with_pss_salt_length(Custom(64))),
                ];
                static LONGEST: RsaParameters = $parameters.with_pss_salt_length(Max);
                (&SALTS, &LONGEST)
            }};
        }
        let (salts, longest, hash_length) = match self.hash {
            PssHash::Sha256 => {
                let (salts, longest) = with_salts!(RSA_PSS_2048_8192_SHA256);
                (salts, longest, 32)
            }
            PssHash::Sha384 => {
                let (salts, longest) = with_salts!(RSA_PSS_2048_8192_SHA384);
                (salts, longest, 48)
            }
            PssHash::Sha512 => {
                let (salts, longest) = with_salts!(RSA_PSS_2048_8192_SHA512);
                (salts, longest, 64)
            }
        };
        let listed = salts.iter().find(|(length, _)| *length == self.salt_length);
        let parameters = match (listed, super::key::rsa_bits(key)) {
            (Some((_, parameters)), _) => parameters,
            (None, Some(bits)) if (bits + 6) / 8 == self.salt_length as usize + hash_length + 2 => longest,
            _ => {
                let name = format!("RSASSA-PSS with a salt of {} bytes", self.salt_length);
                return Err(SignatureError::Unsupported(name));
            }
        };
        UnparsedPublicKey::new(parameters, key)
            .verify(signed.message, signed.signature)
            .map_err(|_| SignatureError::Wrong)
    }

    #[cfg(not(feature = "aws-lc-rs"))]
    fn verify(self, signed: &Signed<'_>, key: &[u8]) -> Result<(), SignatureError> {
        use rustls_pki_types::alg_id;
        let (hash_length, identifier) = match self.hash {
            PssHash::Sha256 => (32, alg_id::RSA_PSS_SHA256),
            PssHash::Sha384 => (48, alg_id::RSA_PSS_SHA384),
            PssHash::Sha512 => (64, alg_id::RSA_PSS_SHA512),
        };
        let candidate = webpki::ALL_VERIFICATION_ALGS
            .iter()
            .find(|candidate| self.salt_length == hash_length && candidate.signature_alg_id() == identifier);
        match candidate.map(|algorithm| algorithm.verify_signature(key, signed.message, signed.signature)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(SignatureError::Wrong),
            None => {
                let name = format!("RSASSA-PSS with a salt of {} bytes", self.salt_length);
                Err(SignatureError::Unsupported(name))
            }
        }
    }
}
