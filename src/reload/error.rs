use std::{error::Error as StdError, fmt, io, path::PathBuf};

/// Error of a first load by [`WatcherBuilder`](super::WatcherBuilder).
///
/// ```
/// use tower_mtls::{Policy, reload::{ReloadError, Watcher}};
///
/// let load = |_: &[Vec<u8>]| Policy::builder().build();
/// match Watcher::builder().add_file("/missing/allowed.txt").load(load).unwrap_err() {
///     ReloadError::File { error, .. } => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
///     error => panic!("{error}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ReloadError {
    /// No file was named.
    NoFiles,
    /// A file cannot be read, is not a regular file, or is too large.
    #[non_exhaustive]
    File {
        /// The file.
        path: PathBuf,
        /// The problem.
        error: io::Error,
    },
    /// The contents of the files were rejected.
    Rejected(Box<dyn StdError + Send + Sync>),
    /// The watcher's thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFiles => f.write_str("no file to load; add one with add_file"),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Rejected(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "the watcher's thread cannot be started: {error}"),
        }
    }
}

impl StdError for ReloadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NoFiles => None,
            Self::File { error, .. } | Self::Thread(error) => Some(error),
            Self::Rejected(error) => error.source(),
        }
    }
}
