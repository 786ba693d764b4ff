//! What tells a changed file from an unchanged one, without reading it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The state of a file, as far as its metadata tell. Links are followed: where a link on the way is swapped, the
/// file behind it is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fingerprint {
    /// It is there.
    #[cfg(unix)]
    Present { file: FileId, size: u64, modified: (i64, i64), changed: (i64, i64) },
    /// It is there.
    #[cfg(not(unix))]
    Present { size: u64, modified: Option<std::time::SystemTime> },
    /// It is not, or this user may not see it.
    Absent(io::ErrorKind),
}

/// Identity of a file, as opposed to another one in its place. Inode numbers are reused, so the creation time is part of
/// it where the file system keeps one.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    created: Option<std::time::SystemTime>,
    is_regular: bool,
}

/// The state of several files.
pub(crate) type Fingerprints = BTreeMap<PathBuf, Fingerprint>;

impl Fingerprint {
    /// The state of this file now.
    pub(crate) fn of(file: &Path) -> Self {
        match fs::metadata(file) {
            Ok(metadata) => Self::present(&metadata),
            Err(error) => Self::Absent(error.kind()),
        }
    }

    /// Whether both are the same file, which was changed in place. Where files have no inodes, none is.
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

/// The state of these files now.
pub(crate) fn fingerprints<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Fingerprints {
    files.into_iter().map(|file| (file.clone(), Fingerprint::of(file))).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn whatever_happens_to_a_file_changes_its_fingerprint() {
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
