//! Counters of each pair of identity and upstream; metric handles are registered once.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::outbound::{ClientError, ClientErrorKind};

pub(super) struct Meters {
    identity: Box<str>,
    upstream: Box<str>,
    open: AtomicUsize,
    #[cfg(feature = "metrics")]
    handles: handles::Handles,
}

impl Meters {
    pub(super) fn new(identity: &str, upstream: &str) -> Self {
        Self {
            identity: identity.into(),
            upstream: upstream.into(),
            open: AtomicUsize::new(0),
            #[cfg(feature = "metrics")]
            handles: handles::Handles::new(identity, upstream),
        }
    }

    /// Returns the number of open connections, idle ones and tunnels included.
    pub(super) fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.handles.connections.increment(1);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.handles.connections.decrement(1);
    }

    #[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "labels of metrics"))]
    pub(super) fn handshake_completed(&self, is_resumed: bool) {
        #[cfg(feature = "metrics")]
        match is_resumed {
            true => self.handles.resumed.increment(1),
            false => self.handles.full.increment(1),
        }
    }

    pub(super) fn sent(&self) {
        #[cfg(feature = "metrics")]
        self.handles.requests.increment(1);
    }

    #[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "labels of metrics"))]
    pub(super) fn failed(&self, kind: ClientErrorKind) {
        #[cfg(feature = "metrics")]
        self.handles.failed(kind);
    }

    /// Logs and counts a response that ended before it was complete.
    #[cold]
    pub(super) fn unfinished(&self, error: &ClientError) {
        let Self { identity, upstream, .. } = self;
        self.failed(error.kind());
        match error.kind() {
            ClientErrorKind::Truncated => {
                tracing::warn!(%upstream, %identity, "response truncated: {}", error.root_cause());
            }
            // Ended on this side: by the request's body, or by the end of a replaced identity.
            _ => tracing::debug!(%upstream, %identity, "response aborted: {}", error.root_cause()),
        }
    }
}

#[cfg(feature = "metrics")]
mod handles {
    use std::sync::Arc;

    use metrics::{Counter, Gauge, Label, counter, gauge};

    use crate::outbound::ClientErrorKind;

    pub(super) struct Handles {
        identity: Arc<str>,
        upstream: Arc<str>,
        pub(super) connections: Gauge,
        pub(super) full: Counter,
        pub(super) resumed: Counter,
        pub(super) requests: Counter,
    }

    impl Handles {
        pub(super) fn new(identity: &str, upstream: &str) -> Self {
            let (identity, upstream): (Arc<str>, Arc<str>) = (identity.into(), upstream.into());
            let labels =
                || vec![Label::new("identity", identity.clone()), Label::new("upstream", upstream.clone())];
            let handshakes = |is_resumed: &'static str| {
                let labels = [labels(), vec![Label::from_static_parts("resumed", is_resumed)]].concat();
                counter!("tower_mtls_upstream_handshakes_total", labels)
            };
            Self {
                connections: gauge!("tower_mtls_upstream_connections", labels()),
                full: handshakes("false"),
                resumed: handshakes("true"),
                requests: counter!("tower_mtls_upstream_requests_total", labels()),
                identity,
                upstream,
            }
        }

        #[cold]
        pub(super) fn failed(&self, kind: ClientErrorKind) {
            let labels = vec![
                Label::new("identity", self.identity.clone()),
                Label::new("upstream", self.upstream.clone()),
                Label::from_static_parts("code", kind.as_str()),
            ];
            counter!("tower_mtls_upstream_errors_total", labels).increment(1);
        }
    }
}
