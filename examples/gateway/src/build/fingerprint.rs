//! Detection of changed files by their metadata.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The state of a file by its metadata. Links are followed, so a swapped link on the path is a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fingerprint {
    /// The file exists.
    #[cfg(unix)]
    Present { file: FileId, size: u64, modified: (i64, i64), changed: (i64, i64) },
    /// The file exists.
    #[cfg(not(unix))]
    Present { size: u64, modified: Option<std::time::SystemTime> },
    /// The file is missing or not accessible.
    Absent(io::ErrorKind),
}

/// Identity of a file, which differs from that of a replacement. It includes the creation time, where available, since
/// inode numbers are reused.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    created: Option<std::time::SystemTime>,
    is_regular: bool,
}

/// States of several files.
pub(crate) type Fingerprints = BTreeMap<PathBuf, Fingerprint>;

impl Fingerprint {
    /// Returns the current state of a file.
    pub(crate) fn of(file: &Path) -> Self {
        match fs::metadata(file) {
            Ok(metadata) => Self::present(&metadata),
            Err(error) => Self::Absent(error.kind()),
        }
    }

    /// Whether both are states of one file that was changed in place. Always false on systems without inodes.
    pub(crate) fn is_edit_of(&self, other: &Self) -> bool {
        match (self, other) {
            #[cfg(unix)]
            (Self::Present { file, .. }, Self::Present { file: other_file, .. }) => {
                file == other_file && self != other
            }
            _ => false,
        }
    }

    #[cfg(unix)]
    fn present(metadata: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self::Present {
            file: FileId {
                device: metadata.dev(),
                inode: metadata.ino(),
                created: metadata.created().ok(),
                is_regular: metadata.is_file(),
            },
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn present(metadata: &fs::Metadata) -> Self {
        Self::Present { size: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// Returns the current states of files.
pub(crate) fn fingerprints<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Fingerprints {
    files.into_iter().map(|file| (file.clone(), Fingerprint::of(file))).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn fingerprint_changes_with_each_change_of_a_file() {
        let folder = std::env::temp_dir().join(format!("gateway-fingerprint-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for name in ["one", "two"] {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("file"), "same").unwrap();
        }
        let link = |to: &str| {
            let _ = fs::remove_file(folder.join("new"));
            symlink(to, folder.join("new")).unwrap();
            fs::rename(folder.join("new"), folder.join("data")).unwrap();
        };
        link("one");
        let watched = folder.join("data/file");
        let mut before = Fingerprint::of(&watched);
        assert_eq!(before, Fingerprint::of(&watched), "nothing happened");
        let steps: [(&str, &dyn Fn(), bool); 6] = [
            ("a link on the way is swapped", &|| link("two"), false),
            (
                "its permissions change",
                &|| fs::set_permissions(&watched, fs::Permissions::from_mode(0o600)).unwrap(),
                true,
            ),
            ("it is written", &|| fs::write(&watched, "other").unwrap(), true),
            (
                "another file is renamed into its place",
                &|| {
                    fs::write(folder.join("next"), "other").unwrap();
                    fs::rename(folder.join("next"), &watched).unwrap();
                },
                false,
            ),
            ("it is removed", &|| fs::remove_file(&watched).unwrap(), false),
            ("it is there again", &|| fs::write(&watched, "other").unwrap(), false),
        ];
        for (case, step, is_edit) in steps {
            step();
            let after = Fingerprint::of(&watched);
            assert_ne!(before, after, "{case}");
            assert_eq!(after.is_edit_of(&before), is_edit, "{case}");
            assert!(!after.is_edit_of(&after), "{case}");
            before = after;
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
