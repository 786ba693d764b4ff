//! Admissions of requests, as the layers of the service record them.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use super::activity::Activity;
use crate::{acceptor::ConnectionState, request::captured::OnAdmission};

/// No layer has admitted the request.
const PENDING: u8 = 0;

/// A layer has admitted the request, which is in flight.
const ADMITTED: u8 = 1;

/// The request has ended.
const ENDED: u8 = 2;

/// Admission of one request in flight.
pub(super) struct RequestAdmission {
    state: AtomicU8,
    activity: Arc<Activity>,
    connection: Arc<ConnectionState>,
}

impl RequestAdmission {
    pub(super) fn new(activity: Arc<Activity>, connection: Arc<ConnectionState>) -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(PENDING), activity, connection })
    }

    /// The request has ended.
    pub(super) fn end(&self) {
        if self.state.swap(ENDED, Ordering::Relaxed) == ADMITTED {
            self.activity.admitted_ends();
        }
    }
}

impl OnAdmission for RequestAdmission {
    fn admitted(&self) {
        // Counted before the change of state, so that a concurrent end does not subtract first.
        self.activity.admitted_begins();
        let change = self.state.compare_exchange(PENDING, ADMITTED, Ordering::Relaxed, Ordering::Relaxed);
        match change {
            Ok(_) => self.connection.admitted(),
            Err(_) => self.activity.admitted_ends(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        acceptor::{Occupancy, Occupied},
        serve::BufferBudget,
    };

    #[tokio::test]
    async fn request_counts_as_admitted_once_and_not_after_its_end() {
        let activity = Activity::new(Arc::default(), BufferBudget::new(usize::MAX));
        let _other = activity.begin(false, false).unwrap();
        let is_admitted = || matches!(activity.occupancy(), Occupancy::Busy { is_admitted: true, .. });
        let connection = Arc::new(ConnectionState::new(([127, 0, 0, 1], 1).into()));
        let admission = RequestAdmission::new(activity.clone(), connection.clone());
        admission.admitted();
        admission.admitted();
        assert!(is_admitted());
        admission.end();
        assert!(!is_admitted());
        // A layer can admit a request whose response has ended.
        let late = RequestAdmission::new(activity.clone(), connection);
        late.end();
        late.admitted();
        assert!(!is_admitted());
    }
}
