//! The demo's folder: whose it is, and how files get into it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::PkiError;
use super::world::CA_COMMON_NAME;

/// The file that keeps git away, and that tells a folder of the demo's from any other.
pub(super) const MARK: &str = ".gitignore";

/// What stands in it.
pub(super) const MARK_TEXT: &str =
    "# Written by `gateway demo`: keys of a throw-away PKI, not to be committed.\n*\n";

/// What a folder was found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing; or it was missing, and is there now.
    Empty,
    /// Files of an earlier demo.
    Ours,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever may read the folder.
    Public,
    /// The owner alone.
    Secret,
}

/// Makes sure that `dir` is a folder for the demo to write to, and private.
pub(super) fn claim(dir: &Path) -> Result<Found, PkiError> {
    let failed = |action| move |source| PkiError::Io { action, path: dir.to_owned(), source };
    match fs::metadata(dir) {
        Ok(metadata) if !metadata.is_dir() => return Err(PkiError::NotAFolder(dir.to_owned())),
        Ok(metadata) if !is_own(&metadata) => return Err(PkiError::NotYours(dir.to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_private(dir).map_err(failed("create"))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(PkiError::NotAFolder(dir.to_owned()));
        }
        Err(error) => return Err(failed("open")(error)),
    }
    let empty = fs::read_dir(dir).map_err(failed("read"))?.next().is_none();
    let found = match (empty, is_ours(dir)) {
        (true, _) => Found::Empty,
        (false, true) => Found::Ours,
        (false, false) => return Err(PkiError::NotOurs(dir.to_owned())),
    };
    make_private(dir).map_err(failed("change the mode of"))?;
    Ok(found)
}

/// Locks the folder itself. Where the file system has no locks, that of the store is left.
pub(super) fn lock(dir: &Path) -> Result<File, PkiError> {
    let folder =
        File::open(dir).map_err(|source| PkiError::Io { action: "open", path: dir.to_owned(), source })?;
    #[cfg(unix)]
    if let Err(rustix::io::Errno::WOULDBLOCK) =
        rustix::fs::flock(&folder, rustix::fs::FlockOperation::NonBlockingLockExclusive)
    {
        return Err(PkiError::InUse);
    }
    Ok(folder)
}

/// Whether the folder belongs to the user that this process acts as.
#[cfg(unix)]
fn is_own(folder: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    folder.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &Metadata) -> bool {
    true
}

/// Whether an earlier demo wrote to this folder: it left its mark, or its CA. A `.gitignore` or a `ca.pem` of
/// anybody else's proves nothing, and must not be overwritten.
fn is_ours(dir: &Path) -> bool {
    fs::read(dir.join(MARK)).is_ok_and(|text| text == MARK_TEXT.as_bytes())
        || fs::read(dir.join("ca.pem")).is_ok_and(|pem| is_demo_ca(&pem))
}

fn is_demo_ca(pem: &[u8]) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem) else {
        return false;
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&pem.contents) else {
        return false;
    };
    certificate.subject().iter_common_name().any(|name| name.as_str() == Ok(CA_COMMON_NAME))
}

/// Writes one file whole: under a temporary name first, then renamed, so that no reader ever sees half of it.
/// A secret is private from the moment it is created.
pub(super) fn write(dir: &Path, name: &str, access: Access, content: &[u8]) -> Result<(), PkiError> {
    let path = dir.join(name);
    let temporary = dir.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = create(&temporary, access)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, &path));
    written.map_err(|source| {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        PkiError::Io { action: "write", path, source }
    })
}

#[cfg(unix)]
fn create(path: &Path, access: Access) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let mode = match access {
        Access::Public => 0o644,
        Access::Secret => 0o600,
    };
    // Left behind by a demo that was killed in the middle and had our process id.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path, _: Access) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let mut permissions = fs::metadata(dir)?.permissions();
    if permissions.mode() & 0o777 == 0o700 {
        return Ok(());
    }
    permissions.set_mode(0o700);
    fs::set_permissions(dir, permissions)
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}
