use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};

#[cfg(feature = "trust")]
use super::client_trust;
use crate::certificate::subject_public_key_info;
#[cfg(feature = "trust")]
use crate::policy::TrustAnchors;

/// Requests a client certificate and verifies possession of its key, nothing else.
///
/// [`ServerTls`](super::ServerTls) also uses it to require certificates, and to judge their chains.
///
/// For an own `rustls::ServerConfig`. Trust is *not* verified: services behind such a listener need a
/// [`RequireCertificateLayer`](crate::RequireCertificateLayer). Callers without a certificate are accepted, and get an
/// HTTP response.
///
/// ```
/// # #[cfg(feature = "aws-lc-rs")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let (chain, key) = (vec![made.cert.der().clone()], made.signing_key.serialize_der());
/// use std::sync::Arc;
/// use rustls::server::danger::ClientCertVerifier;
/// use tower_mtls::acceptor::PossessionVerifier;
///
/// let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
/// let verifier = PossessionVerifier::new(&provider);
/// assert!(!verifier.client_auth_mandatory());
/// let config = rustls::ServerConfig::builder_with_provider(provider)
///     .with_safe_default_protocol_versions()?
///     .with_client_cert_verifier(verifier)
///     .with_single_cert(chain, key.try_into()?)?;
/// # drop(config);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "aws-lc-rs"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct PossessionVerifier {
    algorithms: WebPkiSupportedAlgorithms,
    /// True if a handshake without a certificate fails.
    pub(super) is_mandatory: bool,
    /// The roots in which chains must end, if any.
    #[cfg(feature = "trust")]
    pub(super) trust: Option<TrustAnchors>,
}

impl PossessionVerifier {
    /// Verifies handshake signatures with the provider's algorithms.
    ///
    /// ```
    /// # #[cfg(feature = "aws-lc-rs")]
    /// # {
    /// use rustls::server::danger::ClientCertVerifier;
    /// use tower_mtls::acceptor::PossessionVerifier;
    ///
    /// let verifier = PossessionVerifier::new(&rustls::crypto::aws_lc_rs::default_provider());
    /// assert!(verifier.offer_client_auth());
    /// # }
    /// ```
    pub fn new(provider: &CryptoProvider) -> Arc<Self> {
        Arc::new(Self::optional(provider))
    }

    pub(super) fn optional(provider: &CryptoProvider) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
            is_mandatory: false,
            #[cfg(feature = "trust")]
            trust: None,
        }
    }
}

/// Returns the public key alone: webpki would reject version 1 certificates and unknown critical extensions with an
/// alert, before a policy judges them.
fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    subject_public_key_info(certificate)
        .map(SubjectPublicKeyInfoDer::from)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

impl ClientCertVerifier for PossessionVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    /// Empty: the caller chooses among all of its certificates, as each route can trust other authorities.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        public_key(end_entity)?;
        #[cfg(not(feature = "trust"))]
        let _ = (intermediates, now);
        #[cfg(feature = "trust")]
        if let Some(trust) = &self.trust {
            client_trust::verify(trust, end_entity, intermediates, now)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let public_key = public_key(certificate)?;
        let key = webpki::RawPublicKeyEntity::try_from(&public_key).map_err(|_| bad_signature())?;
        let candidates = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
        let Some((_, candidates)) = candidates else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        // On TLS 1.2 a scheme does not name the curve, so there are several candidates.
        if candidates
            .iter()
            .any(|algorithm| key.verify_signature(*algorithm, message, signature.signature()).is_ok())
        {
            return Ok(HandshakeSignatureValid::assertion());
        }
        Err(bad_signature())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn bad_signature() -> Error {
    Error::InvalidCertificate(CertificateError::BadSignature)
}
