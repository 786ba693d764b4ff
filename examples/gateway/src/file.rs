//! Reading files: only those that end, and that are not too large. Texts lose their byte order mark here.

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, Read},
    path::Path,
};

use tower_mtls::pem;
use zeroize::Zeroize;

/// The contents of a file, [decoded](self::decode).
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
    Ok(decode(contents))
}

/// Text without its byte order mark, as UTF-8 if the mark says UTF-16; other contents as they are. No copy of
/// them is left behind.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_text_keeps_its_buffer_without_a_copy_of_it_behind() {
        let mut contents = b"\xef\xbb\xbfsecret".to_vec();
        contents.reserve_exact(64);
        let buffer = contents.as_ptr();
        let decoded = decode(contents);
        assert_eq!((decoded.as_slice(), decoded.as_ptr()), (b"secret".as_slice(), buffer));
        assert_eq!(decode(b"\xff\xfea\0b\0".to_vec()), b"ab");
        assert_eq!(decode(b"\x30\x82".to_vec()), b"\x30\x82");
    }
}
