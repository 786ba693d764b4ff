//! Why the demo's PKI could not be made.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why [`ensure`](super::ensure) failed, with the remedy in its text.
#[derive(Debug)]
pub(crate) enum PkiError {
    /// The path names something that is not a folder.
    NotAFolder(PathBuf),
    /// The folder holds files, and none that the demo wrote.
    NotOurs(PathBuf),
    /// The folder belongs to another user.
    NotYours(PathBuf),
    /// Another demo runs in the folder.
    InUse,
    /// A file or folder cannot be read or written.
    Io {
        /// What was tried, as a verb: `write`.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The random number generator failed.
    Random,
    /// A key or certificate could not be made.
    Certificate(rcgen::Error),
    /// A .pfx file could not be made.
    Pfx(p12_keystore::error::Error),
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFolder(path) => {
                write!(f, "{} is not a folder; remove it, or name another folder with --dir", path.display())
            }
            Self::NotOurs(path) => write!(
                f,
                "{} holds files that `gateway demo` did not write, and nothing in it was touched; \
                 name a new or empty folder with --dir",
                path.display()
            ),
            Self::NotYours(path) => write!(
                f,
                "{} belongs to another user, who could read or replace the keys in it; \
                 name a folder of your own with --dir",
                path.display()
            ),
            Self::InUse => {
                f.write_str("another demo runs in this folder; stop it, or choose another one with --dir DIR")
            }
            Self::Io { action, path, source } => write!(
                f,
                "cannot {action} {}: {source}; make it writable, or name another folder with --dir",
                path.display()
            ),
            Self::Random => f.write_str("the operating system gave no random bytes; try again"),
            Self::Certificate(source) => write!(f, "cannot make a certificate: {source}"),
            Self::Pfx(source) => write!(f, "cannot make a .pfx file: {source}"),
        }
    }
}

impl Error for PkiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotAFolder(_) | Self::NotOurs(_) | Self::NotYours(_) | Self::InUse | Self::Random => None,
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
