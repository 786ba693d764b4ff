//! Kinds of log lines.

use tracing::{Level, Metadata};

/// Modules whose lines are about single requests, callers or connections.
const ABOUT_REQUESTS: &[&str] = &[
    "tower_mtls::apim",
    "tower_mtls::inbound",
    "tower_mtls::outbound::client",
    "tower_mtls::outbound::pool",
    "tower_mtls::proxy",
    "gateway::management::access",
    "gateway::routing::respond",
];

/// Kinds of log lines by what causes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// A request was refused.
    Refusal,
    /// A request failed, or the line is from another crate.
    Failure,
    /// Debugging output, and summaries of the lines above.
    Detail,
    /// The gateway itself: its configuration, store and listeners.
    Operation,
}

impl Topic {
    pub(super) fn of(metadata: &Metadata<'_>) -> Self {
        let target = metadata.target();
        let is_within = |module: &str| {
            target.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let is_ours = is_within("gateway") || is_within("tower_mtls");
        let is_about_request = metadata.fields().field("method").is_some()
            || ABOUT_REQUESTS.iter().any(|module| is_within(module));
        match *metadata.level() {
            Level::DEBUG | Level::TRACE => Self::Detail,
            _ if is_within("gateway::log::limit") => Self::Detail,
            Level::INFO if is_about_request => Self::Refusal,
            _ if is_about_request || !is_ours => Self::Failure,
            _ => Self::Operation,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{Event, Subscriber, subscriber::with_default};
    use tracing_subscriber::{
        Layer,
        layer::{Context, SubscriberExt},
        registry,
    };

    use super::*;

    #[derive(Default, Clone)]
    struct RecordedTopics(Arc<Mutex<Vec<Topic>>>);

    impl<S: Subscriber> Layer<S> for RecordedTopics {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(Topic::of(event.metadata()));
        }
    }

    #[test]
    fn topics_follow_from_module_level_and_fields() {
        let seen = RecordedTopics::default();
        with_default(registry().with(seen.clone()), || {
            tracing::info!(target: "tower_mtls::inbound::report", "request refused");
            tracing::info!(target: "tower_mtls::policy", method = "GET", "request refused");
            tracing::error!(target: "tower_mtls::inbound::extract", "request answered with 500");
            tracing::warn!(target: "gateway::routing::respond", "upstream unreachable");
            tracing::warn!(target: "tower_mtls::outbound::pool::meters", "response truncated");
            tracing::warn!(target: "h2::proto", "reset");
            tracing::debug!(target: "gateway::routing::respond", "no route");
            tracing::info!(target: "gateway::log::limit", "summary");
            tracing::info!(target: "gateway::server::follow", "reloaded");
            tracing::info!(target: "gateway::management::rest::audit", "management");
            tracing::warn!(target: "tower_mtls::outbound::trust", "DANGER");
            tracing::warn!(target: "gateway::routing::responds", "another module");
        });
        use Topic::{Detail, Failure, Operation, Refusal};
        let expected = [
            Refusal, Refusal, Failure, Failure, Failure, Failure, Detail, Detail, Operation, Operation,
            Operation, Operation,
        ];
        assert_eq!(*seen.0.lock().unwrap(), expected);
    }
}
