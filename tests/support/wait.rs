//! Bounded waiting, so that no test hangs.

use std::{future::Future, time::Duration};

/// Returns the output of `future`; panics after a minute.
pub async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within 60 seconds"),
    }
}

/// Polls a condition that no event signals until it is true.
pub async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let polling = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    in_time(what, polling).await;
}
