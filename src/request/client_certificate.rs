use std::{fmt, ops::Deref};

use crate::certificate::Certificate;

/// A client certificate that a layer admitted.
///
/// Dereferences to the [`Certificate`] with its facts. Only layers create one ([`RequireCertificateLayer`] and, with
/// the feature `apim`, `ApimPolicyLayer`): a function that takes a `ClientCertificate` is never called with a
/// certificate that was only presented. Cloning copies a pointer.
///
/// As an axum extractor (feature `axum`) it responds with 500 on a route without such a layer. Without axum, use
/// [`admitted`](super::admitted).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let partner = rcgen::generate_simple_self_signed(vec![])?;
/// # let stranger = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{Certificate, ClientCertificate, Policy, RequireCertificateLayer, admitted, danger::AssumePresentedLayer};
///
/// fn greet(caller: &ClientCertificate) -> String {
///     format!("hello {}", caller.subject())
/// }
///
/// let partner = Certificate::from_der(partner.cert.der())?;
/// let stranger = Certificate::from_der(stranger.cert.der())?;
/// let service = RequireCertificateLayer::new(Policy::builder().thumbprint(partner.sha256_thumbprint()).build()?)
///     .layer(service_fn(|request: Request<String>| async move {
///         let caller = admitted(request.extensions()).expect("the layer admitted it");
///         Ok::<_, std::convert::Infallible>(Response::new(greet(&caller)))
///     }));
/// for (caller, status) in [(partner, 200), (stranger, 403)] {
///     let service = AssumePresentedLayer::new(caller).layer(service.clone());
///     assert_eq!(service.oneshot(Request::new(String::new())).await?.status(), status);
/// }
/// # Ok(())
/// # }
/// ```
///
/// [`RequireCertificateLayer`]: crate::RequireCertificateLayer
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate(Certificate);

impl ClientCertificate {
    pub(super) fn new(admitted: Certificate) -> Self {
        Self(admitted)
    }

    /// The facts of the certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }

    /// Returns the facts of the certificate.
    pub fn into_certificate(self) -> Certificate {
        self.0
    }
}

impl Deref for ClientCertificate {
    type Target = Certificate;

    fn deref(&self) -> &Certificate {
        &self.0
    }
}

impl From<ClientCertificate> for Certificate {
    fn from(admitted: ClientCertificate) -> Self {
        admitted.0
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCertificate").field(&self.0).finish()
    }
}
