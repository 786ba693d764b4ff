//! Admissions of requests, as the layers of the service record them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::activity::Activity;
use crate::{acceptor::ConnectionState, request::captured::OnAdmission};

/// Admission of one request in flight.
pub(super) struct RequestAdmission {
    is_admitted: AtomicBool,
    activity: Arc<Activity>,
    connection: Arc<ConnectionState>,
}

impl RequestAdmission {
    pub(super) fn new(activity: Arc<Activity>, connection: Arc<ConnectionState>) -> Arc<Self> {
        Arc::new(Self { is_admitted: AtomicBool::new(false), activity, connection })
    }

    /// The request has ended.
    pub(super) fn end(&self) {
        if self.is_admitted.load(Ordering::Relaxed) {
            self.activity.admitted_ends();
        }
    }
}

impl OnAdmission for RequestAdmission {
    fn admitted(&self) {
        if !self.is_admitted.swap(true, Ordering::Relaxed) {
            self.connection.admitted();
            self.activity.admitted_begins();
        }
    }
}
