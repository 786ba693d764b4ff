//! Admissions of requests, as the layers of the service record them.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    activity::{Activity, BUSY_INTERVAL},
    caller_body::UploadCut,
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

/// Admission of one request in flight.
pub(super) struct RequestAdmission {
    is_admitted: AtomicBool,
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
    upload: Option<Arc<UploadCut>>,
    /// The response, if it is gRPC.
    response: OnceLock<Weak<dyn GrpcResponse>>,
    /// True once the response ends with a status.
    is_denied: AtomicBool,
    /// This admission, for the list of those that are judged again.
    this: Weak<Self>,
}

impl RequestAdmission {
    /// Must be called in the task of the request's stream.
    pub(super) fn new(connection: Arc<CallerConnection>, upload: Option<Arc<UploadCut>>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            is_admitted: AtomicBool::new(false),
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
        if self.is_admitted.load(Ordering::Relaxed) {
            self.connection.activity.admitted_ends();
        }
    }

    /// Sets the gRPC response of the request.
    pub(super) fn set_response(&self, response: Weak<dyn GrpcResponse>) {
        // Cannot fail: a request has one response.
        let _ = self.response.set(response);
    }

    /// Judges the request again, and cuts it if it is not admitted any more. Returns true if it was cut.
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
        true
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
        if !self.is_admitted.swap(true, Ordering::Relaxed) {
            self.connection.state.admitted();
            self.connection.activity.admitted_begins();
        }
    }

    fn recheck_by(&self, recheck: Arc<dyn Recheck>) {
        match self.recheck.set(recheck) {
            Ok(()) => self.connection.activity.rechecks_begin(self.this.clone()),
            Err(recheck) => self.further_rechecks().push(recheck),
        }
    }
}
