use std::{
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, Method, Request, Response};
use tower_service::Service;

use super::{
    Document, RequestFacts,
    decision::{DocumentDecision, DocumentResponse, Forward, Forwarding, UNREADABLE, rejection_kind},
    dotnet,
    future::ResponseFuture,
    headers::ResponseChange,
};
#[cfg(feature = "metrics")]
use crate::inbound::counter;
use crate::{
    certificate::{Clock, Presented},
    inbound::{self, Refusal, ResponseBody, Shortened, shortened_path},
    policy::{Rejection, RejectionKind},
    request::captured::{Recheck, Verdict, captured, mark, recheck_by},
    shared::Shared,
};

/// Service that enforces a document. See the [module](super).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let handler =
/// #     service_fn(|_: Request<()>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) });
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{apim::{ApimPolicy, ApimPolicyLayer, Document}, certificate::Presented};
/// use tower_mtls::danger::AssumePresentedLayer;
///
/// struct Route<S> {
///     orders: ApimPolicy<S>,
/// }
///
/// let document = Document::parse("<return-response><set-status code='403' /></return-response>")?;
/// let route = Route { orders: ApimPolicyLayer::new(document).layer(handler) };
/// let service = AssumePresentedLayer::new(Presented::Nothing).layer(route.orders);
/// assert_eq!(service.oneshot(Request::new(())).await?.status(), 403);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ApimPolicy<S> {
    pub(super) inner: S,
    // One pointer: cloning the service increments one reference count.
    pub(super) settings: Arc<Settings>,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) document: Shared<Document>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shadow: bool,
    /// True if requests in flight finish after a change by which they would be rejected.
    pub(super) allow_revoked_to_finish: bool,
}

impl Recheck for Settings {
    fn is_admitted(&self, presented: &Presented, remote: SocketAddr) -> bool {
        let judged = self.document.load().judge_proofs(presented, self.clock.now());
        judged.inspect_err(|rejection| inbound::cut(rejection, presented, remote)).is_ok()
    }
}

impl<S> ApimPolicy<S> {
    fn decide<B>(&self, request: &Request<B>) -> Result<DocumentDecision, Rejection> {
        let Some((presented, remote)) = captured(request.extensions()) else {
            return Err(Rejection::new(RejectionKind::NotCaptured));
        };
        let facts = RequestFacts::new(request, presented).with_remote(remote.map(|remote| remote.ip()));
        let Settings { document, clock, shadow, .. } = &*self.settings;
        let (document, now) = (document.load(), clock.now());
        let decision =
            if *shadow { document.evaluate_shadow(&facts, now) } else { document.evaluate(&facts, now) };
        // Not a response of the document: use the rejection of this crate.
        if decision.response().is_some_and(|response| response.code() == Some(UNREADABLE)) {
            return Err(Rejection::new(RejectionKind::Unreadable));
        }
        Ok(decision)
    }

    /// Has a request that the proofs of the document admitted judged again while it is in flight.
    fn recheck_in_flight(&self, forward: &Forward, extensions: &Extensions) {
        let Settings { document, shadow, allow_revoked_to_finish, .. } = &*self.settings;
        let is_final = *shadow || *allow_revoked_to_finish || !forward.admits();
        if !is_final && document.load().summary().proves_certificate {
            recheck_by(extensions, self.settings.clone());
        }
    }
}

/// Applies the changes of the document to the request. Returns the changes for the response.
fn apply<B>(forward: Forward, request: &mut Request<B>) -> Vec<ResponseChange> {
    if let Some(headers) = forward.headers {
        *request.headers_mut() = headers;
    }
    let extensions = request.extensions_mut();
    let verdict = match (forward.admits, &forward.withheld) {
        (Some(verification), _) => Verdict::Admitted(verification),
        (None, Some(_)) => Verdict::Shadowed,
        (None, None) => Verdict::MissingAllowed,
    };
    mark(extensions, verdict);
    let Forwarding { identity, base_url, headers, .. } = &forward.forwarding;
    if identity.is_some() || base_url.is_some() || !headers.is_empty() {
        extensions.insert(forward.forwarding);
    }
    forward.response
}

/// The rejection for the extensions of the response; none for a status below 400.
fn rejection_of(response: &DocumentResponse) -> Option<Rejection> {
    response.is_rejection().then(|| Rejection::new(rejection_kind(response.code())))
}

/// Logs a response, sent or withheld, and counts it if it is a rejection.
#[cold]
fn report<B>(response: &DocumentResponse, request: &Request<B>, is_withheld: bool) {
    let kind = rejection_of(response).map(|rejection| rejection.kind());
    #[cfg(feature = "metrics")]
    if let Some(kind) = kind {
        if is_withheld { counter::would_refuse(kind) } else { counter::refused(kind) }
    }
    let message = match is_withheld {
        true => "request would be refused by its policy document",
        false => "request answered by its policy document",
    };
    let (presented, remote) = captured(request.extensions()).unzip();
    let certificate = match presented {
        Some(Presented::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let (element, line, column) = response.element();
    tracing::info!(
        reason = kind.map(RejectionKind::as_str),
        status = response.status().as_u16(),
        element,
        line,
        column,
        code = response.code(),
        chain = response.chain_failure(),
        method = %Shortened(request.method()),
        // Without the query, which may contain secrets.
        path = &*shortened_path(request.uri().path()),
        remote = remote.flatten().map(tracing::field::display),
        subject = certificate.map(|certificate| tracing::field::display(Shortened(certificate.subject()))),
        issuer = certificate.map(|certificate| tracing::field::display(Shortened(certificate.issuer()))),
        thumbprint = certificate.map(|certificate| tracing::field::display(certificate.sha256_thumbprint())),
        // In the form that documents compare.
        thumbprint_sha1 = certificate.map(dotnet::thumbprint),
        not_after = certificate.map(|certificate| tracing::field::display(certificate.validity().not_after)),
        "{message}: {}",
        Shortened(if response.message().is_empty() { element } else { response.message() })
    );
}

fn respond<R>(response: DocumentResponse, method: &Method) -> Response<ResponseBody<R>> {
    let rejection = rejection_of(&response);
    let mut response = response.into_response();
    if *method == Method::HEAD {
        response.body_mut().clear();
    }
    if let Some(rejection) = rejection {
        response.extensions_mut().insert(rejection);
    }
    response.map(ResponseBody::refusal)
}

impl<S, B, R> Service<Request<B>> for ApimPolicy<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.decide(&request) {
            Ok(DocumentDecision::Forward(forward)) => {
                if let Some(withheld) = &forward.withheld {
                    report(withheld, &request, true);
                }
                self.recheck_in_flight(&forward, request.extensions());
                let changes = apply(forward, &mut request);
                ResponseFuture::forwarded(self.inner.call(request), changes)
            }
            Ok(DocumentDecision::Respond(response)) => {
                report(&response, &request, false);
                ResponseFuture::responded(respond(response, request.method()))
            }
            Err(rejection) => {
                inbound::refused(&rejection, &request);
                ResponseFuture::responded(Refusal::new(rejection, request, None).into_response())
            }
        }
    }
}
