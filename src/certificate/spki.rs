use std::ops::Range;

use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};

use super::CertificateError;

/// Where the SubjectPublicKeyInfo lies in a DER certificate, read without looking at anything else.
///
/// Possession of a key can be proved even if the rest of the certificate is strange: this reads the
/// outline only, so that odd certificates reach the policy and get an answer instead of a TLS alert.
pub(crate) fn spki_range(der: &[u8]) -> Result<Range<usize>, CertificateError> {
    let offset_in = |part: &[u8]| part.as_ptr() as usize - der.as_ptr() as usize;
    let element = |input, what: &str| {
        let at = offset_in(input);
        Any::from_der(input).map_err(|_| CertificateError::at(at, format!("{what} is not valid DER")))
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
    for what in ["the serial number", "the signature algorithm", "the issuer", "the validity", "the subject"]
    {
        (rest, _) = element(rest, what)?;
    }
    let start = offset_in(rest);
    let (after, spki) = element(rest, "the public key")?;
    expect_sequence(&spki, start, "the public key")?;
    Ok(start..offset_in(after))
}

/// The SubjectPublicKeyInfo of a DER certificate, itself DER.
#[cfg(any(feature = "acceptor", feature = "identity"))]
pub(crate) fn subject_public_key_info(der: &[u8]) -> Result<&[u8], CertificateError> {
    Ok(&der[spki_range(der)?])
}

fn expect_sequence(element: &Any<'_>, at: usize, what: &str) -> Result<(), CertificateError> {
    if element.class() == Class::Universal && element.tag() == Tag::Sequence {
        return Ok(());
    }
    Err(CertificateError::at(at, format!("{what} is not a SEQUENCE")))
}
