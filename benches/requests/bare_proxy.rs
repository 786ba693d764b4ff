//! Bare reverse proxy of hyper and rustls: client certificates on both sides, no checks beyond those of the handshake,
//! one worker.

use std::{
    cell::RefCell,
    error::Error,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, Version, header};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::{SendRequest, handshake},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    task::{LocalSet, spawn_local},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::tls;

type BoxError = Box<dyn Error + Send + Sync>;

/// The upstream and its idle connections.
struct Upstream {
    address: SocketAddr,
    tls: TlsConnector,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

/// Response body that returns its connection to the pool.
struct PooledBody {
    body: Incoming,
    connection: Option<(Rc<Upstream>, SendRequest<Incoming>)>,
}

/// Serves until the process ends. `folder` has the certificates. Prints the address on standard error.
pub(crate) fn run(folder: &Path, upstream: SocketAddr) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, serve(folder, upstream)).unwrap();
}

async fn serve(folder: &Path, address: SocketAddr) -> Result<(), BoxError> {
    let tls = TlsConnector::from(tls::client(folder, "identity", &[]));
    let upstream = Rc::new(Upstream { address, tls, idle: RefCell::default() });
    let acceptor = TlsAcceptor::from(tls::server(folder, "proxy", &["h2", "http/1.1"]));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    eprintln!("serving address={}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
        spawn_local(async move {
            // An error is a caller that has gone.
            let _ = serve_connection(socket, acceptor, upstream).await;
        });
    }
}

async fn serve_connection(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    upstream: Rc<Upstream>,
) -> Result<(), BoxError> {
    socket.set_nodelay(true)?;
    let stream = acceptor.accept(socket).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| forward(upstream.clone(), request));
    let stream = TokioIo::new(stream);
    match is_http2 {
        true => http2::Builder::new(LocalExecutor).serve_connection(stream, service).await?,
        false => http1::Builder::new().serve_connection(stream, service).await?,
    }
    Ok(())
}

async fn forward(
    upstream: Rc<Upstream>,
    mut request: Request<Incoming>,
) -> Result<Response<PooledBody>, BoxError> {
    let path = request.uri().path_and_query().cloned().ok_or("no path")?;
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    let mut sender = connection(&upstream).await?;
    let response = sender.send_request(request).await?;
    let mut response = response.map(|body| PooledBody { body, connection: Some((upstream, sender)) });
    response.headers_mut().remove(header::CONNECTION);
    Ok(response)
}

async fn connection(upstream: &Upstream) -> Result<SendRequest<Incoming>, BoxError> {
    loop {
        let Some(mut idle) = upstream.idle.borrow_mut().pop() else { break };
        if idle.ready().await.is_ok() {
            return Ok(idle);
        }
    }
    let socket = TcpStream::connect(upstream.address).await?;
    socket.set_nodelay(true)?;
    let stream = upstream.tls.connect(ServerName::try_from("localhost")?, socket).await?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    spawn_local(connection);
    Ok(sender)
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for PooledBody {
    fn drop(&mut self) {
        if let Some((upstream, sender)) = self.connection.take() {
            upstream.idle.borrow_mut().push(sender);
        }
    }
}

/// Executor of the worker's own tasks.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(async move {
            future.await;
        });
    }
}
