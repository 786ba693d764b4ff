//! A certificate, parsed once for validation (RFC 5280, section 4.1).

use super::{
    der::{self, Reader},
    extensions::Extensions,
    general_name,
    key::Key,
    signature::Signed,
};
use crate::{
    certificate::{DistinguishedName, Validity},
    policy::crl::are_points,
};

/// The fields of a certificate that validation needs.
#[derive(Debug)]
pub(super) struct PathCertificate<'a> {
    pub(super) der: &'a [u8],
    pub(super) signed: Signed<'a>,
    pub(super) version: Version,
    /// Content of the INTEGER.
    pub(super) serial: &'a [u8],
    pub(super) issuer: DistinguishedName,
    pub(super) subject: DistinguishedName,
    pub(super) validity: Validity,
    pub(super) spki: &'a [u8],
    pub(super) key: Key,
    pub(super) extensions: Extensions<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
    V3,
}

/// The name of a malformed field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl<'a> PathCertificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut certificate = der::sequence(der).ok_or(Malformed("its encoding"))?;
        let body = certificate.element().filter(|body| body.tag == der::SEQUENCE);
        let body = body.ok_or(Malformed("its body"))?;
        let algorithm = certificate.element().ok_or(Malformed("its signatureAlgorithm"))?.encoding;
        let signature = certificate.bytes().ok_or(Malformed("its signature"))?;
        certificate.end().ok_or(Malformed("bytes after its signature"))?;

        let mut fields = Reader::new(body.content);
        let version = version(&mut fields).ok_or(Malformed("its version"))?;
        let serial = fields.expect(der::INTEGER).filter(|serial| der::is_minimal(serial));
        let serial = serial.ok_or(Malformed("its serialNumber"))?;
        let inner = fields.element().ok_or(Malformed("its signature algorithm"))?;
        // RFC 5280, 4.1.1.2.
        if inner.encoding != algorithm {
            return Err(Malformed("its two signature algorithms, which differ"));
        }
        let issuer = name(&mut fields).ok_or(Malformed("its issuer"))?;
        let validity = validity(&mut fields).ok_or(Malformed("its validity"))?;
        let subject = name(&mut fields).ok_or(Malformed("its subject"))?;
        let spki = fields.element().ok_or(Malformed("its subjectPublicKeyInfo"))?.encoding;
        let key = Key::read(spki).ok_or(Malformed("its subjectPublicKeyInfo"))?;
        let extensions = extensions(&mut fields, version)?;
        fields.end().ok_or(Malformed("bytes after its extensions"))?;
        if extensions.crl_distribution_points.is_some_and(|value| !are_points(value, &issuer)) {
            return Err(Malformed("its cRLDistributionPoints"));
        }
        let signed = Signed { message: body.encoding, algorithm, signature };
        Ok(Self { der, signed, version, serial, issuer, subject, validity, spki, key, extensions })
    }

    /// True if the subject and the issuer are the same name.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// True for a CA by basicConstraints.
    pub(super) fn is_ca(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|constraints| constraints.is_ca)
    }

    /// True if keyUsage is absent or includes keyCertSign.
    pub(super) fn may_sign(&self) -> bool {
        self.extensions.key_usage.is_none_or(|usage| usage.key_cert_sign())
    }

    /// Maximum number of intermediates that may follow, if limited.
    pub(super) fn path_length(&self) -> Option<u32> {
        self.extensions.basic_constraints.filter(|constraints| constraints.is_ca)?.path_length
    }
}

/// Absent for version 1.
fn version(fields: &mut Reader<'_>) -> Option<Version> {
    let Some(explicit) = fields.optional(0xa0)? else { return Some(Version::V1) };
    let mut explicit = Reader::new(explicit);
    let version = match explicit.expect(der::INTEGER)? {
        [1] => Version::V2,
        [2] => Version::V3,
        _ => return None,
    };
    explicit.end()?;
    Some(version)
}

fn name(fields: &mut Reader<'_>) -> Option<DistinguishedName> {
    general_name::directory(fields.element()?.encoding)
}

fn validity(fields: &mut Reader<'_>) -> Option<Validity> {
    let mut times = fields.sequence()?;
    let (not_before, not_after) = (der::time(&times.element()?)?, der::time(&times.element()?)?);
    times.end()?;
    Some(Validity { not_before, not_after })
}

/// Unique identifiers are skipped; extensions are those of version 3 only.
fn extensions<'a>(fields: &mut Reader<'a>, version: Version) -> Result<Extensions<'a>, Malformed> {
    if version != Version::V1 {
        for tag in [0x81, 0x82] {
            fields.optional(tag).ok_or(Malformed("its unique identifiers"))?;
        }
    }
    if version == Version::V3
        && let Some(explicit) = fields.optional(0xa3).ok_or(Malformed("its extensions"))?
    {
        return Extensions::read(der::sequence(explicit).ok_or(Malformed("its extensions"))?);
    }
    Ok(Extensions::default())
}
