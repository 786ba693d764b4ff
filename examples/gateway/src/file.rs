//! Bounded reading of files, whose contents are erased on drop, and removal of byte order marks; files for the owner only.

pub(crate) mod private;

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, Read},
    path::Path,
};

use tower_mtls::keys::pem;
use zeroize::{Zeroize, Zeroizing};

/// Reads a regular file, [decoded](self::decode).
///
/// # Errors
///
/// The file cannot be opened or read, is not a regular file, or is larger than `largest` bytes
/// ([`io::ErrorKind::FileTooLarge`]).
pub(crate) fn read(file: &Path, largest: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let opened = open(file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(largest);
    Ok(decode(read_all(opened, size, largest)?))
}

/// Reads to the end. `size` is the expected number of bytes. A buffer that is outgrown is erased.
///
/// # Errors
///
/// Reading fails, or there are more than `largest` bytes ([`io::ErrorKind::FileTooLarge`]).
pub(crate) fn read_all(mut from: impl Read, size: usize, largest: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // One byte more than expected, so that the end is noticed without growing.
    let mut contents = Zeroizing::new(vec![0; size.min(largest) + 1]);
    let mut length = 0;
    loop {
        match from.read(&mut contents[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if length > largest {
            let problem = format!("larger than {}", quantity(largest));
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
        }
        if length == contents.len() {
            let mut larger = Zeroizing::new(vec![0; length.saturating_mul(2).min(largest) + 1]);
            larger[..length].copy_from_slice(&contents);
            contents = larger;
        }
    }
    contents.truncate(length);
    Ok(contents)
}

fn quantity(size: usize) -> String {
    match size >> 20 {
        0 => format!("{} KiB", size >> 10),
        size => format!("{size} MiB"),
    }
}

/// Removes a byte order mark, and converts text with a UTF-16 mark to UTF-8. Other contents stay as they are.
pub(crate) fn decode(mut contents: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let marked = contents.len();
    match pem::decode(&contents) {
        Cow::Borrowed(text) => {
            let mark = marked - text.len();
            contents.copy_within(mark.., 0);
            contents[marked - mark..].zeroize();
            contents.truncate(marked - mark);
            contents
        }
        Cow::Owned(text) => Zeroizing::new(text),
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
        let contents = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        let mut marked = contents(b"\xef\xbb\xbfsecret");
        marked.reserve_exact(64);
        let buffer = marked.as_ptr();
        let decoded = decode(marked);
        assert_eq!((decoded.as_slice(), decoded.as_ptr()), (b"secret".as_slice(), buffer));
        assert_eq!(**decode(contents(b"\xff\xfea\0b\0")), *b"ab");
        assert_eq!(**decode(contents(b"\x30\x82")), *b"\x30\x82");
    }

    #[test]
    fn contents_are_read_whole_whatever_size_was_expected() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|byte| byte as u8).collect();
        for size in [0, 1, 9_999, 10_000, 10_001, usize::MAX] {
            assert_eq!(**read_all(&*bytes, size, 10_000).unwrap(), bytes, "{size}");
            let error = read_all(&*bytes, size, 9_999).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{size}");
        }
        assert_eq!(read_all(io::empty(), 0, 0).unwrap().len(), 0);
        assert!(read_all(io::repeat(0), 0, 1 << 20).unwrap_err().to_string().contains("1 MiB"));
    }
}
