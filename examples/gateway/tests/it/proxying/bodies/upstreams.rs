//! Upstreams with scripted responses, and with responses of a given size.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    Demo, Running, fronted, soon,
    upstream::{Connection, Upstream},
};

/// The gateway in front of the upstream.
pub(crate) struct World {
    pub(crate) demo: Demo,
    pub(crate) running: Running,
    pub(crate) upstream: Upstream,
}

pub(crate) const HTTP1: &[&str] = &["http/1.1"];
pub(crate) const HTTP2: &[&str] = &["h2"];

impl World {
    /// Serves each connection of the upstream with `serve`.
    pub(crate) async fn raw<F, Served>(alpn: &[&str], serve: F) -> Self
    where
        F: Fn(Connection) -> Served + Send + Sync + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        Self::raw_with("", alpn, serve).await
    }

    /// The same with these keys in the route `/`.
    pub(crate) async fn raw_with<F, Served>(route: &str, alpn: &[&str], serve: F) -> Self
    where
        F: Fn(Connection) -> Served + Send + Sync + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let demo = Demo::start();
        let upstream = Upstream::start(&demo.dir(), alpn, serve).await;
        let (running, demo) = fronted::start_with(demo, upstream.address, "", route);
        Self { demo, running, upstream }
    }

    /// Responds to each request with `answer`.
    pub(crate) async fn answering<F, Answer, B>(alpn: &[&str], answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::raw(alpn, move |stream| {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// Responds to `/N` with the bytes of that index. With `once`, each connection ends after its first response.
    pub(crate) async fn saying(answers: Vec<&'static str>, once: bool) -> Self {
        Self::raw(HTTP1, move |mut stream| {
            let answers = answers.clone();
            async move {
                while let Some(head) = read_head(&mut stream).await {
                    let path = head.split(' ').nth(1).unwrap();
                    let number: usize = path.trim_start_matches('/').parse().unwrap();
                    stream.write_all(answers[number].as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                    if once {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Sends a request verbatim; returns the whole response.
    pub(crate) async fn ask(&self, request: &str) -> String {
        soon(self.demo.send_raw(Some("client"), request.as_bytes())).await
    }

    /// `curl`'s exit code, standard output and standard error.
    pub(crate) async fn curl(&self, arguments: &str) -> (i32, String, String) {
        let line = format!(
            "cd '{}' && curl -sS --max-time 300 --cacert ca.pem --cert client.pem --key client.key {}",
            self.demo.dir().display(),
            arguments.replace("GATEWAY", &format!("https://localhost:{}", self.demo.port)),
        );
        let run = move || std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

/// Reads a request head, but not its body; None: the connection has ended.
pub(crate) async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// This many bytes, in pieces of 64 KiB.
pub(crate) struct ByteBody(pub(crate) u64);

impl Body for ByteBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE: [u8; 65_536] = [b'x'; 65_536];
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        let length = self.0.min(PIECE.len() as u64);
        self.0 -= length;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE[..length as usize])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

pub(crate) type SizedBody = Either<ByteBody, Full<Bytes>>;

/// Responds to `/down/N` with N bytes, and to other paths with the size of the request body.
pub(crate) async fn by_size(request: Request<Incoming>) -> Response<SizedBody> {
    if let Some(size) = request.uri().path().strip_prefix("/down/") {
        return Response::new(Either::Left(ByteBody(size.parse().unwrap())));
    }
    let version = request.version();
    let mut body = request.into_body();
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => count += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => return Response::new(Either::Right(Full::from(format!("aborted: {error}")))),
        }
    }
    Response::new(Either::Right(Full::from(format!("{version:?} {count}"))))
}
