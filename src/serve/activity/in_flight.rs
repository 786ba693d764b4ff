//! Requests in flight, which count in the activity of their connection.

use std::{
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{Extensions, HeaderMap, header::CONTENT_TYPE};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{Activity, Expire, lock, owed_uploads::PROGRESS};
use crate::{
    request::{captured::observe_admission, is_grpc_type},
    serve::{
        ReleasedOnClose, Upload,
        admission::{CallerConnection, GrpcResponse, RequestAdmission},
        flush::Flush,
    },
};

/// A request in flight; it ends when this is dropped.
pub(in crate::serve) struct InFlight {
    pub(super) activity: Arc<Activity>,
    pub(super) admission: Option<Arc<RequestAdmission>>,
    pub(super) permit: Mutex<Option<OwnedSemaphorePermit>>,
    pub(super) is_grpc: bool,
    /// True if its response was cut.
    pub(super) is_cut: AtomicBool,
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InFlight")
    }
}

impl InFlight {
    /// Observes the admission of the request, which ends with it.
    pub(in crate::serve) fn observe_admission(
        &mut self,
        extensions: &mut Extensions,
        connection: &Arc<CallerConnection>,
        upload: Option<Upload>,
    ) {
        let admission = RequestAdmission::new(connection.clone(), upload);
        self.admission = Some(admission.clone());
        observe_admission(extensions, admission);
    }

    /// See [`Activity::switch_to_tunnel`].
    pub(in crate::serve) fn switch_to_tunnel(&self, value: Option<ReleasedOnClose>) {
        self.activity.switch_to_tunnel(value);
        if let Some(admission) = &self.admission {
            admission.watch_tunnel();
        }
    }

    /// Sets the gRPC response of the request.
    pub(in crate::serve) fn set_grpc_response(&self, response: Weak<dyn GrpcResponse>) {
        if let Some(admission) = &self.admission {
            admission.set_response(response);
        }
    }

    pub(in crate::serve) fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// Records that no bytes of the response are ready for a while, or that the caller has read them. gRPC exchanges can
    /// be quiet for long, so they do not count as [limited](MAX_REQUESTS) from then on.
    pub(in crate::serve) fn response_is_quiet(&self) {
        if self.is_grpc {
            let permit = lock(&self.permit).take();
            drop(permit);
        }
    }

    /// Counts the request as [limited](MAX_REQUESTS) again unless its response is gRPC: a caller can claim gRPC for any
    /// request. Returns false if too many limited requests are in flight.
    pub(in crate::serve) fn limit_unless_grpc(&mut self, response: &HeaderMap) -> bool {
        let is_grpc = response.get(CONTENT_TYPE).is_some_and(|value| is_grpc_type(value.as_bytes()));
        if !self.is_grpc || is_grpc {
            return true;
        }
        self.is_grpc = false;
        let mut permit = lock(&self.permit);
        if permit.is_none() {
            *permit = self.activity.requests.clone().try_acquire_owned().ok();
        }
        permit.is_some()
    }

    /// Returns the response bytes that the connection's caller has not taken.
    pub(in crate::serve) fn unread_bytes(&self) -> usize {
        self.activity.unread_bytes.load(Ordering::Relaxed)
    }

    pub(in crate::serve) fn add_unread_bytes(&self, bytes: usize) {
        self.activity.unread_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.activity.buffers.add(bytes);
    }

    pub(in crate::serve) fn remove_unread_bytes(&self, bytes: usize) {
        self.activity.unread_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.activity.buffers.remove(bytes);
    }

    /// Records that the caller took bytes of the response. A few at once are no use of the connection.
    pub(in crate::serve) fn taken(&self, bytes: usize, now: Instant) {
        if bytes >= PROGRESS {
            self.activity.served(now);
        }
    }

    /// Records that the response was cut.
    pub(in crate::serve) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    /// Returns the flush of the connection's socket.
    pub(in crate::serve) fn socket_flush(&self) -> &Flush {
        &self.activity.flush
    }

    /// Registers a response, which is cut if the caller does not read it.
    pub(in crate::serve) fn register_response(&self, response: &Arc<dyn Expire>) {
        let mut responses = self.activity.responses();
        // Bounds the list by the number of open responses.
        if responses.len() == responses.capacity() {
            responses.retain(|response| response.strong_count() > 0);
        }
        responses.push(Arc::downgrade(response));
    }

    /// Records that a response has unread bytes from now on.
    pub(in crate::serve) fn unread_begins(&self, now: Instant) {
        if self.activity.unread.fetch_add(1, Ordering::Relaxed) == 0 {
            self.activity.unread_since.store(self.activity.millis(now), Ordering::Relaxed);
        }
    }

    /// Records that a response has no more unread bytes.
    pub(in crate::serve) fn unread_ends(&self) {
        self.activity.unread.fetch_sub(1, Ordering::Relaxed);
        self.response_is_quiet();
    }

    /// Returns true if the connection closes after its requests in flight.
    pub(in crate::serve) fn is_draining(&self) -> bool {
        self.activity.is_draining.load(Ordering::Acquire)
            || self.activity.is_finishing.load(Ordering::Acquire)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(admission) = &self.admission {
            admission.end();
        }
        let (activity, now) = (&self.activity, Instant::now());
        if !self.is_cut.load(Ordering::Relaxed) {
            activity.served(now);
        }
        let now = activity.millis(now);
        activity.idle_since.store(now, Ordering::Relaxed);
        let was_last = activity.in_flight.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last && activity.has_partial_head.load(Ordering::Relaxed) {
            activity.head_since.store(now + 1, Ordering::Relaxed);
        }
    }
}
