//! Faulty HTTP/1.1 upstreams.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Fault, Random, Record, answer_to, body_of, gone};
use crate::support::raw::{answer, field, read_head, reset, stall};

/// The point of the exchange at which the fault occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    BeforeTheHandshake,
    AfterTheHandshake,
    BeforeTheRequestIsRead,
    InTheHead,
    AfterTheHead,
    InTheBody,
    AfterTheRequest,
    InTheAnswersHead,
    AfterTheAnswersHead,
    InTheAnswersBody,
    WhileIdle,
}

impl Point {
    pub(super) const ALL: [Self; 11] = [
        Self::BeforeTheHandshake,
        Self::AfterTheHandshake,
        Self::BeforeTheRequestIsRead,
        Self::InTheHead,
        Self::AfterTheHead,
        Self::InTheBody,
        Self::AfterTheRequest,
        Self::InTheAnswersHead,
        Self::AfterTheAnswersHead,
        Self::InTheAnswersBody,
        Self::WhileIdle,
    ];
}

/// The script of one connection: it serves a few requests, then fails.
pub(super) struct Exchange {
    record: Record,
    good: usize,
    point: Point,
    fault: Fault,
    is_chunked: bool,
}

impl Exchange {
    pub(super) fn new(number: usize, record: Record) -> Self {
        let mut random = Random(number as u64);
        // Every pair in turn.
        let point = Point::ALL[number % Point::ALL.len()];
        let fault = Fault::ALL[number / Point::ALL.len() % Fault::ALL.len()];
        Self { record, good: random.below(4), point, fault, is_chunked: random.below(2) == 0 }
    }

    pub(super) async fn run(self, tcp: TcpStream, tls: TlsAcceptor) -> io::Result<()> {
        if self.point == Point::BeforeTheHandshake {
            return self.before_the_handshake(tcp).await;
        }
        let mut stream = tls.accept(tcp).await?;
        if self.point == Point::AfterTheHandshake {
            return self.happens(stream).await;
        }
        for _ in 0..self.good {
            let id = self.head(&mut stream).await?;
            self.body(&mut stream, id, body_of(id).len()).await?;
            let (head, body) = self.answer(id);
            answer(&mut stream, &head).await?;
            answer(&mut stream, &body).await?;
        }
        if self.point == Point::WhileIdle {
            return self.happens(stream).await;
        }
        if self.point == Point::BeforeTheRequestIsRead {
            stream.get_ref().0.readable().await?;
            return self.happens(stream).await;
        }
        if self.point == Point::InTheHead {
            let mut begin = [0; 20];
            stream.read_exact(&mut begin).await?;
            self.note(&String::from_utf8_lossy(&begin));
            return self.happens(stream).await;
        }
        let id = self.head(&mut stream).await?;
        if self.point == Point::AfterTheHead {
            return self.happens(stream).await;
        }
        let length = body_of(id).len();
        let read = if self.point == Point::InTheBody { length / 2 } else { length };
        self.body(&mut stream, id, read).await?;
        let (head, body) = self.answer(id);
        let said = match self.point {
            Point::InTheAnswersHead => head[..30].to_owned(),
            Point::AfterTheAnswersHead => head,
            Point::InTheAnswersBody => head + &body[..body.len() / 2],
            _ => String::new(),
        };
        answer(&mut stream, &said).await?;
        self.happens(stream).await
    }

    /// Reads a head and records its request.
    async fn head(&self, stream: &mut TlsStream<TcpStream>) -> io::Result<usize> {
        let head = read_head(stream).await?;
        let id = self.note(&head).ok_or_else(gone)?;
        assert_eq!(field(&head, "content-length").unwrap(), body_of(id).len().to_string());
        Ok(id)
    }

    async fn body(&self, stream: &mut TlsStream<TcpStream>, id: usize, length: usize) -> io::Result<()> {
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        assert_eq!(body, body_of(id)[..length]);
        Ok(())
    }

    fn answer(&self, id: usize) -> (String, String) {
        let body = answer_to(id);
        let begin = "HTTP/1.1 200 OK\r\nServer: faulty\r\n";
        if self.is_chunked {
            let (first, second) = body.split_at(1_000);
            let chunks = format!("3e8\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", second.len());
            (format!("{begin}Transfer-Encoding: chunked\r\n\r\n"), chunks)
        } else {
            (format!("{begin}Content-Length: {}\r\n\r\n", body.len()), body)
        }
    }

    /// Records the request that begins with this data.
    fn note(&self, head: &str) -> Option<usize> {
        let id = head.strip_prefix("POST /")?.get(..6)?.parse().unwrap();
        self.record.arrived(id);
        Some(id)
    }

    fn done(&self) {
        self.record.done(format!("{:?} {:?}", self.point, self.fault));
    }

    async fn before_the_handshake(self, mut tcp: TcpStream) -> io::Result<()> {
        self.done();
        match self.fault {
            Fault::Close => {}
            Fault::Reset => reset(tcp),
            Fault::Notify | Fault::Stall => {
                if self.fault == Fault::Notify {
                    tcp.shutdown().await?;
                }
                let mut rest = [0; 1024];
                while tcp.read(&mut rest).await? > 0 {}
            }
        }
        Ok(())
    }

    async fn happens(self, mut stream: TlsStream<TcpStream>) -> io::Result<()> {
        self.done();
        match self.fault {
            Fault::Close => {}
            Fault::Reset => reset(stream.into_inner().0),
            Fault::Notify => {
                stream.shutdown().await?;
                // Before anything is read, a request that is being sent is recorded as well.
                let is_between = matches!(
                    self.point,
                    Point::AfterTheHandshake | Point::BeforeTheRequestIsRead | Point::WhileIdle
                );
                if is_between && let Ok(head) = read_head(&mut stream).await {
                    self.note(&head);
                }
                stall(&mut stream).await?;
            }
            Fault::Stall => stall(&mut stream).await?,
        }
        Ok(())
    }
}
