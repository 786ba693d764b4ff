//! Run with: cargo run --example compose --all-features
//!
//! The layers among those of tower and tower-http: their order, and the reasons (see `inbound` and `outbound`). A server
//! answers `/orders` by calling an upstream under its own identity; a partner and a stranger call it, and the effects of
//! the layer order are asserted.

mod support;

use std::{
    error::Error,
    future::{Ready, ready},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use tokio::{sync::Notify, time};
use tower::{
    Layer, ServiceBuilder, ServiceExt,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
    retry,
    util::BoxCloneSyncService,
};
use tower_http::{compression::CompressionLayer, timeout::TimeoutLayer, trace::TraceLayer};
use tower_mtls::outbound::UpstreamBody;
use tower_mtls::{
    ClientCertificate, ClientIdentity, IdentityLayer, MtlsClient, MtlsListener, Policy,
    RequireCertificateLayer, Rule, ServerTls, Shared, TrustAnchors, UpstreamTrust, capture,
    outbound::ClientError,
    policy::{Rejection, RejectionKind},
};

use self::support::Authority;

/// Error type of the requests between caller, server and upstream.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// An upstream under one identity, as the handlers call it.
type Upstream = BoxCloneSyncService<Request<Empty<Bytes>>, Response<UpstreamBody>, ClientError>;

/// In order of time.
type List<T> = Arc<Mutex<Vec<T>>>;

/// Timeout for the response head.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The server's layers, from the caller inwards. Outside of them, `capture` records the caller's certificate once per
/// connection.
///
/// 1. The trace is outermost: it sees every response, and reads the reason of a rejection from the extensions.
/// 2. The timeout is outside of the limit: time in the queue counts.
/// 3. The decision is outside of all costly layers: a stranger takes no permit, and no CPU time to compress a
///    rejection. It is a `route_layer`, because `layer` would guard unknown paths too and answer 403.
/// 4. The limit is next, and 5. compression innermost: it works on the responses of handlers.
///
/// A `route_layer` polls the inner layers for readiness once it is called, so the limit grants its permit after the
/// decision. In one stack (`ServiceBuilder`, or a plain service of hyper) the permit would come before it: readiness
/// precedes the request, and strangers would queue as well. (A layer that is added later is outside.)
fn inbound(policy: Policy, server: &Arc<Server>) -> Router {
    let (orders, slow, never, trace) = (server.clone(), server.clone(), server.clone(), server.clone());
    Router::new()
        .route("/orders", get(async move || orders.orders().await))
        .route("/slow", get(async move || slow.slow().await))
        .route("/never", get(async move || never.never().await))
        .route_layer(CompressionLayer::new())
        .route_layer(GlobalConcurrencyLimitLayer::new(1))
        .route_layer(RequireCertificateLayer::new(policy))
        .route_layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIMEOUT))
        .layer(TraceLayer::new_for_http().on_response(
            move |response: &Response<Body>, _: Duration, _: &_| {
                let reason = response.extensions().get::<Rejection>().map(Rejection::kind);
                push(&trace.traced, (response.status(), reason));
            },
        ))
}

/// A route to an upstream, from the handler outwards.
///
/// 1. The limit is outside of the retry: a request counts once, with all of its attempts.
/// 2. The retry is outside of `IdentityLayer`: each attempt resolves the identity, and so uses a renewed one.
/// 3. `IdentityLayer` is directly around the client, which has a pool for each identity.
fn outbound(client: MtlsClient<Empty<Bytes>>, identity: Shared<ClientIdentity>, retry: Renewal) -> Upstream {
    let stack = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(16))
        .retry(retry)
        .layer(IdentityLayer::new(identity))
        .service(client);
    BoxCloneSyncService::new(stack)
}

/// Retries once if the upstream rejects the identity. In production another task renews the identity meanwhile.
#[derive(Clone)]
struct Renewal {
    identity: Shared<ClientIdentity>,
    renewed: ClientIdentity,
    attempts: List<StatusCode>,
    is_spent: bool,
}

impl retry::Policy<Request<Empty<Bytes>>, Response<UpstreamBody>, ClientError> for Renewal {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Empty<Bytes>>,
        outcome: &mut Result<Response<UpstreamBody>, ClientError>,
    ) -> Option<Ready<()>> {
        let status = outcome.as_ref().ok()?.status();
        push(&self.attempts, status);
        if status != StatusCode::FORBIDDEN || self.is_spent {
            return None;
        }
        self.is_spent = true;
        self.identity.replace(self.renewed.clone());
        Some(ready(()))
    }

    /// None marks a request that cannot be sent twice, for example because its body is a stream.
    fn clone_request(&mut self, request: &Request<Empty<Bytes>>) -> Option<Request<Empty<Bytes>>> {
        Some(request.clone())
    }
}

/// The server's handlers and their shared state.
struct Server {
    upstream: Upstream,
    upstream_url: String,
    traced: List<(StatusCode, Option<RejectionKind>)>,
    started: Notify,
    finish: Notify,
}

impl Server {
    async fn orders(&self) -> Result<String, StatusCode> {
        let request = Request::get(&self.upstream_url).body(Empty::new());
        let request = request.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let answer = self.upstream.clone().oneshot(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let body = answer.into_body().collect().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        String::from_utf8(body.to_bytes().into()).map_err(|_| StatusCode::BAD_GATEWAY)
    }

    async fn slow(&self) -> &'static str {
        self.started.notify_one();
        self.finish.notified().await;
        "at last"
    }

    async fn never(&self) {
        std::future::pending().await
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let ca = Authority::new("Contoso CA")?;
    let client = MtlsClient::builder().trust(UpstreamTrust::from_pem(ca.pem().as_bytes())?).build();

    // An upstream that admits only the renewed identity, and a route to it that still has the old one.
    let greeting = async |caller: ClientCertificate| format!("hello {}\n", caller.subject());
    let guard = RequireCertificateLayer::new(policy(&ca, "gateway-renewed")?);
    let upstream_url = serve(&ca, Router::new().route("/", get(greeting)).route_layer(guard)).await?;
    let shared = Shared::new(identity(&ca, "gateway-old")?);
    let attempts = List::default();
    let renewal = Renewal {
        identity: shared.clone(),
        renewed: identity(&ca, "gateway-renewed")?,
        attempts: attempts.clone(),
        is_spent: false,
    };
    let server = Arc::new(Server {
        upstream: outbound(client.clone(), shared, renewal),
        upstream_url,
        traced: List::default(),
        started: Notify::new(),
        finish: Notify::new(),
    });
    let origin = serve(&ca, inbound(policy(&ca, "partner")?, &server)).await?;

    let (partner, stranger) = (identity(&ca, "partner")?, identity(&ca, "stranger")?);
    let ask = async |who: &ClientIdentity, path: &str| -> Outcome<Response<UpstreamBody>> {
        let request = Request::get(format!("{origin}{path}")).header(header::ACCEPT_ENCODING, "gzip");
        let layer = IdentityLayer::new(who.clone());
        Ok(layer.layer(client.clone()).oneshot(request.body(Empty::new())?).await?)
    };

    // Trace, decision, compression; limit, retry, identity.
    let answer = ask(&partner, "/orders").await?;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(is_compressed(&answer));
    assert_eq!(all(&attempts), [StatusCode::FORBIDDEN, StatusCode::OK]);
    println!(
        "a partner: 200, compressed; the upstream refused the old identity and admitted the renewed one"
    );

    let answer = ask(&stranger, "/orders").await?;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(!is_compressed(&answer));
    let traced = [(StatusCode::OK, None), (StatusCode::FORBIDDEN, Some(RejectionKind::CommonName))];
    assert_eq!(all(&server.traced), traced);
    println!("a stranger: 403, not compressed; the trace says why, the answer does not");

    // While a partner's request has the only permit, a stranger is rejected at once and a partner waits.
    let (slow, others) = tokio::join!(ask(&partner, "/slow"), async {
        server.started.notified().await;
        let refused = ask(&stranger, "/orders").await;
        let waiting = time::timeout(Duration::from_millis(100), ask(&partner, "/orders")).await;
        server.finish.notify_one();
        Outcome::Ok((refused?.status(), waiting.is_err()))
    });
    assert_eq!(others?, (StatusCode::FORBIDDEN, true));
    assert_eq!(slow?.status(), StatusCode::OK);
    println!("while the only permit was taken: a stranger 403 at once, a partner waited");

    // A request that times out returns its permit.
    assert_eq!(ask(&partner, "/never").await?.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(ask(&partner, "/orders").await?.status(), StatusCode::OK);
    println!("after a timeout, 504: the permit is free again");

    assert_eq!(ask(&stranger, "/nowhere").await?.status(), StatusCode::NOT_FOUND);
    println!("an unknown path: 404, to strangers too");
    Ok(())
}

/// Admission: a chain to this CA, and this name.
fn policy(ca: &Authority, common_name: &str) -> Outcome<Policy> {
    let anchors = TrustAnchors::from_pem(ca.pem().as_bytes())?;
    Ok(Policy::builder().trust(anchors).require(Rule::common_name([common_name])).build()?)
}

fn identity(ca: &Authority, common_name: &str) -> Outcome<ClientIdentity> {
    let issued = ca.client(common_name)?;
    Ok(ClientIdentity::from_pem(issued.certificate.as_bytes(), issued.key.as_bytes())?)
}

/// Serves on a free port. Returns the origin.
async fn serve(ca: &Authority, app: Router) -> Outcome<String> {
    let server = ca.server()?;
    let tls = ServerTls::from_pem(server.certificate.as_bytes(), server.key.as_bytes())?;
    let listener = MtlsListener::bind("127.0.0.1:0", tls).await?;
    let origin = format!("https://{}", listener.local_addr());
    tokio::spawn(async move { axum::serve(listener, capture(app)).await });
    Ok(origin)
}

fn is_compressed<B>(response: &Response<B>) -> bool {
    response.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip")
}

fn push<T>(list: &List<T>, item: T) {
    list.lock().unwrap_or_else(PoisonError::into_inner).push(item);
}

fn all<T: Clone>(list: &List<T>) -> Vec<T> {
    list.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
