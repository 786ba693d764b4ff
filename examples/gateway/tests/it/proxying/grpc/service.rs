//! A hand-written gRPC service without generated code, and its clients. Messages are strings.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::uri::PathAndQuery;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
    server::NamedService,
    transport::{
        Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig,
        server::TcpIncoming,
    },
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::support::{Demo, Running, fronted, soon};

pub(crate) type Client = tonic::client::Grpc<Channel>;
type Reply = Result<Response<String>, Status>;
type Replies = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

pub(crate) fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

pub(crate) fn method(name: &str) -> PathAndQuery {
    format!("/test.Echo/{name}").parse().unwrap()
}

/// The gateway in front of the service.
pub(crate) struct World {
    pub(crate) demo: Demo,
    pub(crate) running: Running,
    events: mpsc::UnboundedReceiver<String>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "tonic's own TLS accepts no explicit provider")]
    pub(crate) async fn start() -> Self {
        // With several providers compiled in there is no default. Another test of this process has perhaps installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let demo = Demo::start();
        let read = |name: &str| std::fs::read(demo.dir().join(name)).unwrap();
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(read("backend.pem"), read("backend.key")))
            .client_ca_root(Certificate::from_pem(read("backend-ca.pem")));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (event_tx, events) = mpsc::unbounded_channel();
        let server = Server::builder().tls_config(tls).unwrap().add_service(Echo { event_tx });
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
        let (running, demo) = fronted::start(demo, address, "");
        Self { demo, running, events }
    }

    /// A client with its own connection.
    pub(crate) async fn client(&self, certificate: Option<&str>) -> Client {
        let read = |name: &str| std::fs::read(self.demo.dir().join(name)).unwrap();
        let mut tls = ClientTlsConfig::new()
            .domain_name("localhost")
            .ca_certificate(Certificate::from_pem(read("ca.pem")));
        if let Some(name) = certificate {
            let (chain, key) = (read(&format!("{name}.pem")), read(&format!("{name}.key")));
            tls = tls.identity(Identity::from_pem(chain, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://localhost:{}", self.demo.port)).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
        let mut client = Client::new(channel);
        client.ready().await.unwrap();
        client
    }

    /// The next event of the service.
    pub(crate) async fn next_event(&mut self) -> String {
        soon(self.events.recv()).await.unwrap()
    }

    pub(crate) fn was_told_nothing(&mut self) -> bool {
        self.events.try_recv().is_err()
    }
}

/// A stream that stays open as long as its sender.
pub(crate) async fn talk(client: &mut Client) -> (mpsc::Sender<String>, Streaming<String>) {
    let (send, messages) = mpsc::channel(1);
    let request = Request::new(ReceiverStream::new(messages));
    client.ready().await.unwrap();
    let response = client.streaming(request, method("Talk"), codec()).await.unwrap();
    (send, response.into_inner())
}

/// Sends one message, and reads its echo.
pub(crate) async fn exchange(
    (send, replies): &mut (mpsc::Sender<String>, Streaming<String>),
    message: String,
) {
    send.send(message.clone()).await.unwrap();
    assert_eq!(replies.message().await.unwrap(), Some(message));
}

/// Metadata of errors besides code and message.
pub(crate) fn metadata() -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert("reason", "because".parse().unwrap());
    metadata.insert_bin("proof-bin", MetadataValue::from_bytes(&[0, 1, 2, 250, 255]));
    metadata
}

fn failure() -> Status {
    let details = bytes::Bytes::from_static(b"\0details\xff");
    Status::with_details_and_metadata(Code::DataLoss, "lost: 100 % grüß", details, metadata())
}

#[derive(Clone)]
struct Echo {
    event_tx: mpsc::UnboundedSender<String>,
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let event_tx = self.event_tx.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(codec());
            Ok(match request.uri().path().rsplit('/').next().unwrap() {
                "Unary" => grpc.unary(service_fn(unary), request).await,
                "Gather" => grpc.client_streaming(service_fn(gather), request).await,
                "Count" => grpc.server_streaming(service_fn(count), request).await,
                "Talk" => {
                    grpc.streaming(service_fn(move |asked| talk_back(asked, event_tx.clone())), request).await
                }
                "Wait" => grpc.unary(service_fn(move |asked| wait(asked, event_tx.clone())), request).await,
                other => panic!("{other}"),
            })
        })
    }
}

/// Echoes message and metadata.
async fn unary(request: Request<String>) -> Reply {
    if request.get_ref() == "fail" {
        return Err(failure());
    }
    let sent = request.metadata().get_bin("sent-bin").cloned();
    let mut response = Response::new(request.into_inner());
    *response.metadata_mut() = metadata();
    if let Some(sent) = sent {
        response.metadata_mut().insert_bin("sent-bin", sent);
    }
    Ok(response)
}

async fn gather(request: Request<Streaming<String>>) -> Reply {
    let mut messages = request.into_inner();
    let mut all = String::new();
    while let Some(message) = messages.message().await? {
        all.push_str(&message);
    }
    Ok(Response::new(all))
}

/// This many messages, then an error.
async fn count(request: Request<String>) -> Result<Response<Replies>, Status> {
    let most: u32 = request.into_inner().parse().unwrap();
    let numbers = tokio_stream::iter(0..most).map(|number| Ok(number.to_string()));
    Ok(Response::new(Box::pin(numbers.chain(tokio_stream::once(Err(failure()))))))
}

/// Echoes each message on arrival.
async fn talk_back(
    request: Request<Streaming<String>>,
    event_tx: mpsc::UnboundedSender<String>,
) -> Result<Response<Replies>, Status> {
    let dropped = Dropped { event_tx, what: "the stream is gone" };
    let replies = request.into_inner().map(move |message| {
        let _ = &dropped;
        message
    });
    Ok(Response::new(Box::pin(replies)))
}

/// Never responds.
async fn wait(request: Request<String>, event_tx: mpsc::UnboundedSender<String>) -> Reply {
    let timeout = request.metadata().get("grpc-timeout").map(|timeout| timeout.to_str().unwrap());
    let _ = event_tx.send(format!("waiting {}", timeout.unwrap_or("for ever")));
    let _dropped = Dropped { event_tx, what: "the call is gone" };
    std::future::pending().await
}

struct Dropped {
    event_tx: mpsc::UnboundedSender<String>,
    what: &'static str,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.event_tx.send(self.what.to_owned());
    }
}
