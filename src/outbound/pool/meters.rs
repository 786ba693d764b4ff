//! What is counted for each pair of identity and back end, through handles that are held.

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
    pub(super) fn new(identity: &str, back_end: &str) -> Self {
        Self {
            identity: identity.into(),
            upstream: back_end.into(),
            open: AtomicUsize::new(0),
            #[cfg(feature = "metrics")]
            handles: handles::Handles::new(identity, back_end),
        }
    }

    /// Connections that are open, idle ones and those of tunnels included.
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
    pub(super) fn shook_hands(&self, is_resumed: bool) {
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

    /// Logs and counts a response that began and did not arrive whole.
    #[cold]
    pub(super) fn unfinished(&self, error: &ClientError) {
        let Self { identity, upstream, .. } = self;
        self.failed(error.kind());
        match error.kind() {
            ClientErrorKind::Truncated => {
                tracing::warn!(%upstream, %identity, "response truncated: {}", error.root_cause());
            }
            // Ended on this side: by its request's body, or by the end of a replaced identity.
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
        back_end: Arc<str>,
        pub(super) connections: Gauge,
        pub(super) full: Counter,
        pub(super) resumed: Counter,
        pub(super) requests: Counter,
    }

    impl Handles {
        pub(super) fn new(identity: &str, back_end: &str) -> Self {
            let (identity, back_end): (Arc<str>, Arc<str>) = (identity.into(), back_end.into());
            let labels =
                || vec![Label::new("identity", identity.clone()), Label::new("back_end", back_end.clone())];
            let handshakes = |is_resumed: &'static str| {
                let labels = [labels(), vec![Label::from_static_parts("resumed", is_resumed)]].concat();
                counter!("tower_mtls_back_end_handshakes_total", labels)
            };
            Self {
                connections: gauge!("tower_mtls_back_end_connections", labels()),
                full: handshakes("false"),
                resumed: handshakes("true"),
                requests: counter!("tower_mtls_back_end_requests_total", labels()),
                identity,
                back_end,
            }
        }

        #[cold]
        pub(super) fn failed(&self, kind: ClientErrorKind) {
            let labels = vec![
                Label::new("identity", self.identity.clone()),
                Label::new("back_end", self.back_end.clone()),
                Label::from_static_parts("code", kind.as_str()),
            ];
            counter!("tower_mtls_back_end_errors_total", labels).increment(1);
        }
    }
}
