//! Files and folders that nobody else may read, from the moment they are there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Makes the folder, if it is not there. One that is there and open to others is an error: it may hold more than ours.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other(
                "it is there and open to others; take their permission away (chmod 700)",
            ));
        }
    }
    Ok(())
}

/// Opens the file to read and write, and makes it if it is not there.
pub(super) fn file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = only_ours(&mut options).open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Writes a file that is not there yet: wholly, or not at all, and never through a link of somebody else's.
pub(super) fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    // Of an attempt that was ended: what is in it never became the file.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let done = write_as(new, path, contents);
    let removed = fs::remove_file(new);
    done?;
    removed?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn write_as(new: &Path, path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = only_ours(&mut options).open(new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    // Unlike a rename this does not replace what somebody else has put there meanwhile.
    fs::hard_link(new, path)
}

fn only_ours(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Scratch;

    #[cfg(unix)]
    #[test]
    fn a_secret_is_written_into_a_file_of_its_own_whatever_lies_beside_it() {
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
        assert!(write_new(&key, b"another").is_err(), "it is there");
        assert_eq!(fs::read(&key).unwrap(), b"secret");
        assert!(!new.exists());
    }
}
