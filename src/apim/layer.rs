use std::sync::Arc;

use tower_layer::Layer;

use super::{ApimPolicy, Document, service::Settings};
use crate::{
    certificate::{Clock, SystemClock},
    shared::Shared,
};

/// Layer of [`ApimPolicy`]. See the [module](super) for when a request passes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let caller = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response, StatusCode};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{Certificate, admitted, apim::{ApimPolicyLayer, Document}, danger::AssumePresentedLayer};
///
/// let caller = Certificate::from_der(caller.cert.der())?;
/// let document = Document::parse(
///     r#"<choose>
///          <when condition="@(context.Request.Certificate?.Thumbprint != "31CBB8262B6710B510178BC639C738F8B85B71E6")">
///            <return-response><set-status code="403" /></return-response>
///          </when>
///        </choose>"#,
/// )?;
/// let service = service_fn(|request: Request<String>| async move {
///     assert!(admitted(request.extensions()).is_none());
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// });
///
/// let enforced = AssumePresentedLayer::new(caller.clone()).layer(ApimPolicyLayer::new(document.clone()).layer(service));
/// assert_eq!(enforced.oneshot(Request::new(String::new())).await?.status(), StatusCode::FORBIDDEN);
///
/// let shadowed = AssumePresentedLayer::new(caller).layer(ApimPolicyLayer::new(document).shadow().layer(service));
/// assert_eq!(shadowed.oneshot(Request::new(String::new())).await?.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ApimPolicyLayer(Arc<Settings>);

impl ApimPolicyLayer {
    /// Enforces `document`: a [`Document`](super::Document), or a [`Shared<Document>`](crate::Shared) that can be replaced
    /// while serving.
    ///
    /// ```
    /// use tower_mtls::{Shared, apim::{ApimPolicyLayer, Document}};
    ///
    /// let document = Shared::new(Document::parse(r#"<set-variable name="team" value="orders" />"#)?);
    /// let layer = ApimPolicyLayer::new(document.clone());
    /// document.replace(Document::parse(r#"<set-variable name="team" value="billing" />"#)?);
    /// # drop(layer);
    /// # Ok::<(), tower_mtls::apim::DocumentErrors>(())
    /// ```
    pub fn new(document: impl Into<Shared<Document>>) -> Self {
        let (document, clock) = (document.into(), Arc::new(SystemClock));
        Self(Arc::new(Settings { document, clock, shadow: false, allow_revoked_to_finish: false }))
    }

    /// Sets the clock. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self(Arc::new(Settings { clock: Arc::new(clock), ..Settings::clone(&self.0) }))
    }

    /// Logs and counts rejections without sending them; such a request is not admitted. Default: off, the document is
    /// enforced.
    ///
    /// The rest of the document runs, so the backend receives the headers and the identity of a request that passes. A
    /// request from a listener that captures nothing still gets 500. See
    /// [`Document::evaluate_shadow`](super::Document::evaluate_shadow).
    #[must_use]
    pub fn shadow(self) -> Self {
        Self(Arc::new(Settings { shadow: true, ..Settings::clone(&self.0) }))
    }

    /// Lets admitted requests finish that the document would reject now. Default: off, `serve` cuts them within 2 seconds.
    ///
    /// While a request is in flight, the proofs of the document's [guards](super#guards) are judged again every second: see
    /// [`Document::judge_proofs`](super::Document::judge_proofs). No effect behind other servers, and for documents without
    /// a guard.
    ///
    /// ```
    /// use tower_mtls::apim::{ApimPolicyLayer, Document};
    ///
    /// let document = Document::parse(r#"<set-variable name="team" value="orders" />"#)?;
    /// let layer = ApimPolicyLayer::new(document).allow_revoked_to_finish();
    /// # drop(layer);
    /// # Ok::<(), tower_mtls::apim::DocumentErrors>(())
    /// ```
    #[must_use]
    pub fn allow_revoked_to_finish(self) -> Self {
        Self(Arc::new(Settings { allow_revoked_to_finish: true, ..Settings::clone(&self.0) }))
    }
}

impl<S> Layer<S> for ApimPolicyLayer {
    type Service = ApimPolicy<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApimPolicy { inner, settings: self.0.clone() }
    }
}
