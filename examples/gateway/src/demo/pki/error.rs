//! Errors of the demo's PKI.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Error of [`ensure`](super::ensure); the message includes the remedy.
#[derive(Debug)]
pub(crate) enum PkiError {
    /// The path is not a folder.
    NotAFolder(PathBuf),
    /// The folder contains files, but is not a folder of the demo.
    NotADemoFolder(PathBuf),
    /// The folder belongs to another user.
    OtherOwner(PathBuf),
    /// Another demo is running in the folder.
    InUse,
    /// A file or folder cannot be read or written.
    Io {
        /// The failed action, as a verb such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The random number generator failed.
    Random,
    /// A key or certificate could not be created.
    Certificate(rcgen::Error),
    /// A .pfx file could not be created.
    Pfx(p12_keystore::error::Error),
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFolder(path) => {
                write!(f, "{} is not a folder; remove it, or use another folder with --dir", path.display())
            }
            Self::NotADemoFolder(path) => write!(
                f,
                "{} contains files that `gateway demo` did not write; nothing in it was changed; \
                 use a new or empty folder with --dir",
                path.display()
            ),
            Self::OtherOwner(path) => write!(
                f,
                "{} belongs to another user, who could read or replace the keys in it; \
                 use a folder of your own with --dir",
                path.display()
            ),
            Self::InUse => f.write_str(
                "another demo is running in this folder; stop it, or use another folder with --dir DIR",
            ),
            Self::Io { action, path, source } => write!(
                f,
                "cannot {action} {}: {source}; make it writable, or use another folder with --dir",
                path.display()
            ),
            Self::Random => f.write_str("the operating system returned no random bytes; try again"),
            Self::Certificate(source) => write!(f, "cannot create a certificate: {source}"),
            Self::Pfx(source) => write!(f, "cannot create a .pfx file: {source}"),
        }
    }
}

impl Error for PkiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotAFolder(_)
            | Self::NotADemoFolder(_)
            | Self::OtherOwner(_)
            | Self::InUse
            | Self::Random => None,
            Self::Io { source, .. } => Some(source),
            Self::Certificate(source) => Some(source),
            Self::Pfx(source) => Some(source),
        }
    }
}

impl From<rcgen::Error> for PkiError {
    fn from(source: rcgen::Error) -> Self {
        Self::Certificate(source)
    }
}

impl From<p12_keystore::error::Error> for PkiError {
    fn from(source: p12_keystore::error::Error) -> Self {
        Self::Pfx(source)
    }
}
