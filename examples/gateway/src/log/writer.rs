//! Standard error, and the count of lines that were written to it.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts of lines that were written or failed.
#[derive(Debug, Default)]
pub(super) struct WriteCounts {
    lines: AtomicU64,
    failed: AtomicU64,
}

impl WriteCounts {
    pub(super) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Writes lines to standard error.
#[derive(Debug)]
pub(super) struct StandardError(Arc<WriteCounts>);

impl StandardError {
    pub(super) fn new(written: Arc<WriteCounts>) -> Self {
        Self(written)
    }
}

impl Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let written = io::stderr().write_all(line);
        let count = if written.is_ok() { &self.0.lines } else { &self.0.failed };
        count.fetch_add(1, Ordering::Relaxed);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
