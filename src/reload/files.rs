//! The files of one watcher: reading them, and noticing changes.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::PathBuf,
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::ReloadError;

/// A hash of all files; their contents, which may be private keys, are not kept.
type Fingerprint = [u8; 32];

pub(super) struct Files {
    paths: Vec<PathBuf>,
    max_size: u64,
    /// The contents that the published value was built from.
    published: Option<Fingerprint>,
    /// The contents that were rejected last.
    rejected: Option<Fingerprint>,
    /// The contents of the last read.
    last: Option<Fingerprint>,
}

/// Result of one read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The published contents.
    Published,
    /// Contents that were rejected before, or that may still be changing.
    Pending,
    /// New contents, to be loaded.
    New(Zeroizing<Vec<Vec<u8>>>),
}

impl Files {
    pub(super) fn new(paths: Vec<PathBuf>, max_size: u64) -> Self {
        Self { paths, max_size, published: None, rejected: None, last: None }
    }

    /// The names of all files.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        names.join(", ")
    }

    /// Reads all files.
    pub(super) fn read(&mut self) -> Result<Zeroizing<Vec<Vec<u8>>>, ReloadError> {
        let mut contents = Zeroizing::new(Vec::with_capacity(self.paths.len()));
        for path in &self.paths {
            let mut file = read(path, self.max_size).map_err(|error| {
                self.last = None;
                ReloadError::File { path: path.clone(), error }
            })?;
            contents.push(std::mem::take(&mut *file));
        }
        self.last = Some(fingerprint(&contents));
        Ok(contents)
    }

    /// Reads all files, and returns them if they are new and equal to those of the last read.
    pub(super) fn poll(&mut self) -> Result<Change, ReloadError> {
        let before = self.last;
        let contents = self.read()?;
        if self.last == self.published {
            self.rejected = None;
            return Ok(Change::Published);
        }
        let is_settled = self.last == before && self.last != self.rejected;
        Ok(if is_settled { Change::New(contents) } else { Change::Pending })
    }

    /// Records that a value built from the contents of the last read was published.
    pub(super) fn accept(&mut self) {
        self.published = self.last;
        self.rejected = None;
    }

    /// Records that the contents of the last read were rejected.
    pub(super) fn reject(&mut self) {
        self.rejected = self.last;
    }
}

fn read(path: &PathBuf, max_size: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // Opening a named pipe would wait for its writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // Capacity for the whole file and the end-of-file read: a growing buffer would leave copies of a secret behind.
    let size = usize::try_from(metadata.len().min(max_size)).unwrap_or_default();
    let mut contents = Zeroizing::new(Vec::with_capacity(size.saturating_add(64)));
    File::open(path)?.take(max_size.saturating_add(1)).read_to_end(&mut contents)?;
    if contents.len() as u64 > max_size {
        return Err(io::Error::other(format!("larger than {max_size} bytes")));
    }
    Ok(contents)
}

fn fingerprint(contents: &[Vec<u8>]) -> Fingerprint {
    let mut hash = Sha256::new();
    for file in contents {
        hash.update((file.len() as u64).to_be_bytes());
        hash.update(file);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A folder that is removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tower-mtls-files-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, contents: &str) -> PathBuf {
            let (path, new) = (self.0.join(name), self.0.join("new"));
            fs::write(&new, contents).unwrap();
            fs::rename(new, &path).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn new(contents: &[&str]) -> Change {
        Change::New(Zeroizing::new(contents.iter().map(|text| text.as_bytes().to_vec()).collect()))
    }

    /// Files whose first contents are published.
    fn published(paths: &[PathBuf], max_size: u64) -> Files {
        let mut files = Files::new(paths.to_vec(), max_size);
        files.read().unwrap();
        files.accept();
        files
    }

    #[test]
    fn changed_files_are_loaded_together_once_they_are_settled() {
        let folder = Folder::new("settled");
        let paths = [folder.write("certificate", "a"), folder.write("key", "b")];
        let mut files = published(&paths, 100);
        assert_eq!(files.poll().unwrap(), Change::Published);
        folder.write("certificate", "aa");
        assert_eq!(files.poll().unwrap(), Change::Pending);
        folder.write("key", "bb");
        assert_eq!(files.poll().unwrap(), Change::Pending);
        assert_eq!(files.poll().unwrap(), new(&["aa", "bb"]));
        files.accept();
        assert_eq!(files.poll().unwrap(), Change::Published);
    }

    #[test]
    fn rejected_contents_are_loaded_once_only() {
        let folder = Folder::new("rejected");
        let mut files = published(&[folder.write("list", "good")], 100);
        folder.write("list", "bad");
        assert_eq!(files.poll().unwrap(), Change::Pending);
        assert_eq!(files.poll().unwrap(), new(&["bad"]));
        files.reject();
        assert_eq!(files.poll().unwrap(), Change::Pending);
        folder.write("list", "good");
        assert_eq!(files.poll().unwrap(), Change::Published);
        folder.write("list", "bad");
        assert_eq!(files.poll().unwrap(), Change::Pending);
        assert_eq!(files.poll().unwrap(), new(&["bad"]));
    }

    #[test]
    fn files_move_no_bytes_between_each_other() {
        assert_ne!(
            fingerprint(&[b"a".to_vec(), b"b".to_vec()]),
            fingerprint(&[b"ab".to_vec(), b"".to_vec()])
        );
    }

    #[test]
    fn unreadable_files_are_errors_with_their_name() {
        let folder = Folder::new("unreadable");
        let path = folder.write("list", "1234");
        for (path, max_size, message) in [
            (path.clone(), 4, None),
            (path, 3, Some("list: larger than 3 bytes")),
            (folder.0.clone(), 4, Some(": not a regular file")),
            (folder.0.join("missing"), 4, Some("missing: ")),
        ] {
            let error = Files::new(vec![path], max_size).read().err().map(|error| error.to_string());
            match message {
                Some(message) => {
                    assert!(error.as_ref().is_some_and(|error| error.contains(message)), "{error:?}")
                }
                None => assert_eq!(error, None),
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn swapped_symbolic_link_is_a_change() {
        let folder = Folder::new("link");
        let (old, new_target) = (folder.write("old", "old"), folder.write("new-target", "new"));
        let (link, temporary) = (folder.0.join("link"), folder.0.join("temporary"));
        let swap = |target: &Path| {
            std::os::unix::fs::symlink(target, &temporary).unwrap();
            fs::rename(&temporary, &link).unwrap();
        };
        swap(&old);
        let mut files = published(std::slice::from_ref(&link), 100);
        swap(&new_target);
        assert_eq!(files.poll().unwrap(), Change::Pending);
        assert_eq!(files.poll().unwrap(), new(&["new"]));
    }
}
