//! The log on standard error. Imports no room.
//!
//! Logging never waits for the reader of standard error: lines are queued for threads that write them.
//!
//! 1. Lines about requests have a queue of their own, so that no caller can push out errors, reloads and changes of
//!    the store.
//! 2. Both queues are bounded. A line that does not fit is dropped and counted.
//! 3. Lines about requests are limited in number per second, see [`limit`].

mod limit;
mod queue;
mod topic;
mod writer;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    borrow::Cow,
    io::IsTerminal,
    mem, panic,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    EnvFilter, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt, util::TryInitError,
};

use self::{limit::Limit, queue::Queues, writer::WriteCounts};

/// Counter of lines that were not written.
const DROPPED: &str = "gateway_log_lines_dropped_total";

/// Interval of the summaries, and of the count of dropped lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Time for queued lines to be written when the process ends.
const FLUSH: Duration = Duration::from_secs(1);

/// Bytes of a path in a log line, at most.
const MAX_PATH: usize = 256;

/// Flushes the queues on drop, within [`FLUSH`].
#[derive(Debug)]
pub(crate) struct Log {
    stop: Option<mpsc::Sender<()>>,
    reporting: Option<JoinHandle<()>>,
    writers: Vec<WorkerGuard>,
}

impl Log {
    /// Logs lines that pass `filter`, and panics, to standard error.
    ///
    /// # Errors
    ///
    /// The process already has a log.
    pub(crate) fn start(filter: EnvFilter) -> Result<Self, TryInitError> {
        let (limit, written) = (Limit::default(), Arc::new(WriteCounts::default()));
        let (queues, writers) = Queues::new(&written);
        let dropped = queues.dropped();
        let lines = fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(queues);
        registry().with(lines).with(limit.clone()).with(filter).try_init()?;
        // The default hook would wait for the reader of standard error.
        panic::set_hook(Box::new(|panic| {
            let backtrace = Backtrace::capture();
            match backtrace.status() {
                BacktraceStatus::Captured => tracing::error!("{panic}\n{backtrace}"),
                _ => tracing::error!("{panic}"),
            }
        }));
        let (stop, stopped) = mpsc::channel();
        let reporting = thread::spawn(move || {
            let mut drops = Drops::default();
            loop {
                let is_last = stopped.recv_timeout(INTERVAL) != Err(mpsc::RecvTimeoutError::Timeout);
                limit.report();
                let lost = dropped.iter().map(|queue| queue.dropped_lines() as u64).sum::<u64>();
                drops.report(lost + written.failed(), written.lines());
                if is_last {
                    return;
                }
            }
        });
        Ok(Self { stop: Some(stop), reporting: Some(reporting), writers })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.stop.take());
        let (reporting, writers) = (self.reporting.take(), mem::take(&mut self.writers));
        let (done, flushed) = mpsc::channel();
        // The guards wait longer than FLUSH, each of them.
        thread::spawn(move || {
            let _ = reporting.map(JoinHandle::join);
            drop(writers);
            let _ = done.send(());
        });
        let _ = flushed.recv_timeout(FLUSH);
    }
}

/// Dropped lines as they were reported last.
#[derive(Debug, Default)]
struct Drops {
    reported: u64,
    written: u64,
}

impl Drops {
    /// Counts dropped lines, and logs their number once lines are written again.
    fn report(&mut self, dropped: u64, written: u64) {
        metrics::counter!(DROPPED).absolute(dropped);
        if self.are_due(dropped, written) {
            let lines = dropped - mem::replace(&mut self.reported, dropped);
            tracing::warn!(lines, "log lines dropped: standard error was not read fast enough");
        }
        self.written = written;
    }

    fn are_due(&self, dropped: u64, written: u64) -> bool {
        dropped > self.reported && written > self.written
    }
}

/// Truncates a path or method for a log line.
pub(crate) fn cut(path: &str) -> Cow<'_, str> {
    cut_at(path, MAX_PATH)
}

/// Truncates a text for a log line to at most `max` bytes.
pub(crate) fn cut_at(text: &str, max: usize) -> Cow<'_, str> {
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end));
    match end.and_then(|end| text.get(..end)) {
        Some(beginning) if text.len() > max => Cow::Owned(format!("{beginning}...")),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_reported_once_and_only_while_lines_are_written() {
        let mut drops = Drops::default();
        for (case, dropped, written, expected) in [
            ("none", 0, 5, false),
            ("the reader stalls", 3, 5, false),
            ("it still stalls", 9, 5, false),
            ("it reads again", 9, 6, true),
            ("no more were dropped", 9, 20, false),
        ] {
            assert_eq!(drops.are_due(dropped, written), expected, "{case}");
            drops.report(dropped, written);
        }
        assert_eq!(drops.reported, 9);
    }

    #[test]
    fn paths_are_cut_at_256_bytes_between_characters() {
        let (exact, long) = ("x".repeat(256), "x".repeat(257));
        assert_eq!(cut(&exact), exact);
        assert_eq!(cut(&long), format!("{exact}..."));
        let odd = format!("x{}", "é".repeat(128));
        assert_eq!(cut(&odd), format!("x{}...", "é".repeat(127)));
    }
}
