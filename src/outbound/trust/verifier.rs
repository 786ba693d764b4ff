//! Verification of an upstream's certificate. Possession of its key is verified in every mode.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{UpstreamPin, UpstreamVerification, verification::VerificationMode};
use crate::certificate::{Certificate, SpiffeId};

pub(super) fn new(
    verification: &VerificationMode,
    roots: RootCertStore,
    pins: Vec<UpstreamPin>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let required = match verification {
        VerificationMode::Full => {
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            let verifier = builder.build().map_err(|error| error.to_string())?;
            return Ok(with_pins(verifier, pins));
        }
        VerificationMode::SpiffeId(id) => Required::ChainAndSpiffeId(roots, id.clone()),
        VerificationMode::Dangerous(UpstreamVerification::ChainOnly) => Required::Chain(roots),
        VerificationMode::Dangerous(UpstreamVerification::NameOnly) => Required::Name,
        VerificationMode::PinsOnly | VerificationMode::Dangerous(UpstreamVerification::Nothing) => {
            Required::Nothing
        }
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(with_pins(Arc::new(PartialVerifier { required, algorithms }), pins))
}

fn with_pins(verifier: Arc<dyn ServerCertVerifier>, pins: Vec<UpstreamPin>) -> Arc<dyn ServerCertVerifier> {
    if pins.is_empty() { verifier } else { Arc::new(PinVerifier { verifier, pins }) }
}

/// Verifies `name` in place of the name that a connection was opened for.
pub(super) fn for_name(
    verifier: Arc<dyn ServerCertVerifier>,
    name: ServerName<'static>,
) -> Arc<dyn ServerCertVerifier> {
    Arc::new(NamedVerifier { verifier, name })
}

/// Error: no pin matches the upstream's certificate.
struct PinMismatch {
    shown: Vec<UpstreamPin>,
}

impl fmt::Display for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.shown.iter().map(ToString::to_string).collect();
        write!(f, "no pin matches; the upstream shows {}", shown.join(" and "))
    }
}

/// As [`Display`](fmt::Display), because rustls prints the `Debug` form of a verifier's error.
impl fmt::Debug for PinMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for PinMismatch {}

/// Error: the upstream's certificate does not have the required SPIFFE ID.
struct SpiffeIdMismatch {
    required: SpiffeId,
    shown: Option<SpiffeId>,
}

impl fmt::Display for SpiffeIdMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shown {
            Some(shown) => write!(f, "the upstream is {shown}, not {}", self.required),
            None => write!(f, "the upstream's certificate does not have the one URI {}", self.required),
        }
    }
}

/// As [`Display`](fmt::Display), because rustls prints the `Debug` form of a verifier's error.
impl fmt::Debug for SpiffeIdMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SpiffeIdMismatch {}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// Requires a pinned certificate or key beside another verifier's requirements.
#[derive(Debug)]
struct PinVerifier {
    verifier: Arc<dyn ServerCertVerifier>,
    pins: Vec<UpstreamPin>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        match self.pins.iter().any(|pin| pin.matches(end_entity)) {
            true => Ok(verified),
            false => Err(invalid(PinMismatch { shown: UpstreamPin::all_of(end_entity) })),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Verifies another name than the one that the connection was opened for.
#[derive(Debug)]
struct NamedVerifier {
    verifier: Arc<dyn ServerCertVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for NamedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Verifies something else than a chain and the server name.
#[derive(Debug)]
struct PartialVerifier {
    required: Required,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Required {
    ChainAndSpiffeId(RootCertStore, SpiffeId),
    Chain(RootCertStore),
    Name,
    Nothing,
}

impl PartialVerifier {
    fn verify_chain(
        &self,
        roots: &RootCertStore,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)
    }
}

fn verify_spiffe_id(end_entity: &CertificateDer<'_>, required: &SpiffeId) -> Result<(), Error> {
    let shown = match Certificate::from_der(end_entity) {
        Ok(certificate) => certificate.spiffe_id(),
        Err(_) => return Err(CertificateError::BadEncoding.into()),
    };
    match shown {
        Some(shown) if shown == *required => Ok(()),
        shown => Err(invalid(SpiffeIdMismatch { required: required.clone(), shown })),
    }
}

impl ServerCertVerifier for PartialVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.required {
            Required::ChainAndSpiffeId(roots, id) => {
                self.verify_chain(roots, end_entity, intermediates, now)?;
                verify_spiffe_id(end_entity, id)?;
            }
            Required::Chain(roots) => self.verify_chain(roots, end_entity, intermediates, now)?,
            Required::Name => verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?,
            Required::Nothing => {}
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
