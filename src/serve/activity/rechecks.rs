//! Requests in flight that are judged again.

use std::sync::Weak;

use super::{Activity, lock};
use crate::serve::admission::RequestAdmission;

impl Activity {
    /// Registers a request, which is judged again until it ends.
    pub(in crate::serve) fn rechecks_begin(&self, request: Weak<RequestAdmission>) {
        let mut requests = lock(&self.rechecked);
        // Bounds the list by the number of requests in flight.
        if requests.len() == requests.capacity() {
            requests.retain(|request| request.strong_count() > 0);
        }
        requests.push(request);
    }

    /// Judges all registered requests again. Returns true if one of them ends with a status that its caller must read.
    pub(super) fn recheck(&self) -> bool {
        let mut open = Vec::new();
        lock(&self.rechecked).retain(|request| request.upgrade().map(|request| open.push(request)).is_some());
        let mut has_status_due = false;
        for request in open {
            has_status_due |= request.recheck();
        }
        has_status_due
    }
}
