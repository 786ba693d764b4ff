//! Admissions of requests, as the layers of the service record them.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    Upload,
    activity::{Activity, BUSY_INTERVAL},
    stream_task::StreamTask,
};
use crate::{
    acceptor::{Closing, ConnectionState},
    certificate::Presented,
    request::captured::{OnAdmission, Recheck},
};

/// Connection of a caller, as its requests share it.
pub(super) struct CallerConnection {
    pub(super) activity: Arc<Activity>,
    pub(super) state: Arc<ConnectionState>,
    pub(super) presented: Presented,
}

/// gRPC response that can end before its service ends it.
pub(super) trait GrpcResponse: Send + Sync {
    /// Drops the body, and ends the response with the status PERMISSION_DENIED once earlier messages are sent.
    fn deny(&self);
}

/// No layer has admitted the request.
const PENDING: u8 = 0;

/// A layer has admitted the request, which is in flight.
const ADMITTED: u8 = 1;

/// The request has ended.
const ENDED: u8 = 2;

/// Admission of one request in flight.
pub(super) struct RequestAdmission {
    state: AtomicU8,
    connection: Arc<CallerConnection>,
    /// Judges the request again.
    recheck: OnceLock<Arc<dyn Recheck>>,
    /// The same, of further layers.
    further_rechecks: Mutex<Vec<Arc<dyn Recheck>>>,
    /// True once the request has ended or was cut.
    is_over: AtomicBool,
    /// None: HTTP/1.1, where the connection serves one request.
    stream: Option<StreamTask>,
    /// The request's body, if it has one.
    upload: Option<Upload>,
    /// The response, if it is gRPC.
    response: OnceLock<Weak<dyn GrpcResponse>>,
    /// True once the response ends with a status.
    is_denied: AtomicBool,
    /// This admission, for the list of those that are judged again.
    this: Weak<Self>,
}

impl RequestAdmission {
    /// Must be called in the task of the request's stream.
    pub(super) fn new(connection: Arc<CallerConnection>, upload: Option<Upload>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            state: AtomicU8::new(PENDING),
            connection,
            recheck: OnceLock::new(),
            further_rechecks: Mutex::default(),
            is_over: AtomicBool::new(false),
            stream: StreamTask::current(),
            upload,
            response: OnceLock::new(),
            is_denied: AtomicBool::new(false),
            this: this.clone(),
        })
    }

    /// The request has ended.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        if self.state.swap(ENDED, Ordering::Relaxed) == ADMITTED {
            self.connection.activity.admitted_ends();
        }
    }

    /// Sets the gRPC response of the request.
    pub(super) fn set_response(&self, response: Weak<dyn GrpcResponse>) {
        // Cannot fail: a request has one response.
        let _ = self.response.set(response);
    }

    /// Judges the request again, and cuts it if it is not admitted any more. Returns true if its response ends with a
    /// status: the request is cut by the next call if the caller has not read it.
    pub(super) fn recheck(&self) -> bool {
        let CallerConnection { state, presented, .. } = &*self.connection;
        if self.is_over.load(Ordering::Relaxed) {
            return false;
        }
        if !self.is_denied.load(Ordering::Relaxed) {
            if is_admitted(&self.rechecks(), presented, state) {
                return false;
            }
            if let Some(upload) = &self.upload {
                upload.cut();
            }
            if let Some(response) = self.response.get().and_then(Weak::upgrade) {
                self.is_denied.store(true, Ordering::Relaxed);
                response.deny();
                return true;
            }
        }
        // Also a gRPC response whose caller has not read its status.
        self.is_over.store(true, Ordering::Relaxed);
        match &self.stream {
            Some(stream) => stream.reset(),
            None => drop(state.close(Closing::Revoked)),
        }
        false
    }

    /// Judges the connection, which has switched to another protocol, again until it is closed.
    pub(super) fn watch_tunnel(&self) {
        let rechecks = self.rechecks();
        if rechecks.is_empty() {
            return;
        }
        let CallerConnection { state, presented, .. } = &*self.connection;
        let (state, presented) = (Arc::downgrade(state), presented.clone());
        tokio::spawn(async move {
            let mut interval = interval(BUSY_INTERVAL);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                let Some(state) = state.upgrade() else { return };
                if !is_admitted(&rechecks, &presented, &state) {
                    state.close(Closing::Revoked);
                    return;
                }
            }
        });
    }

    fn rechecks(&self) -> Vec<Arc<dyn Recheck>> {
        self.recheck.get().into_iter().chain(self.further_rechecks().iter()).cloned().collect()
    }

    fn further_rechecks(&self) -> MutexGuard<'_, Vec<Arc<dyn Recheck>>> {
        self.further_rechecks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_admitted(rechecks: &[Arc<dyn Recheck>], presented: &Presented, state: &ConnectionState) -> bool {
    rechecks.iter().all(|recheck| recheck.is_admitted(presented, state.remote()))
}

impl OnAdmission for RequestAdmission {
    fn admitted(&self) {
        let CallerConnection { activity, state, .. } = &*self.connection;
        // Counted before the change of state, so that a concurrent end does not subtract first.
        activity.admitted_begins();
        let change = self.state.compare_exchange(PENDING, ADMITTED, Ordering::Relaxed, Ordering::Relaxed);
        match change {
            Ok(_) => state.admitted(),
            Err(_) => activity.admitted_ends(),
        }
    }

    fn recheck_by(&self, recheck: Arc<dyn Recheck>) {
        match self.recheck.set(recheck) {
            Ok(()) => self.connection.activity.rechecks_begin(self.this.clone()),
            Err(recheck) => self.further_rechecks().push(recheck),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    use crate::{
        acceptor::{Occupancy, Occupied},
        serve::{BufferBudget, ProgressLimits, activity::Timeouts},
    };

    fn connection(activity: &Arc<Activity>) -> Arc<CallerConnection> {
        Arc::new(CallerConnection {
            activity: activity.clone(),
            state: Arc::new(ConnectionState::new(([127, 0, 0, 1], 1).into())),
            presented: Presented::Nothing,
        })
    }

    /// Admits until the flag is set.
    struct Revocable(AtomicBool);

    impl Recheck for Revocable {
        fn is_admitted(&self, _: &Presented, _: std::net::SocketAddr) -> bool {
            !self.0.load(Ordering::Relaxed)
        }
    }

    /// Response whose status is not read.
    struct Unread(OnceLock<Instant>);

    impl GrpcResponse for Unread {
        fn deny(&self) {
            assert!(self.0.set(Instant::now()).is_ok(), "denied once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn grpc_response_ends_within_a_second_and_without_its_status_read_half_a_second_later() {
        for millis in [1, 300, 999, 1_000, 1_001, 2_500] {
            let activity = Activity::new(Arc::default(), BufferBudget::new(usize::MAX));
            let connection = connection(&activity);
            let _in_flight = activity.begin(true, true).unwrap();
            let admission = RequestAdmission::new(connection.clone(), None);
            let (revocable, unread) =
                (Arc::new(Revocable(AtomicBool::new(false))), Arc::new(Unread(OnceLock::new())));
            let response: Arc<dyn GrpcResponse> = unread.clone();
            admission.set_response(Arc::downgrade(&response));
            admission.recheck_by(revocable.clone());
            let minute = Duration::from_secs(60);
            let timeouts = Timeouts { idle: minute, head: minute, read: ProgressLimits::new(None, 0) };
            let cut = async {
                sleep(Duration::from_millis(millis)).await;
                revocable.0.store(true, Ordering::Relaxed);
                let since = Instant::now();
                while connection.state.closing().is_none() {
                    sleep(Duration::from_millis(1)).await;
                }
                (since, Instant::now())
            };
            let (timed_out, (since, cut)) =
                tokio::join!(timeout(Duration::from_secs(10), activity.timed_out(timeouts)), cut);
            assert!(timed_out.is_err());
            let denied = *unread.0.get().unwrap();
            assert!(denied - since <= Duration::from_millis(1_001), "{millis}: {:?}", denied - since);
            let after = (cut - denied).as_millis();
            assert!((499..=502).contains(&after), "{millis}: {after}");
        }
    }

    #[tokio::test]
    async fn request_counts_as_admitted_once_and_not_after_its_end() {
        let activity = Activity::new(Arc::default(), BufferBudget::new(usize::MAX));
        let _other = activity.begin(false, false).unwrap();
        let is_admitted = || matches!(activity.occupancy(), Occupancy::Busy { is_admitted: true, .. });
        let connection = connection(&activity);
        let admission = RequestAdmission::new(connection.clone(), None);
        admission.admitted();
        admission.admitted();
        assert!(is_admitted());
        admission.end();
        assert!(!is_admitted());
        // A layer can admit a request whose response has ended.
        let late = RequestAdmission::new(connection, None);
        late.end();
        late.admitted();
        assert!(!is_admitted());
    }
}
