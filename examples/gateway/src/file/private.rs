//! Files and folders with permissions for the owner only, from their creation on.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Creates the folder if it does not exist. An existing folder that other users can access is an error: it can be a
/// shared one.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    check_folder(path)
}

/// Checks that other users cannot access the folder.
pub(crate) fn check_folder(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(io::Error::other(
            "the folder is open to other users; remove their permission (chmod 700)",
        ));
    }
    Ok(())
}

/// Opens the file for reading and writing, and creates it if it does not exist.
pub(crate) fn file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = owner_only(&mut options).open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Creates a file atomically. Fails if it exists, and does not follow symbolic links.
pub(crate) fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    // Left over from an interrupted attempt.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_as(new, path, contents);
    let removed = fs::remove_file(new);
    written?;
    removed?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// New contents of a file, which replace the current ones atomically. Removed on drop unless they are published. The folder
/// must be accessible to the owner only.
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    new: PathBuf,
}

impl Replacement {
    /// Writes the contents beside the file.
    pub(crate) fn write(path: PathBuf, contents: &[u8]) -> io::Result<Self> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let replacement = Self { path, new: new.into() };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let mut file = owner_only(&mut options).open(&replacement.new)?;
        file.write_all(contents)?;
        file.sync_all()?;
        Ok(replacement)
    }

    /// Replaces the file, or creates it.
    pub(crate) fn publish(self) -> io::Result<()> {
        fs::rename(&self.new, &self.path)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // Fails once it is published.
        let _ = fs::remove_file(&self.new);
    }
}

fn write_as(new: &Path, path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = owner_only(&mut options).open(new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    // Unlike a rename, this does not replace a file that was created meanwhile.
    fs::hard_link(new, path)
}

fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn published_replacement_is_the_only_file() {
        let scratch = Scratch::new();
        folder(scratch.path()).unwrap();
        let file = scratch.path().join("list");
        for contents in [&b"a longer first text"[..], b"second"] {
            Replacement::write(file.clone(), contents).unwrap().publish().unwrap();
            assert_eq!(fs::read(&file).unwrap(), contents);
        }
        drop(Replacement::write(file.clone(), b"third").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"second");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn write_new_does_not_follow_links_or_replace_files() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.path()).unwrap();
        let (key, new, other) = ["key", "key.new", "other"].map(|name| scratch.path().join(name)).into();
        fs::write(&other, "theirs").unwrap();
        symlink(&other, &new).unwrap();
        write_new(&key, b"secret").unwrap();
        assert_eq!(
            (fs::read(&key).unwrap(), fs::read(&other).unwrap()),
            (b"secret".to_vec(), b"theirs".to_vec())
        );
        let found = fs::symlink_metadata(&key).unwrap();
        assert!(found.is_file() && found.permissions().mode() & 0o077 == 0);
        assert!(!new.exists());
        assert!(write_new(&key, b"another").is_err(), "it exists");
        assert_eq!(fs::read(&key).unwrap(), b"secret");
        assert!(!new.exists());
    }
}
