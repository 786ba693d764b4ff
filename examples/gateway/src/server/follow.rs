//! Live reload: a replaced configuration file, a change of a file that it names, a downloaded CRL, or SIGHUP replaces the
//! configuration as a whole, or leaves it unchanged on an error, except that its current CRLs are used.

mod crls;
mod edits;
mod memory;
mod watch;

use std::{
    convert::Infallible,
    io,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch::Receiver, task::spawn_blocking, time};
use tower_mtls::certificate::{Clock, SystemClock};

use self::{edits::Edits, memory::FreedMemory, watch::Watch};
use super::{running::Server, signals::HangupSignals};
use crate::{
    build::{self, Cache, Fingerprint, Fingerprints, LoadOutcome, Loaded, Source, fingerprints},
    config::{Diagnostic, Severity},
    status::Status,
};

/// Read time of the files after which a warning is logged.
const SLOW_READ: Duration = Duration::from_secs(10);

/// The configuration file that is served, with the files that it names.
#[derive(Debug)]
pub(crate) struct Files {
    /// The configuration file as it was loaded last, valid or not.
    source: Source,
    edits: Edits,
    /// Whether the files have not been read since the last SIGHUP.
    is_reload_requested: bool,
    /// Notified of each CRL that was downloaded.
    downloads: Receiver<u64>,
    /// Whether CRLs were downloaded since the last load.
    has_new_lists: bool,
    /// Values that loads share; locked by the loading thread.
    cache: Arc<Mutex<Cache>>,
    watch: Watch,
    /// Of the contents of files.
    freed: FreedMemory,
    status: Arc<Status>,
    /// The errors that were logged last.
    logged_errors: Vec<Diagnostic>,
}

impl Files {
    /// Loads the file for the first time. The caller reports the findings.
    pub(crate) fn load(file: &Path) -> (Option<(Loaded, Self)>, Vec<Diagnostic>) {
        let mut cache = Cache::default();
        let source = Source::read(file);
        let LoadOutcome { loaded, findings, read } = build::load(&source, &mut cache);
        cache.finish_load(true);
        let files = loaded.map(|loaded| {
            let files = Self {
                source,
                edits: Edits::default(),
                is_reload_requested: false,
                downloads: loaded.crls.downloaded.subscribe(),
                has_new_lists: false,
                cache: Arc::new(Mutex::new(cache)),
                watch: Watch::new(read, Instant::now()),
                freed: FreedMemory::at(Instant::now()),
                status: Arc::new(Status::new(SystemClock.now())),
                logged_errors: Vec::new(),
            };
            (loaded, files)
        });
        (files, findings)
    }

    pub(crate) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Follows the files while it is polled.
    pub(crate) async fn follow(&mut self, server: &mut Server, hang_ups: &mut HangupSignals) -> Infallible {
        let mut polls = time::interval(watch::POLL_INTERVAL);
        polls.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = hang_ups.next() => self.is_reload_requested = true,
                // The sender is never dropped: the cache owns it.
                Ok(()) = self.downloads.changed() => self.has_new_lists = true,
                _ = polls.tick() => self.freed.return_if_due(Instant::now()),
            }
            let Some(mut state) = self.states().await else { continue };
            if !self.is_reload_requested {
                self.set_aside_edit(&mut state).await;
            }
            let is_due = self.watch.is_due(state.clone(), self.status.is_stale(), Instant::now());
            // Files that are being written are read once they have settled, with the new lists.
            let is_ready_for_lists = self.has_new_lists && self.watch.is_unchanged(&state);
            if is_due || self.is_reload_requested || is_ready_for_lists {
                self.reload(server, state, is_ready_for_lists).await;
            }
        }
    }

    /// Reads the states of the files on a blocking thread: file systems can be slow.
    async fn states(&self) -> Option<Fingerprints> {
        let files = self.watch.files();
        let reading = spawn_blocking(move || fingerprints(&files));
        let states = await_files(&self.status, reading).await.ok();
        if states.is_none() {
            self.status.stale();
        }
        states
    }

    /// Reverts the state of a configuration file that was edited in place, so that the edit does not count as a change, and
    /// logs it.
    async fn set_aside_edit(&mut self, states: &mut Fingerprints) {
        let (file, loaded) = (self.source.file.clone(), self.source.state);
        let state = state_of(states, &file);
        if self.source.text.is_err() || !state.is_edit_of(&loaded) {
            self.edits = Edits::default();
            self.status.edited(false);
            return;
        }
        states.insert(file.clone(), loaded);
        if !self.edits.is_due(state) {
            return;
        }
        let reading = spawn_blocking(move || Source::read(&file));
        let Ok(edited) = await_files(&self.status, reading).await else { return };
        let is_edited = edited.text != self.source.text;
        let was_edited = self.status.edited(is_edited);
        let name = edited.file.file_name().unwrap_or_default().to_string_lossy();
        if !is_edited && was_edited {
            tracing::info!("{name}: is again what was loaded");
        }
        if is_edited {
            tracing::warn!(
                "{name}: edited in place, not loaded; load it with `kill -HUP {}`, or write a new file and `mv` it \
                 over {name}",
                std::process::id()
            );
        }
    }

    /// Reads and serves the files, or logs the errors. The configuration file is read only if it was replaced, or on
    /// SIGHUP. `is_unchanged`: only CRLs of URLs have changed.
    async fn reload(&mut self, server: &mut Server, before: Fingerprints, is_unchanged: bool) {
        self.has_new_lists = false;
        let (file, cache) = (self.source.file.clone(), self.cache.clone());
        let is_reused = self.source.text.is_ok() && state_of(&before, &file) == self.source.state;
        let is_reused = is_reused && !self.is_reload_requested;
        let reused = is_reused.then(|| self.source.clone());
        // Reading files and deriving keys blocks, so it runs on a thread of its own.
        let loading = spawn_blocking(move || {
            let is_reused = reused.is_some();
            let source = reused.unwrap_or_else(|| Source::read(&file));
            let outcome = build::load(&source, &mut cache.lock().unwrap_or_else(PoisonError::into_inner));
            let mut read = outcome.read.iter().filter(|(read, _)| !is_reused || **read != file);
            let is_torn = read.any(|(file, state)| Fingerprint::of(file) != *state);
            (source, outcome, is_torn)
        });
        let Ok((source, outcome, is_torn)) = await_files(&self.status, loading).await else {
            // Retried on a change, and periodically.
            self.is_reload_requested = false;
            self.watch.attempted(before.clone(), before, false, Instant::now());
            self.status.stale();
            tracing::error!("configuration not reloaded: reading it was aborted");
            return;
        };
        let LoadOutcome { loaded, mut findings, read } = outcome;
        if is_torn {
            // It is due again once it has settled.
            tracing::debug!("the configuration changed while it was read");
            self.finish_load(false);
            self.watch.attempted(before, read, false, Instant::now());
            return;
        }
        (self.source, self.is_reload_requested) = (source, false);
        let is_replaced = match loaded {
            Some(loaded) => server.replace(loaded).await.map_err(|error| findings.push(error)).is_ok(),
            None => false,
        };
        self.finish_load(is_replaced);
        self.watch.attempted(before, read, is_replaced, Instant::now());
        if is_replaced {
            self.status.fresh(SystemClock.now());
            self.logged_errors.clear();
            if !is_unchanged {
                log_findings(&findings);
            }
            self.log_reloaded(is_reused);
        } else {
            self.status.stale();
            for error in self.reload_crls(server).await {
                if !findings.contains(&error) {
                    findings.push(error);
                }
            }
            self.log_errors(findings);
        }
    }

    /// Logs the reload. `is_reused`: the configuration file was not read again.
    fn log_reloaded(&self, is_reused: bool) {
        if is_reused && self.status.is_edited() {
            let name = self.source.file.file_name().unwrap_or_default().to_string_lossy();
            let process = std::process::id();
            tracing::info!(
                "reloaded, without the edit in place of {name}; load it with `kill -HUP {process}`"
            );
        } else {
            tracing::info!("reloaded");
        }
    }

    fn finish_load(&mut self, is_replaced: bool) {
        self.freed = FreedMemory::at(Instant::now());
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).finish_load(is_replaced);
    }

    /// Logs the errors of the files, unless they were logged last.
    fn log_errors(&mut self, findings: Vec<Diagnostic>) {
        let errors: Vec<_> = findings.into_iter().filter(Diagnostic::is_error).collect();
        if errors == self.logged_errors {
            tracing::debug!("retried with the same errors");
            return;
        }
        for error in &errors {
            tracing::error!("configuration not reloaded: {}", error.without_folder());
        }
        self.logged_errors = errors;
    }
}

fn state_of(states: &Fingerprints, file: &Path) -> Fingerprint {
    states.get(file).copied().unwrap_or(Fingerprint::Absent(io::ErrorKind::NotFound))
}

/// Logs warnings and notes.
fn log_findings(findings: &[Diagnostic]) {
    for finding in findings.iter().map(Diagnostic::without_folder) {
        match finding.severity {
            Severity::Note => tracing::info!("{finding}"),
            _ => tracing::warn!("{finding}"),
        }
    }
}

/// Waits for a read without a limit. A slow read marks the configuration as stale.
async fn await_files<T>(status: &Status, reading: impl Future<Output = T>) -> T {
    let mut reading = pin!(reading);
    if let Ok(read) = time::timeout(SLOW_READ, reading.as_mut()).await {
        return read;
    }
    status.stale();
    tracing::error!("configuration not reloaded: its files have not been read within {SLOW_READ:?}; waiting");
    reading.await
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slow_read_is_awaited_and_makes_the_configuration_stale() {
        let status = Status::new(SystemClock.now());
        assert_eq!(await_files(&status, async { 1 }).await, 1);
        assert!(!status.is_stale());
        let start = Instant::now();
        let watching = async {
            sleep(SLOW_READ - Duration::from_secs(1)).await;
            assert!(!status.is_stale());
            sleep(Duration::from_secs(2)).await;
            assert!(status.is_stale());
        };
        let (read, ()) = tokio::join!(await_files(&status, sleep(6 * SLOW_READ)), watching);
        assert_eq!((read, start.elapsed()), ((), 6 * SLOW_READ));
    }
}
