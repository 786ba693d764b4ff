//! Reading files: only those that end, and that are not too large.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    path::Path,
};

/// The contents of a file.
///
/// # Errors
///
/// It cannot be opened or read, is no regular file, or ([`io::ErrorKind::FileTooLarge`]) is larger than this.
pub(crate) fn read(file: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let opened = open(file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // With room for all of it and for noticing the end: a buffer that grows leaves copies of a secret behind.
    let size = usize::try_from(metadata.len().min(largest)).unwrap_or_default();
    let mut contents = Vec::with_capacity(size + 64);
    opened.take(largest + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > largest {
        let problem = format!("larger than {} MiB", largest >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(contents)
}

/// Opening a pipe waits for somebody who writes into it, which may be never.
#[cfg(unix)]
fn open(file: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(file)
}

#[cfg(not(unix))]
fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(file)
}
