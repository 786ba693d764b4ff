use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use metrics::{Counter, counter};
use tokio::{
    sync::Semaphore,
    task::{AbortHandle, JoinSet, spawn_blocking},
    time::sleep,
};
use tower_mtls::{
    MtlsClient,
    certificate::{Clock, SystemClock},
};

use super::{
    DownloadedLists, Lists, Source, SourceId,
    download::{Client, DownloadError, download},
    schedule,
};

/// Maximum number of concurrent downloads, whose contents are in memory.
const MAX_DOWNLOADS: usize = 4;

/// Downloads the lists of all sources, each by a task of its own.
#[derive(Debug)]
pub(crate) struct Fetcher {
    lists: Arc<DownloadedLists>,
    client: Client,
    permits: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// Settings and task of each source.
    running: BTreeMap<SourceId, ([u8; 32], AbortHandle)>,
}

impl Fetcher {
    pub(crate) fn new(lists: Arc<DownloadedLists>) -> Self {
        Self {
            lists,
            client: MtlsClient::builder().with_max_total_connections(MAX_DOWNLOADS).build(),
            permits: Arc::new(Semaphore::new(MAX_DOWNLOADS)),
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
        }
    }

    /// Downloads from these sources only. Sources with the same settings as before continue; new and changed ones start
    /// at once.
    pub(crate) fn follow(&mut self, sources: Vec<Source>) {
        let ids: BTreeSet<_> = sources.iter().map(|source| source.id).collect();
        self.lists.retain(&ids);
        let (running, removed): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.running).into_iter().partition(|(id, _)| ids.contains(id));
        self.running = running;
        removed.values().for_each(|(_, task)| task.abort());
        while self.tasks.try_join_next().is_some() {}
        for source in sources {
            let (id, settings) = (source.id, source.settings);
            match self.running.get(&id) {
                Some((running, _)) if *running == settings => continue,
                Some((_, task)) => task.abort(),
                None => {}
            }
            let task = Downloads {
                errors: counter!(
                    "gateway_crl_fetch_errors_total",
                    "trust" => source.trust.clone(), "url" => source.url.to_string()
                ),
                source: Arc::new(source),
                lists: self.lists.clone(),
                client: self.client.clone(),
                permits: self.permits.clone(),
            };
            let task = self.tasks.spawn(task.run());
            self.running.insert(id, (settings, task));
        }
    }
}

/// The downloads of one source, one after the other.
struct Downloads {
    source: Arc<Source>,
    lists: Arc<DownloadedLists>,
    client: Client,
    permits: Arc<Semaphore>,
    errors: Counter,
}

impl Downloads {
    async fn run(self) {
        self.errors.increment(0);
        let mut failures: u32 = 0;
        loop {
            match self.refresh().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.errors.increment(1);
                    self.log(&error);
                }
            }
            sleep(self.delay(failures)).await;
        }
    }

    fn delay(&self, failures: u32) -> Duration {
        let next_update = self.lists.get(self.source.id).and_then(|lists| lists.next_update());
        let now = SystemClock.now().as_unix();
        let until_overdue = next_update
            .map(|next| Duration::from_secs(next.as_unix().saturating_sub(now).try_into().unwrap_or(0)));
        schedule::delay(self.source.refresh, failures, until_overdue, jitter())
    }

    /// Downloads once, and publishes lists that differ from the current ones.
    async fn refresh(&self) -> Result<(), DownloadError> {
        // Closed never: the fetcher owns it.
        let _permit = self.permits.acquire().await;
        let contents = download(self.client.clone(), &self.source).await?;
        let old = self.lists.get(self.source.id);
        let source = self.source.clone();
        // Parsing blocks, so it runs on a thread of its own.
        let read = spawn_blocking(move || source.read_download(contents, old.as_ref(), SystemClock.now()));
        let read = read.await.unwrap_or_else(|error| Err(error.to_string()));
        if let Some(new) = read.map_err(DownloadError::Invalid)? {
            // Here, so that it does not happen once this task is aborted.
            self.publish(self.source.keep(new));
        }
        Ok(())
    }

    fn publish(&self, new: Lists) {
        let (trust, url) = (&self.source.trust, &self.source.url);
        let entries = new.entries();
        let next_update = new.next_update().map(tracing::field::display);
        tracing::info!(trust, %url, entries, next_update, "crl downloaded");
        self.lists.replace(self.source.id, new);
    }

    fn log(&self, error: &DownloadError) {
        let (trust, url, reason) = (&self.source.trust, &self.source.url, error.reason());
        let is_kept = self.lists.get(self.source.id).is_some();
        tracing::error!(trust, %url, reason, %error, is_kept, "crl not downloaded");
    }
}

/// A random number from 0 to 1.
fn jitter() -> f64 {
    // No jitter without random numbers.
    getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX))
}
