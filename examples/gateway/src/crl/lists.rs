use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tower_mtls::{
    certificate::{DistinguishedName, Timestamp},
    policy::RevocationList,
};

use super::SourceId;

/// The lists of one file or URL.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    /// The current ones, then earlier ones.
    pub(crate) lists: Vec<RevocationList>,
    /// Number of earlier ones. While no key has verified a list of an intermediate, the current one may be forged, so that
    /// the first one stays in use.
    pub(super) kept: usize,
    /// Digest of the file or response.
    pub(crate) digest: [u8; 32],
    /// The subjects of the set's CAs when the lists were accepted.
    pub(super) authorities: Vec<DistinguishedName>,
}

impl Lists {
    /// The number of entries of the file or response.
    pub(super) fn entries(&self) -> usize {
        self.parts().0.iter().map(RevocationList::len).sum()
    }

    /// Returns true if there are earlier lists.
    pub(super) fn has_kept(&self) -> bool {
        self.kept > 0
    }

    /// The current lists, and the earlier ones.
    fn parts(&self) -> (&[RevocationList], &[RevocationList]) {
        self.lists.split_at(self.lists.len().saturating_sub(self.kept))
    }

    /// The first undecided lists of each issuer. `digest` is that of the contents that replace these.
    pub(super) fn first(
        &self,
        is_undecided: impl Fn(&&RevocationList) -> bool,
        digest: [u8; 32],
    ) -> Vec<RevocationList> {
        let (current, kept) = self.parts();
        let current = if digest == self.digest { &[] } else { current };
        let kept: Vec<_> = kept.iter().filter(&is_undecided).collect();
        let is_first = |list: &&RevocationList| !kept.iter().any(|kept| kept.issuer() == list.issuer());
        let current: Vec<_> = current.iter().filter(&is_undecided).filter(is_first).collect();
        current.into_iter().chain(kept).cloned().collect()
    }

    /// The earliest time at which one of the lists is overdue.
    pub(super) fn next_update(&self) -> Option<Timestamp> {
        self.lists.iter().filter_map(RevocationList::next_update).min()
    }
}

/// The last valid lists of each source.
pub(crate) struct DownloadedLists {
    by_source: Mutex<BTreeMap<SourceId, Option<Lists>>>,
    /// Number of replacements.
    replacements: watch::Sender<u64>,
}

impl Default for DownloadedLists {
    fn default() -> Self {
        Self { by_source: Mutex::default(), replacements: watch::Sender::new(0) }
    }
}

impl DownloadedLists {
    /// Returns the lists of a source. Those of a new source are read by `read`.
    pub(crate) fn get_or_read(
        &self,
        source: SourceId,
        read: impl FnOnce() -> Option<Lists>,
    ) -> Option<Lists> {
        if let Some(known) = self.lock().get(&source) {
            return known.clone();
        }
        let lists = read();
        self.lock().entry(source).or_insert(lists).clone()
    }

    /// Returns the lists of a source, if there are any.
    pub(super) fn get(&self, source: SourceId) -> Option<Lists> {
        self.lock().get(&source).cloned().flatten()
    }

    /// Replaces the lists of a source, and reports it to all subscribers.
    pub(super) fn replace(&self, source: SourceId, lists: Lists) {
        self.lock().insert(source, Some(lists));
        self.replacements.send_modify(|count| *count += 1);
    }

    /// Removes the lists of all other sources.
    pub(super) fn retain(&self, sources: &BTreeSet<SourceId>) {
        self.lock().retain(|source, _| sources.contains(source));
    }

    /// Returns a receiver that is notified of each replacement.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.replacements.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SourceId, Option<Lists>>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DownloadedLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadedLists").finish_non_exhaustive()
    }
}
