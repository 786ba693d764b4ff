//! The demo's folder: ownership and writing of files.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::PkiError;

/// Common name of the CA in `ca.pem`, by which the folder is recognised.
pub(super) const CA_COMMON_NAME: &str = "tower-mtls gateway demo CA";

/// The file that marks a folder of the demo, and excludes it from git.
pub(super) const MARK: &str = ".gitignore";

/// Content of the mark file.
pub(super) const MARK_TEXT: &str =
    "# Written by `gateway demo`: keys of a throw-away PKI, not to be committed.\n*\n";

/// State of a folder before the demo writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FolderState {
    /// Empty, or newly created.
    Empty,
    /// Contains files of an earlier demo.
    Demo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileAccess {
    /// Readable by all users.
    Public,
    /// Readable by the owner only.
    Secret,
}

/// Checks that the demo may write to `dir`, creates it if it is missing, and makes it private.
pub(super) fn claim(dir: &Path) -> Result<FolderState, PkiError> {
    let failed = |action| move |source| PkiError::Io { action, path: dir.to_owned(), source };
    match fs::metadata(dir) {
        Ok(metadata) if !metadata.is_dir() => return Err(PkiError::NotAFolder(dir.to_owned())),
        Ok(metadata) if !is_own(&metadata) => return Err(PkiError::OtherOwner(dir.to_owned())),
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
    let state = match (empty, is_demo_folder(dir)) {
        (true, _) => FolderState::Empty,
        (false, true) => FolderState::Demo,
        (false, false) => return Err(PkiError::NotADemoFolder(dir.to_owned())),
    };
    make_private(dir).map_err(failed("change the mode of"))?;
    Ok(state)
}

/// Locks the folder. On file systems without locks only the store is locked.
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

/// Returns true if the folder belongs to the effective user of this process.
#[cfg(unix)]
fn is_own(folder: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    folder.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &Metadata) -> bool {
    true
}

/// Returns true if the folder contains the mark file or the CA of an earlier demo. Another `.gitignore` or `ca.pem` must
/// not be overwritten.
fn is_demo_folder(dir: &Path) -> bool {
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

/// Replaces a file atomically, by renaming a temporary one. Secrets are private from their creation on.
pub(super) fn write(dir: &Path, name: &str, access: FileAccess, content: &[u8]) -> Result<(), PkiError> {
    let path = dir.join(name);
    let temporary = dir.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = create(&temporary, access)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, &path));
    written.map_err(|source| {
        // The first error is reported.
        let _ = fs::remove_file(&temporary);
        PkiError::Io { action: "write", path, source }
    })
}

#[cfg(unix)]
fn create(path: &Path, access: FileAccess) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let mode = match access {
        FileAccess::Public => 0o644,
        FileAccess::Secret => 0o600,
    };
    // Left over from a killed demo with the same process id.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path, _: FileAccess) -> io::Result<File> {
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
