//! Validation of the bytes that hyper reads from a socket.

use std::{error::Error, fmt, io, task::Poll};

use tokio::io::ReadBuf;

use super::scanner::{MessagePart, Scanner, Violation};
use crate::serve::{HeadLimits, HeadRejection};

/// Invalid at any position of a head, so hyper responds with 400.
const NUL: u8 = 0;

/// Ends a rejected head: hyper parses a partial head only once its end has arrived.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Validates the bytes between a caller's socket and hyper.
#[derive(Debug)]
pub(in crate::serve) struct Http1Validator {
    scanner: Scanner,
    rejection: Option<FinalRead>,
    head_rejection: Option<HeadRejection>,
}

/// Result of all reads after a violation, in place of the socket's.
#[derive(Debug)]
enum FinalRead {
    /// These bytes, then end of file: hyper responds with 400 and closes the connection.
    HeadEnd(&'static [u8]),
    /// These bytes, which complete a head that exceeds a limit, then nothing: the server responds and closes the
    /// connection.
    Completion(&'static [u8]),
    /// An error: the body never completes, so the upstream does not accept the forwarded part as complete.
    BodyError,
}

impl Http1Validator {
    pub(in crate::serve) fn new(limits: HeadLimits) -> Self {
        Self { scanner: Scanner::new(limits), rejection: None, head_rejection: None }
    }

    /// Returns the limit that a head exceeded. hyper then parses a part of that head.
    pub(in crate::serve) fn head_rejection(&self) -> Option<HeadRejection> {
        self.head_rejection
    }

    /// Returns true if a request is incomplete, or after a violation.
    pub(in crate::serve) fn is_within_request(&self) -> bool {
        self.rejection.is_some() || !self.scanner.is_idle()
    }

    /// Returns true if a part of a valid head has arrived.
    pub(in crate::serve) fn is_within_head(&self) -> bool {
        self.rejection.is_none() && self.scanner.is_within_head()
    }

    /// Reads in place of the socket after a violation. `None`: read the socket.
    pub(in crate::serve) fn read(&mut self, buf: &mut ReadBuf<'_>) -> Option<Poll<io::Result<()>>> {
        let read = match self.rejection.as_mut()? {
            FinalRead::Completion([]) => return Some(Poll::Pending),
            FinalRead::HeadEnd(rest) | FinalRead::Completion(rest) => {
                let (now, later) = rest.split_at(rest.len().min(buf.remaining()));
                buf.put_slice(now);
                *rest = later;
                Ok(())
            }
            FinalRead::BodyError => Err(malformed()),
        };
        Some(Poll::Ready(read))
    }

    /// Validates the bytes after the first `before`, which were read from the socket.
    pub(in crate::serve) fn validate(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        let bytes = &mut buf.filled_mut()[before..];
        let Err(Violation { offset, part, exceeded }) = self.scanner.scan(bytes) else {
            return Ok(());
        };
        if exceeded.is_none() {
            tracing::debug!(?part, "request rejected: not strict HTTP/1");
        }
        match part {
            MessagePart::Head if exceeded.is_some() => {
                buf.set_filled(before + offset);
                self.head_rejection = exceeded;
                self.rejection = Some(FinalRead::Completion(self.scanner.completion()));
                // An empty read would mean end of file.
                let _ = self.read(buf);
                Ok(())
            }
            MessagePart::Head => {
                bytes[offset] = NUL;
                buf.set_filled(before + offset + 1);
                self.rejection = Some(FinalRead::HeadEnd(HEAD_END));
                Ok(())
            }
            MessagePart::Body => {
                buf.set_filled(before + offset);
                self.rejection = Some(FinalRead::BodyError);
                // An empty read would mean end of file.
                if offset == 0 { Err(malformed()) } else { Ok(()) }
            }
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, MalformedBody)
}

/// The caller's body is not strict HTTP/1.
#[derive(Debug)]
struct MalformedBody;

impl fmt::Display for MalformedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed request body: not strict HTTP/1")
    }
}

impl Error for MalformedBody {}

/// Returns true if a malformed body of the caller caused the error.
pub fn is_malformed_body(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>()?.get_ref())
        .any(|cause| cause.is::<MalformedBody>())
}
