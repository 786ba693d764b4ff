//! Faulty HTTP/2 upstreams: reset streams, and connections that end below them.

use std::{io, time::Duration};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Request, Response};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;

use super::{Fault, Random, Record, answer_to, body_of, gone};
use crate::support::raw::reset;

/// The end of a connection after a few streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The faults of HTTP/1.1.
    Abrupt(Fault),
    /// GOAWAY; streams in flight are finished.
    Graceful,
    /// GOAWAY; streams in flight are not finished.
    Refusing(Reason),
}

/// The fault of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    AfterTheHead,
    AfterTheRequest,
    AfterTheAnswersHead,
    InTheAnswersBody,
}

pub(super) async fn serve(number: usize, record: Record, tcp: TcpStream, tls: TlsAcceptor) -> io::Result<()> {
    let mut random = Random(number as u64);
    let fault = random.pick(&Fault::ALL);
    let end = random.pick(&[
        End::Abrupt(fault),
        End::Graceful,
        End::Refusing(Reason::ENHANCE_YOUR_CALM),
        End::Refusing(Reason::NO_ERROR),
    ]);
    let is_before_the_handshake = random.below(10) == 0;
    let good = if random.below(10) == 0 { 0 } else { 1 + random.below(30) };
    if is_before_the_handshake {
        record.done(format!("before the handshake: {fault:?}"));
        if fault == Fault::Reset {
            reset(tcp);
        }
        return Ok(());
    }
    let stream = tls.accept(tcp).await?;
    let handshake = h2::server::Builder::new().max_concurrent_streams(10).handshake::<_, Bytes>(stream);
    let mut connection = handshake.await.map_err(io::Error::other)?;
    let mut left = good;
    // The end comes after this many streams, or never.
    while left > 0 {
        let Some(stream) = connection.accept().await else { return Ok(()) };
        let (request, respond) = stream.map_err(io::Error::other)?;
        tokio::spawn(exchange(random, record.clone(), request, respond));
        random.below(2);
        left -= 1;
    }
    record.done(format!("after streams: {end:?}"));
    match end {
        End::Abrupt(Fault::Stall) => {
            // Nothing is read or written until the client gives up.
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        }
        // Dropping the connection closes it with unread data.
        End::Abrupt(_) => Ok(()),
        End::Graceful => {
            connection.graceful_shutdown();
            finish(connection, &record, random).await
        }
        End::Refusing(reason) => {
            connection.abrupt_shutdown(reason);
            finish(connection, &record, random).await
        }
    }
}

async fn finish(
    mut connection: h2::server::Connection<tokio_rustls::server::TlsStream<TcpStream>, Bytes>,
    record: &Record,
    mut random: Random,
) -> io::Result<()> {
    while let Ok(Some(stream)) = timeout(Duration::from_secs(2), connection.accept()).await {
        let (request, respond) = stream.map_err(io::Error::other)?;
        tokio::spawn(exchange(random, record.clone(), request, respond));
        random.below(2);
    }
    Ok(())
}

async fn exchange(
    mut random: Random,
    record: Record,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> io::Result<()> {
    let id = request.uri().path()[1..].parse().map_err(io::Error::other)?;
    record.arrived(id);
    let point = random.pick(&[
        Point::AfterTheHead,
        Point::AfterTheRequest,
        Point::AfterTheAnswersHead,
        Point::InTheAnswersBody,
    ]);
    let reason = random.pick(&[
        Some(Reason::INTERNAL_ERROR),
        Some(Reason::REFUSED_STREAM),
        Some(Reason::CANCEL),
        Some(Reason::NO_ERROR),
        None,
    ]);
    // Two of three are served.
    let fault = (random.below(3) == 0).then_some(point);
    if fault.is_some() {
        record.done(format!("{point:?}: {reason:?}"));
    }
    if fault == Some(Point::AfterTheHead) {
        return spoil(reason, |reason| respond.send_reset(reason)).await;
    }
    let mut body = request.into_body();
    let mut read = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(io::Error::other)?;
        let _ = body.flow_control().release_capacity(data.len());
        read.extend_from_slice(&data);
    }
    assert_eq!(read, body_of(id));
    if fault == Some(Point::AfterTheRequest) {
        return spoil(reason, |reason| respond.send_reset(reason)).await;
    }
    let answer = Bytes::from(answer_to(id));
    let mut sending = respond.send_response(Response::new(()), false).map_err(|_| gone())?;
    if fault == Some(Point::AfterTheAnswersHead) {
        return spoil(reason, |reason| sending.send_reset(reason)).await;
    }
    if fault == Some(Point::InTheAnswersBody) {
        sending.send_data(answer.slice(..answer.len() / 2), false).map_err(|_| gone())?;
        return spoil(reason, |reason| sending.send_reset(reason)).await;
    }
    sending.send_data(answer, true).map_err(|_| gone())
}

/// Resets a stream, or leaves it open until the client gives up.
async fn spoil(reason: Option<Reason>, reset: impl FnOnce(Reason)) -> io::Result<()> {
    match reason {
        Some(reason) => reset(reason),
        None => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            reset(Reason::CANCEL);
        }
    }
    Ok(())
}
