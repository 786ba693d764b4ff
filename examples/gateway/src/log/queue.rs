//! Bounded queues of lines that wait to be written.

use std::{
    io::{self, Write},
    sync::Arc,
};

use tracing::Metadata;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

use super::{
    topic::Topic,
    writer::{StandardError, WriteCounts},
};

/// Lines of each queue, at most.
const MAX_LINES: usize = 1_024;

/// Bytes of a line, at most.
const MAX_LINE: usize = 16 * 1024;

/// A queue for lines about requests, and one for all others.
#[derive(Debug)]
pub(super) struct Queues {
    requests: NonBlocking,
    operation: NonBlocking,
}

impl Queues {
    /// Creates the queues, and the guards of their writers.
    pub(super) fn new(written: &Arc<WriteCounts>) -> (Self, Vec<WorkerGuard>) {
        let queue = |name| {
            let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(MAX_LINES);
            builder.thread_name(name).finish(StandardError::new(written.clone()))
        };
        let (operation, first) = queue("log");
        let (requests, second) = queue("log of requests");
        (Self { requests, operation }, vec![first, second])
    }

    /// Counters of the lines that did not fit into each queue.
    pub(super) fn dropped(&self) -> [ErrorCounter; 2] {
        [self.requests.error_counter(), self.operation.error_counter()]
    }
}

impl<'a> MakeWriter<'a> for Queues {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.operation.clone())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        match Topic::of(metadata) {
            Topic::Refusal | Topic::Failure | Topic::Detail => Line(self.requests.clone()),
            Topic::Operation => Line(self.operation.clone()),
        }
    }
}

/// Queues one line, of at most [`MAX_LINE`] bytes.
#[derive(Debug)]
pub(super) struct Line(NonBlocking);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match line.get(..MAX_LINE) {
            Some(beginning) if line.len() > MAX_LINE => self.0.write_all(&[beginning, b"...\n"].concat())?,
            _ => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
