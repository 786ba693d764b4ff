//! Bounded reading of regular files, and removal of byte order marks.

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, Read},
    path::Path,
};

use tower_mtls::keys::pem;
use zeroize::Zeroize;

/// Reads a file, [decoded](self::decode).
///
/// # Errors
///
/// The file cannot be opened or read, is not a regular file, or is larger than `largest` bytes
/// ([`io::ErrorKind::FileTooLarge`]).
pub(crate) fn read(file: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let opened = open(file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // Capacity for the whole file and the end-of-file read: a growing buffer would leave copies of a secret behind.
    let size = usize::try_from(metadata.len().min(largest)).unwrap_or_default();
    let mut contents = Vec::with_capacity(size + 64);
    opened.take(largest + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > largest {
        let problem = format!("larger than {} MiB", largest >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(decode(contents))
}

/// Removes a byte order mark, and converts text with a UTF-16 mark to UTF-8. Other contents stay as they are. Former
/// copies are overwritten.
pub(crate) fn decode(mut contents: Vec<u8>) -> Vec<u8> {
    let marked = contents.len();
    match pem::decode(&contents) {
        Cow::Borrowed(text) => {
            let mark = marked - text.len();
            contents.copy_within(mark.., 0);
            contents[marked - mark..].zeroize();
            contents.truncate(marked - mark);
            contents
        }
        Cow::Owned(text) => {
            contents.zeroize();
            text
        }
    }
}

/// Returns true if other users have any permission on the file.
#[cfg(unix)]
pub(crate) fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_file: &Path) -> bool {
    false
}

/// Opens without blocking: opening a pipe would wait for a writer.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_text_keeps_its_buffer_and_leaves_no_copy() {
        let mut contents = b"\xef\xbb\xbfsecret".to_vec();
        contents.reserve_exact(64);
        let buffer = contents.as_ptr();
        let decoded = decode(contents);
        assert_eq!((decoded.as_slice(), decoded.as_ptr()), (b"secret".as_slice(), buffer));
        assert_eq!(decode(b"\xff\xfea\0b\0".to_vec()), b"ab");
        assert_eq!(decode(b"\x30\x82".to_vec()), b"\x30\x82");
    }
}
