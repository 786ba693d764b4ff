//! Requests in progress, counted at their end.

use std::{sync::Arc, time::Instant};

use http::StatusCode;

use super::route::RouteFacts;

/// One request, from its head to the end of its response body; counted on drop.
#[derive(Debug)]
pub(crate) struct Exchange {
    facts: Arc<RouteFacts>,
    start: Instant,
    status: Option<StatusCode>,
}

impl Exchange {
    pub(super) fn begin(facts: Arc<RouteFacts>) -> Self {
        Self { facts, start: Instant::now(), status: None }
    }

    pub(super) fn facts(&self) -> &RouteFacts {
        &self.facts
    }

    pub(super) fn set_status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.facts.metrics.completed(self.status, self.start.elapsed());
    }
}
