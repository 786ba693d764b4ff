//! Keeps what serves like what the files say: a changed file, or SIGHUP, is read, and replaces the configuration
//! whole or not at all.

mod retire;
mod status;
mod watch;

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tokio::{task::spawn_blocking, time};
use tower_mtls::{Clock, SystemClock};

pub(crate) use self::status::Status;
use self::{retire::retire, watch::Watch};
use crate::{
    config::{Diagnostic, Severity},
    load::{self, Cache, Fingerprint, Fingerprints, Loaded, Outcome, fingerprints},
    serve::Server,
};

/// A configuration file that serves, and all that it names.
#[derive(Debug)]
pub(crate) struct Files {
    file: PathBuf,
    /// None while a load has it on another thread.
    cache: Option<Cache>,
    watch: Watch,
    status: Arc<Status>,
    /// The errors that were logged last.
    told: Vec<Diagnostic>,
}

impl Files {
    /// Loads the file for the first time; the findings are the caller's to tell.
    pub(crate) fn load(file: &Path) -> (Option<(Loaded, Self)>, Vec<Diagnostic>) {
        let mut cache = Cache::default();
        let Outcome { loaded, findings, read } = load::load(file, &mut cache);
        cache.settle(true);
        let files = loaded.map(|loaded| {
            let files = Self {
                file: file.to_owned(),
                cache: Some(cache),
                watch: Watch::new(read, Instant::now()),
                status: Arc::new(Status::new(SystemClock.now())),
                told: Vec::new(),
            };
            (loaded, files)
        });
        (files, findings)
    }

    pub(crate) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Follows the files for as long as this is polled.
    pub(crate) async fn follow(&mut self, server: &mut Server, hang_ups: &mut HangUps) -> Infallible {
        let mut polls = time::interval(watch::EVERY);
        polls.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            let is_asked = tokio::select! {
                () = hang_ups.next() => true,
                _ = polls.tick() => false,
            };
            let state = states_of(self.watch.files()).await;
            if self.watch.is_due(state.clone(), self.status.is_stale(), Instant::now()) || is_asked {
                self.reload(server, state).await;
            }
        }
    }

    /// Reads everything and serves it, or says why not.
    async fn reload(&mut self, server: &mut Server, before: Fingerprints) {
        let (file, mut cache) = (self.file.clone(), self.cache.take().unwrap_or_default());
        // Files are read and keys derived on a thread of their own: requests do not wait for them.
        let loading = spawn_blocking(move || {
            let outcome = load::load(&file, &mut cache);
            let is_torn = outcome.read.iter().any(|(file, state)| Fingerprint::of(file) != *state);
            (outcome, cache, is_torn)
        });
        let Ok((Outcome { loaded, mut findings, read }, mut cache, is_torn)) = loading.await else {
            tracing::error!("configuration not reloaded: reading it ended early");
            return;
        };
        if is_torn {
            // It is due again as soon as it has settled.
            tracing::debug!("the configuration changed while it was read");
            self.watch.attempted(before, read, false, Instant::now());
            self.cache = Some(cache);
            return;
        }
        let replaced = match loaded {
            Some(loaded) => server.replace(loaded).await.map_err(|error| findings.push(error)).ok(),
            None => None,
        };
        cache.settle(replaced.is_some());
        self.cache = Some(cache);
        self.watch.attempted(before, read, replaced.is_some(), Instant::now());
        match replaced {
            Some(old) => {
                retire(&old, &server.site());
                self.status.fresh(SystemClock.now());
                self.told.clear();
                tell(&findings);
                tracing::info!("reloaded");
            }
            None => {
                self.status.stale();
                self.refuse(findings);
            }
        }
    }

    /// Says why the files cannot serve, once for each state of affairs.
    fn refuse(&mut self, findings: Vec<Diagnostic>) {
        let errors: Vec<_> = findings.into_iter().filter(Diagnostic::is_error).collect();
        if errors == self.told {
            tracing::debug!("tried again, for the same result");
            return;
        }
        for error in &errors {
            tracing::error!("configuration not reloaded: {error}");
        }
        self.told = errors;
    }
}

/// Logs what is no error.
fn tell(findings: &[Diagnostic]) {
    for finding in findings {
        match finding.severity {
            Severity::Note => tracing::info!("{finding}"),
            _ => tracing::warn!("{finding}"),
        }
    }
}

/// Off the threads that serve: a file system may take its time.
async fn states_of(files: Vec<PathBuf>) -> Fingerprints {
    spawn_blocking(move || fingerprints(&files)).await.unwrap_or_default()
}

/// SIGHUP, from the moment this is made on: before, it ends the process.
#[derive(Debug)]
pub(crate) struct HangUps {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl HangUps {
    /// To be called within a Tokio runtime.
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    /// Waits for the next one; several at once are one.
    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
