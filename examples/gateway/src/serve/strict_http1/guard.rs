//! Lets the HTTP library read only what the follower passes.

use std::{error::Error, fmt, io};

use tokio::io::ReadBuf;

use super::{Follower, Place, Violation};

/// Not allowed anywhere in a head, by any reader.
const NUL: u8 = 0;

/// The library looks at a head that came in pieces only when its end is there.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What stands between a caller's socket and the library.
#[derive(Debug)]
pub(in crate::serve) struct Guard {
    follower: Follower,
    refused: Option<Refused>,
}

/// What is read from now on in place of the socket.
#[derive(Debug)]
enum Refused {
    /// This, and then nothing: the library answers 400 and closes.
    Head(&'static [u8]),
    /// An error: the body never ends well, so what was forwarded of it is never taken for the whole.
    Body,
}

impl Guard {
    pub(in crate::serve) fn new() -> Self {
        Self { follower: Follower::new(), refused: None }
    }

    /// Whether a request has begun of which more is to come, or nothing that can be understood.
    pub(in crate::serve) fn is_within_request(&self) -> bool {
        self.refused.is_some() || !matches!(self.follower, Follower::Before(_))
    }

    /// Reads what is read in place of the socket; `None`: the socket is still to be read.
    pub(in crate::serve) fn read(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        match self.refused.as_mut()? {
            Refused::Head(end) => {
                let (now, later) = end.split_at(end.len().min(buf.remaining()));
                buf.put_slice(now);
                *end = later;
                Some(Ok(()))
            }
            Refused::Body => Some(Err(malformed())),
        }
    }

    /// Examines what the socket gave, which is all behind the first `before` bytes.
    pub(in crate::serve) fn examine(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        let bytes = &mut buf.filled_mut()[before..];
        let Err(Violation { at, place }) = self.follower.follow(bytes) else {
            return Ok(());
        };
        tracing::debug!(?place, "a request that is not strict HTTP/1 was refused");
        match place {
            Place::Head => {
                bytes[at] = NUL;
                buf.set_filled(before + at + 1);
                self.refused = Some(Refused::Head(HEAD_END));
                Ok(())
            }
            Place::Body => {
                buf.set_filled(before + at);
                self.refused = Some(Refused::Body);
                // To have read nothing would mean that the caller has ended.
                if at == 0 { Err(malformed()) } else { Ok(()) }
            }
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, MalformedBody)
}

/// A caller's body in which an octet stands that must not be there.
#[derive(Debug)]
struct MalformedBody;

impl fmt::Display for MalformedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body is not strict HTTP/1")
    }
}

impl Error for MalformedBody {}

/// Whether a request failed because its caller's body was malformed.
pub(in crate::serve) fn is_malformed_body(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>()?.get_ref())
        .any(|cause| cause.is::<MalformedBody>())
}
