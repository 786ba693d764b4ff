//! A reader of the log that stops reading.

use std::sync::atomic::Ordering;

use super::Running;

impl Running {
    /// Stops or resumes reading the log.
    pub fn stall(&self, is_stalled: bool) {
        let _lines = self.log.lines.lock().unwrap();
        self.log.is_stalled.store(is_stalled, Ordering::SeqCst);
        self.log.more.notify_all();
    }
}
