use std::ops::Range;

use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};

use super::CertificateError;

/// Position of the SubjectPublicKeyInfo in a DER certificate, without reading other fields.
///
/// Possession of a key can be proved even if the rest of the certificate is malformed: such certificates reach the policy
/// and get a response instead of a TLS alert.
pub(crate) fn spki_range(der: &[u8]) -> Result<Range<usize>, CertificateError> {
    let offset_in = |part: &[u8]| part.as_ptr() as usize - der.as_ptr() as usize;
    let element = |input, name: &str| {
        let at = offset_in(input);
        Any::from_der(input).map_err(|_| CertificateError::at(at, format!("{name} is not valid DER")))
    };

    let (rest, certificate) = element(der, "the certificate")?;
    if !rest.is_empty() {
        return Err(CertificateError::at(offset_in(rest), "bytes after the certificate's end"));
    }
    expect_sequence(&certificate, 0, "the certificate")?;
    let (_, tbs) = element(certificate.data, "the certificate's body")?;
    expect_sequence(&tbs, offset_in(certificate.data), "the certificate's body")?;

    let mut rest = tbs.data;
    let (after, first) = element(rest, "the version")?;
    if first.class() == Class::ContextSpecific && first.tag() == Tag(0) {
        rest = after;
    }
    for name in ["the serial number", "the signature algorithm", "the issuer", "the validity", "the subject"]
    {
        (rest, _) = element(rest, name)?;
    }
    let start = offset_in(rest);
    let (after, spki) = element(rest, "the public key")?;
    expect_sequence(&spki, start, "the public key")?;
    Ok(start..offset_in(after))
}

/// The DER-encoded SubjectPublicKeyInfo of a DER certificate.
#[cfg(any(feature = "acceptor", feature = "identity"))]
pub(crate) fn subject_public_key_info(der: &[u8]) -> Result<&[u8], CertificateError> {
    Ok(&der[spki_range(der)?])
}

/// The content of the AlgorithmIdentifier of a DER-encoded SubjectPublicKeyInfo.
#[cfg(feature = "acceptor")]
pub(crate) fn key_algorithm(spki: &[u8]) -> Option<&[u8]> {
    let (_, spki) = Any::from_der(spki).ok()?;
    let (_, algorithm) = Any::from_der(spki.data).ok()?;
    Some(algorithm.data)
}

fn expect_sequence(element: &Any<'_>, at: usize, name: &str) -> Result<(), CertificateError> {
    if element.class() == Class::Universal && element.tag() == Tag::Sequence {
        return Ok(());
    }
    Err(CertificateError::at(at, format!("{name} is not a SEQUENCE")))
}
