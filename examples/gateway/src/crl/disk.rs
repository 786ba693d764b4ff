//! The last valid list of each source on disk. It is parsed and verified again when it is read.

use std::{io, path::PathBuf};

use super::{Issuers, Source, lists::Lists};
use crate::file;

impl Source {
    fn file(&self) -> PathBuf {
        self.cache.join(self.id.file_name())
    }

    /// Reads the last valid lists; None if there are none.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not contain valid lists.
    pub(crate) fn read_cache(&self) -> Result<Option<Lists>, String> {
        let contents = match file::read(&self.file(), self.max_size) {
            Ok(contents) => contents,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        parse(&contents, &self.issuers, None).map(Some)
    }

    /// Writes valid lists.
    pub(super) fn write_cache(&self, bytes: &[u8]) -> io::Result<()> {
        file::private::folder(&self.cache)?;
        file::private::replace(&self.file(), bytes)
    }
}

/// Parses lists that replace `old`, and checks them against the CAs of the set.
///
/// # Errors
///
/// The lists are invalid.
pub(super) fn parse(bytes: &[u8], issuers: &Issuers, old: Option<&Lists>) -> Result<Lists, String> {
    let new = Lists::read(bytes)?;
    issuers.check(old.map_or(&[], |old| &old.lists), &new.lists)?;
    Ok(new)
}
