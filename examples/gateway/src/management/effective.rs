//! The revision of the store that requests see.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time};

use crate::store::{ChangeError, Revision, SettingsChange, StoreError, StoredChange};

/// Maximum time until requests see a change.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The revision of the store that requests see, as the server reports it.
#[derive(Debug, Clone)]
pub(crate) struct Effective(watch::Receiver<Revision>);

impl Effective {
    pub(crate) fn new(revisions: watch::Receiver<Revision>) -> Self {
        Self(revisions)
    }

    /// Waits until requests see the store at this revision.
    ///
    /// # Errors
    ///
    /// They do not see it within 10 seconds.
    pub(crate) async fn reach(&self, revision: Revision) -> Result<(), StoreError> {
        let mut revisions = self.0.clone();
        match time::timeout(TIMEOUT, revisions.wait_for(|reached| *reached >= revision)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::new("the change is stored, but not applied yet")),
        }
    }

    /// Returns a change once requests see it. Other changes wait until then.
    pub(super) async fn complete(
        &self,
        change: impl Future<Output = Result<StoredChange, ChangeError>>,
    ) -> Result<Arc<SettingsChange>, ChangeError> {
        let stored = change.await?;
        self.reach(stored.revision).await?;
        Ok(stored.change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn revision_is_awaited_for_ten_seconds() {
        let revisions = watch::Sender::new(1);
        let effective = Effective::new(revisions.subscribe());
        let (reached, _) = tokio::join!(effective.reach(2), async { revisions.send_replace(2) });
        assert!(reached.is_ok());
        let error = effective.reach(3).await.unwrap_err();
        assert_eq!(error.to_string(), "store: the change is stored, but not applied yet");
    }
}
