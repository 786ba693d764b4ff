//! Files that replace a [`Shared`](crate::Shared) value when they change.
//!
//! Built on [`Shared`](crate::Shared) only: the loaded values are of any room.
//!
//! A [`Watcher`] reads its files every second and passes their contents to a function of the caller, which builds the
//! value: a policy from a list of thumbprints, an identity from a renewed .pfx file, a trust, a server's TLS settings.
//!
//! 1. A change is loaded once the contents have been equal at two reads in a row, so at most two intervals after an
//!    atomic rename or the swap of a symbolic link (as Kubernetes mounts secrets). Files that belong together, such as
//!    a certificate and its key, are loaded together.
//! 2. Contents that the function rejects, and files that cannot be read or are too large, leave the old value in use.
//!    They are logged once as an error with the names of the files; [`Watcher::is_stale`] returns true, and with the
//!    feature `metrics` the gauge `tower_mtls_reload_stale{files}` is 1.
//! 3. Dropping the watcher ends it.
//!
//! Replace files by `rename`: a file that is written in place is loaded half-written if its writer pauses for longer
//! than an interval. Reading happens on a thread of the watcher; a runtime is not needed.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(vec![])?;
//! # let dir = std::env::temp_dir().join(format!("tower-mtls-doc-reload-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir)?;
//! # let path = dir.join("allowed.txt");
//! # let certificate = Certificate::from_der(made.cert.der())?;
//! # std::fs::write(&path, format!("{}\n", certificate.sha256_thumbprint()))?;
//! use tower_mtls::{Certificate, Policy, certificate::{Presented, SystemClock, Clock, Thumbprint}, reload::Watcher};
//!
//! let load = |files: &[Vec<u8>]| -> Result<Policy, Box<dyn std::error::Error + Send + Sync>> {
//!     let allowed: Vec<Thumbprint> =
//!         std::str::from_utf8(&files[0])?.lines().map(str::parse).collect::<Result<_, _>>()?;
//!     Ok(Policy::builder().thumbprints(allowed).build()?)
//! };
//! let (policy, watcher) = Watcher::builder().add_file(&path).load(load)?;
//! assert!(policy.judge(&Presented::from(certificate), SystemClock.now()).is_ok());
//! assert!(!watcher.is_stale());
//!
//! std::fs::write(&path, "not a thumbprint\n")?;
//! assert!(Watcher::builder().add_file(&path).load(load).is_err());
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok(())
//! # }
//! ```
//!
//! The example `reload` replaces the policy of a running service.

mod error;
mod files;
mod task;
mod watcher;

pub use self::{
    error::ReloadError,
    watcher::{Watcher, WatcherBuilder},
};
