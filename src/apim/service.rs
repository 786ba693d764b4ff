use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Method, Request, Response};
use tower_service::Service;

use super::{
    Document, RequestFacts,
    future::ResponseFuture,
    outcome::{Answer, Forward, Outcome, UNREADABLE},
    report,
    run::headers::ResponseChange,
};
use crate::{
    certificate::Clock,
    inbound::{self, Refusal, ResponseBody, Verdict},
    policy::{Rejection, RejectionKind},
    shared::Shared,
};

/// Service that does what a document says. See the [module](super).
#[derive(Debug, Clone)]
pub struct ApimPolicy<S> {
    inner: S,
    // One pointer, so that cloning the service costs one count.
    settings: Arc<Settings>,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) document: Shared<Document>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shadow: bool,
}

impl<S> ApimPolicy<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }

    fn decide<B>(&self, request: &Request<B>) -> Result<Outcome, Rejection> {
        let Some((presented, remote)) = inbound::captured(request.extensions()) else {
            return Err(Rejection::new(RejectionKind::NotCaptured));
        };
        let facts = RequestFacts::new(request, presented).with_remote(remote.map(|remote| remote.ip()));
        let Settings { document, clock, shadow } = &*self.settings;
        let now = clock.now();
        let outcome =
            if *shadow { document.evaluate_shadow(&facts, now) } else { document.evaluate(&facts, now) };
        // Not the document's own answer, so it has this crate's form.
        if outcome.answer().is_some_and(|answer| answer.code() == Some(UNREADABLE)) {
            return Err(Rejection::new(RejectionKind::Unreadable));
        }
        Ok(outcome)
    }
}

/// Changes the request as the document said. Returns what is to be changed in the response.
fn apply<B>(forward: Forward, request: &mut Request<B>) -> Vec<ResponseChange> {
    if let Some(headers) = forward.headers {
        *request.headers_mut() = headers;
    }
    let extensions = request.extensions_mut();
    let verdict = match (forward.admits, &forward.refused) {
        (Some(verification), _) => Verdict::Admitted(verification),
        (None, Some(_)) => Verdict::Shadowed,
        (None, None) => Verdict::MissingAllowed,
    };
    inbound::mark(extensions, verdict);
    if !forward.forwarding.is_empty() {
        extensions.insert(forward.forwarding);
    }
    forward.response
}

fn respond<R>(answer: Answer, method: &Method) -> Response<ResponseBody<R>> {
    let is_head = *method == Method::HEAD;
    let rejection = report::rejection_of(&answer);
    let mut response = answer.into_response();
    if is_head {
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
            Ok(Outcome::Forward(forward)) => {
                if let Some(refused) = &forward.refused {
                    report::would_refuse(refused, &request);
                }
                let changes = apply(forward, &mut request);
                ResponseFuture::passed(self.inner.call(request), changes)
            }
            Ok(Outcome::Respond(answer)) => {
                report::answered(&answer, &request);
                ResponseFuture::answered(respond(answer, request.method()))
            }
            Err(rejection) => {
                inbound::refused(&rejection, &request);
                ResponseFuture::answered(Refusal::new(rejection, request, None).into_response())
            }
        }
    }
}
