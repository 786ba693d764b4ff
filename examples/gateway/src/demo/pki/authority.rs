//! Certificate authorities and issued certificates.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

/// Validity period of a certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    /// `notBefore`.
    pub(super) from: OffsetDateTime,
    /// `notAfter`.
    pub(super) until: OffsetDateTime,
}

#[derive(Clone, Debug)]
pub(super) enum LeafUsage {
    Client,
    /// TLS server with these names.
    Server(Vec<SanType>),
}

/// A leaf certificate with its key.
#[derive(Debug)]
pub(super) struct IssuedLeaf {
    pub(super) certificate: Certificate,
    /// Private key, P-256.
    pub(super) key: KeyPair,
}

/// A certificate authority, with its key in memory.
#[derive(Debug)]
pub(super) struct Authority {
    name: DistinguishedName,
    key_identifier: Vec<u8>,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Builds the name `CN=common, O=organization`, encoded with the organization first.
pub(super) fn name(organization: &str, common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name.push(DnType::CommonName, common);
    name
}

impl Authority {
    /// Creates a self-signed authority.
    pub(super) fn new(name: DistinguishedName, validity: Validity) -> Result<Self, rcgen::Error> {
        Self::with_key_identifier(name, validity, None)
    }

    /// Creates an authority with the same name and key identifier but another key: only signatures differ.
    pub(super) fn impostor(&self, validity: Validity) -> Result<Self, rcgen::Error> {
        Self::with_key_identifier(self.name.clone(), validity, Some(self.key_identifier.clone()))
    }

    fn with_key_identifier(
        name: DistinguishedName,
        validity: Validity,
        key_identifier: Option<Vec<u8>>,
    ) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params(name.clone(), validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if let Some(identifier) = key_identifier {
            params.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        }
        let key_identifier = params.key_identifier(&key);
        Ok(Self { name, key_identifier, issuer: CertifiedIssuer::self_signed(params, key)? })
    }

    /// Issues a certificate with a new key.
    pub(super) fn issue(
        &self,
        subject: DistinguishedName,
        usage: LeafUsage,
        validity: Validity,
    ) -> Result<IssuedLeaf, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params(subject, validity);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match usage {
            LeafUsage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            LeafUsage::Server(names) => {
                params.subject_alt_names = names;
                vec![ExtendedKeyUsagePurpose::ServerAuth]
            }
        };
        Ok(IssuedLeaf { certificate: params.signed_by(&key, &self.issuer)?, key })
    }

    /// Returns the authority's certificate as PEM.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Returns the authority's certificate as DER.
    pub(super) fn der(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }
}

/// Returns the SubjectPublicKeyInfo of a key.
pub(super) fn public_key(key: &KeyPair) -> Vec<u8> {
    key.subject_public_key_info()
}

/// Returns the parameters common to all certificates. rcgen derives the serial number from the key, so it is unique.
fn params(subject: DistinguishedName, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = validity.from;
    params.not_after = validity.until;
    params.use_authority_key_identifier_extension = true;
    params
}
