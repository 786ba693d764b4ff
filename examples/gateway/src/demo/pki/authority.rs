//! Certificate authorities and what they sign.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    /// `notBefore`.
    pub(super) from: OffsetDateTime,
    /// `notAfter`.
    pub(super) until: OffsetDateTime,
}

/// What a leaf certificate is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// To call a server.
    Client,
    /// To be called under these names.
    Server(Vec<SanType>),
}

/// A leaf certificate with its key.
#[derive(Debug)]
pub(super) struct Issued {
    /// The certificate.
    pub(super) certificate: Certificate,
    /// Its private key, P-256.
    pub(super) key: KeyPair,
}

/// A certificate authority: its certificate, and a key that lives as long as this value.
#[derive(Debug)]
pub(super) struct Authority {
    name: DistinguishedName,
    key_identifier: Vec<u8>,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The name `CN=common, O=organization`, encoded in the usual order: the organization first.
pub(super) fn name(organization: &str, common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name.push(DnType::CommonName, common);
    name
}

impl Authority {
    /// A new self-signed authority.
    pub(super) fn new(name: DistinguishedName, validity: Validity) -> Result<Self, rcgen::Error> {
        Self::with_key_identifier(name, validity, None)
    }

    /// Another authority that passes for this one as far as it can: it has the same name and says it has the
    /// same key. Only a signature can tell them apart.
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

    /// Signs a new certificate with a new key.
    pub(super) fn issue(
        &self,
        subject: DistinguishedName,
        purpose: Purpose,
        validity: Validity,
    ) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params(subject, validity);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match purpose {
            Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Server(names) => {
                params.subject_alt_names = names;
                vec![ExtendedKeyUsagePurpose::ServerAuth]
            }
        };
        Ok(Issued { certificate: params.signed_by(&key, &self.issuer)?, key })
    }

    /// The authority's certificate as PEM.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's certificate as DER.
    pub(super) fn der(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }
}

/// The public key of `key` as it stands in a certificate.
pub(super) fn public_key(key: &KeyPair) -> Vec<u8> {
    key.subject_public_key_info()
}

/// What all certificates share. rcgen derives the serial number from the new key: no two are the same.
fn params(subject: DistinguishedName, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = validity.from;
    params.not_after = validity.until;
    params.use_authority_key_identifier_extension = true;
    params
}
