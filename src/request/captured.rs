//! The extension that layers read and update: the presented certificate, and their verdict.

use std::{fmt, net::SocketAddr, sync::Arc};

use http::Extensions;

use super::ClientCertificate;
use crate::{certificate::Presented, policy::Verification};

/// Request extension: the presented certificate, and the verdict of the layers.
///
/// One value, because each extension costs an allocation; layers update it in place.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    pub(crate) presented: Presented,
    /// Remote address of the connection.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) verdict: Verdict,
    /// Receives the admission. None: the server does not need it.
    pub(crate) admission: Option<AdmissionObserver>,
}

impl Captured {
    /// Records a verdict, unless an outer layer recorded a greater one. Reports an admission that is proven to its
    /// observer: any caller can have a certificate that is not.
    pub(crate) fn record(&mut self, verdict: Verdict) {
        self.verdict = self.verdict.max(verdict);
        if verdict == Verdict::Admitted(Verification::Proven)
            && let Some(AdmissionObserver(observer)) = &self.admission
        {
            observer.admitted();
        }
    }
}

/// Receives the admission of a request.
pub(crate) trait OnAdmission: Send + Sync {
    /// A layer admitted the certificate with a proof. Called once per layer.
    fn admitted(&self);

    /// Judges the request by `recheck` again while it is in flight.
    fn recheck_by(&self, recheck: Arc<dyn Recheck>);
}

/// Judges a request in flight again.
pub(crate) trait Recheck: Send + Sync {
    /// Returns true if the request would be admitted now. Otherwise it is cut; the implementation logs and counts it.
    #[cfg_attr(not(feature = "serve"), allow(dead_code, reason = "called by the server"))]
    fn is_admitted(&self, presented: &Presented, remote: SocketAddr) -> bool;
}

/// The observer of one request's admission.
#[derive(Clone)]
pub(crate) struct AdmissionObserver(pub(crate) Arc<dyn OnAdmission>);

impl fmt::Debug for AdmissionObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdmissionObserver")
    }
}

/// Verdict of the layers; of several verdicts the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// No layer has judged the request.
    Unjudged,
    /// A layer with `allow_missing` passed it: no certificate was presented.
    MissingAllowed,
    /// A layer in shadow mode passed it and would have rejected it.
    Shadowed,
    /// A layer admitted the certificate. Proven if one such layer requires a proof.
    Admitted(Verification),
}

/// Records the presented certificate for inner layers.
pub(crate) fn capture_into(extensions: &mut Extensions, presented: Presented, remote: Option<SocketAddr>) {
    extensions.insert(Captured { presented, remote, verdict: Verdict::Unjudged, admission: None });
}

/// Records the observer of the request's admission, after [`capture_into`].
#[cfg(feature = "serve")]
pub(crate) fn observe_admission(extensions: &mut Extensions, observer: Arc<dyn OnAdmission>) {
    if let Some(captured) = extensions.get_mut::<Captured>() {
        captured.admission = Some(AdmissionObserver(observer));
    }
}

/// Judges the request by `recheck` again while it is in flight. Returns false if its server does not.
#[cfg(any(feature = "apim", feature = "serve"))]
pub(crate) fn recheck_by(extensions: &Extensions, recheck: Arc<dyn Recheck>) -> bool {
    let observer = extensions.get::<Captured>().and_then(|captured| captured.admission.as_ref());
    let Some(AdmissionObserver(observer)) = observer else { return false };
    observer.recheck_by(recheck);
    true
}

/// Remote address of the request's connection, as seen by the acceptor. None if the acceptor captured none.
///
/// ```
/// use tower_mtls::remote_addr;
///
/// // A request that came through no acceptor of this crate.
/// assert_eq!(remote_addr(http::Request::new(()).extensions()), None);
/// ```
pub fn remote_addr(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<Captured>()?.remote
}

/// Returns the certificate that the caller presented in the handshake, admitted by a layer or not.
///
/// **Danger:** any caller can present a self-made certificate. Do not base decisions on it; use it for logs and
/// explanations. None if no listener of this crate captured anything.
///
/// ```
/// use tower_mtls::danger::presented;
///
/// let request = http::Request::new(());
/// assert!(presented(request.extensions()).is_none());
/// ```
pub fn presented(extensions: &Extensions) -> Option<&Presented> {
    extensions.get::<Captured>().map(|captured| &captured.presented)
}

/// The presented certificate and the remote address. None if no acceptor captured them.
#[cfg(feature = "apim")]
pub(crate) fn captured(extensions: &Extensions) -> Option<(&Presented, Option<SocketAddr>)> {
    extensions.get::<Captured>().map(|captured| (&captured.presented, captured.remote))
}

/// Records a verdict, unless an outer layer recorded a greater one.
pub(crate) fn mark(extensions: &mut Extensions, verdict: Verdict) {
    if let Some(captured) = extensions.get_mut::<Captured>() {
        captured.record(verdict);
    }
}

/// Revokes the admission: a layer in shadow mode would have rejected the request after the rules.
#[cfg(feature = "authorize")]
pub(crate) fn withdraw(extensions: &mut Extensions) {
    if let Some(captured) = extensions.get_mut::<Captured>() {
        captured.verdict = Verdict::Shadowed;
    }
}

/// The certificate that a layer admitted for this request. Cloning copies a pointer.
///
/// None if no layer judged the request, or the layer passed it without an admission. A certificate that was only presented
/// is never returned.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{Certificate, admitted, danger::{AssumeAdmittedLayer, AssumePresentedLayer}};
///
/// let handler = service_fn(|request: Request<()>| async move {
///     Ok::<_, std::convert::Infallible>(Response::new(admitted(request.extensions()).is_some()))
/// });
/// let certificate = Certificate::from_der(made.cert.der())?;
/// let with_layer = AssumeAdmittedLayer::new(certificate.clone()).layer(handler);
/// assert!(with_layer.oneshot(Request::new(())).await?.into_body());
///
/// let without_layer = AssumePresentedLayer::new(certificate).layer(handler);
/// assert!(!without_layer.oneshot(Request::new(())).await?.into_body(), "presented, not admitted");
/// # Ok(())
/// # }
/// ```
pub fn admitted(extensions: &Extensions) -> Option<ClientCertificate> {
    match extensions.get::<Captured>()? {
        Captured {
            presented: Presented::Certificate(certificate), verdict: Verdict::Admitted(_), ..
        } => Some(ClientCertificate::new(certificate.clone())),
        _ => None,
    }
}

/// Proof behind the [`admitted`] certificate. None if no certificate was admitted.
///
/// [`Unproven`](Verification::Unproven) only behind layers whose rules are allowed to be unanchored: the client chooses the
/// names in such a certificate. Of several layers, one that requires a proof is enough.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let partner = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{
///     Certificate, Policy, RequireCertificateLayer, danger::AssumePresentedLayer, policy::Verification, verification,
/// };
///
/// let partner = Certificate::from_der(partner.cert.der())?;
/// // Any certificate that is valid now.
/// let policy = Policy::builder().allow_unanchored().build()?;
/// let service = service_fn(|request: Request<String>| async move {
///     assert_eq!(verification(request.extensions()), Some(Verification::Unproven));
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// });
/// let service = AssumePresentedLayer::new(partner).layer(RequireCertificateLayer::new(policy).layer(service));
/// assert_eq!(service.oneshot(Request::new(String::new())).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
pub fn verification(extensions: &Extensions) -> Option<Verification> {
    match extensions.get::<Captured>()?.verdict {
        Verdict::Admitted(verification) => Some(verification),
        Verdict::Unjudged | Verdict::MissingAllowed | Verdict::Shadowed => None,
    }
}

/// The verdict of the layers so far.
#[cfg(feature = "axum")]
pub(crate) fn verdict(extensions: &Extensions) -> Verdict {
    extensions.get::<Captured>().map_or(Verdict::Unjudged, |captured| captured.verdict)
}
