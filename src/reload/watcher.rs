use std::{
    convert::Infallible,
    error::Error as StdError,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use super::{ReloadError, files::Files, task::Task};
use crate::shared::{Publish, Shared};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Follows files and replaces a [`Shared`] value when they change. See the [module](super).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::{Policy, Shared, certificate::Thumbprint, reload::Watcher};
///
/// # let directory = std::env::temp_dir().join(format!("tower-mtls-watcher-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let path = directory.join("allowed.txt");
/// std::fs::write(&path, "CA06F56B258B7A0D4F2B05470939478651151984")?;
/// let load = |files: &[Vec<u8>]| -> Result<Policy, Box<dyn std::error::Error + Send + Sync>> {
///     let allowed: Thumbprint = std::str::from_utf8(&files[0])?.trim().parse()?;
///     Ok(Policy::builder().thumbprint(allowed).build()?)
/// };
/// let (policy, watcher): (Shared<Policy>, Watcher) = Watcher::builder().add_file(path).load(load)?;
/// assert!(policy.current().is_anchored() && !watcher.is_stale());
/// # drop(watcher);
/// # std::fs::remove_dir_all(directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the watching"]
pub struct Watcher {
    is_stale: Arc<AtomicBool>,
    /// Dropping it ends the thread.
    _stop: Sender<Infallible>,
}

impl Watcher {
    /// Starts a builder.
    ///
    /// ```
    /// use tower_mtls::{Policy, reload::{ReloadError, Watcher}};
    ///
    /// let error = Watcher::builder().load(|_: &[Vec<u8>]| Policy::builder().build()).unwrap_err();
    /// assert!(matches!(error, ReloadError::NoFiles));
    /// ```
    pub fn builder() -> WatcherBuilder {
        WatcherBuilder::default()
    }

    /// Returns true if the files cannot be read, or their contents were rejected, so that an older value is in use.
    pub fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Acquire)
    }
}

/// Builds a [`Watcher`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::{Policy, certificate::Thumbprint, reload::{ReloadError, Watcher}};
///
/// let load = |_: &[Vec<u8>]| Policy::builder().thumbprint(Thumbprint::Sha256([0; 32])).build();
/// let error = Watcher::builder().load(load).unwrap_err();
/// assert!(matches!(error, ReloadError::NoFiles));
///
/// let error = Watcher::builder().add_file("/missing/allowed.txt").load(load).unwrap_err();
/// assert!(error.to_string().starts_with("/missing/allowed.txt: "));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct WatcherBuilder {
    paths: Vec<PathBuf>,
    interval: Duration,
    max_size: u64,
}

impl Default for WatcherBuilder {
    fn default() -> Self {
        Self { paths: Vec::new(), interval: Duration::from_secs(1), max_size: 1024 * 1024 }
    }
}

impl WatcherBuilder {
    /// Adds a file. Its contents are passed to the loading function in the order of these calls.
    pub fn add_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// The time between two reads. Default: 1 second; at least 1 ms.
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// The size limit of each file in bytes. Default: 1 MiB.
    pub fn with_max_file_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// Loads the first value from the files, and follows them.
    ///
    /// `load` builds a value from the contents of all files. It runs on the calling thread now and on the watcher's
    /// thread later; a panic there counts as a rejection.
    ///
    /// # Errors
    ///
    /// 1. [`ReloadError::NoFiles`]: no file was added.
    /// 2. [`ReloadError::File`]: a file cannot be read, is not a regular file, or is too large.
    /// 3. [`ReloadError::Rejected`]: `load` returned an error.
    /// 4. [`ReloadError::Thread`]: the watcher's thread cannot be started.
    pub fn load<T, E, F>(self, load: F) -> Result<(Shared<T>, Watcher), ReloadError>
    where
        T: Publish + Send + Sync + 'static,
        E: Into<BoxError>,
        F: Fn(&[Vec<u8>]) -> Result<T, E> + Send + 'static,
    {
        let (files, first) = self.first(&load)?;
        let shared = Shared::new(first);
        let watcher = start(files, self.interval, shared.clone(), load)?;
        Ok((shared, watcher))
    }

    /// Loads a value from the files into `shared`, and follows them: for a value that is in use already.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); but for the last, `shared` keeps its value.
    pub fn load_into<T, E, F>(self, shared: &Shared<T>, load: F) -> Result<Watcher, ReloadError>
    where
        T: Publish + Send + Sync + 'static,
        E: Into<BoxError>,
        F: Fn(&[Vec<u8>]) -> Result<T, E> + Send + 'static,
    {
        let (files, first) = self.first(&load)?;
        shared.replace(first);
        start(files, self.interval, shared.clone(), load)
    }

    fn first<T, E: Into<BoxError>>(
        &self,
        load: &impl Fn(&[Vec<u8>]) -> Result<T, E>,
    ) -> Result<(Files, T), ReloadError> {
        if self.paths.is_empty() {
            return Err(ReloadError::NoFiles);
        }
        let mut files = Files::new(self.paths.clone(), self.max_size);
        let contents = files.read()?;
        let value = load(&contents).map_err(|error| ReloadError::Rejected(error.into()))?;
        files.accept();
        Ok((files, value))
    }
}

fn start<T, E, F>(
    files: Files,
    interval: Duration,
    shared: Shared<T>,
    load: F,
) -> Result<Watcher, ReloadError>
where
    T: Publish + Send + Sync + 'static,
    E: Into<BoxError>,
    F: Fn(&[Vec<u8>]) -> Result<T, E> + Send + 'static,
{
    let (stop, stopped) = mpsc::channel();
    let is_stale = Arc::new(AtomicBool::new(false));
    let task = Task::new(files, shared, load, is_stale.clone(), stopped);
    let thread = thread::Builder::new().name("tower-mtls-reload".into());
    thread.spawn(move || task.run(interval)).map_err(ReloadError::Thread)?;
    Ok(Watcher { is_stale, _stop: stop })
}

#[cfg(test)]
mod tests;
