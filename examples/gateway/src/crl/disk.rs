//! The last valid lists of each source on disk. They are parsed and verified again when they are read.

use std::{io, path::PathBuf};

use sha2::{Digest, Sha256};
use tower_mtls::{certificate::Timestamp, policy::RevocationList};

use super::{Lists, Source};
use crate::file::{self, private};

impl Source {
    fn file(&self) -> PathBuf {
        self.cache.join(self.id.file_name())
    }

    /// Reads the last valid lists; None if there are none.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not contain valid lists.
    pub(crate) fn read_cache(&self, now: Timestamp) -> Result<Option<Lists>, String> {
        match file::read(&self.file(), self.max_size) {
            Ok(mut contents) => self.parse(std::mem::take(&mut *contents), None, now).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Parses a download that replaces `old`, and keeps it on disk. None if it is the same.
    ///
    /// # Errors
    ///
    /// The download is not a list, or must not replace `old`.
    pub(super) fn read_download(
        &self,
        contents: Vec<u8>,
        old: Option<&Lists>,
        now: Timestamp,
    ) -> Result<Option<Lists>, String> {
        if old.is_some_and(|old| old.digest == digest(&contents)) {
            return Ok(None);
        }
        // Written first: parsing consumes the contents.
        let written =
            private::folder(&self.cache).and_then(|()| private::Replacement::write(self.file(), &contents));
        let lists = self.parse(contents, old, now)?;
        if let Err(error) = written.and_then(private::Replacement::publish) {
            let (trust, url) = (&self.trust, &self.url);
            tracing::warn!(trust, %url, %error, "crl not kept on disk; check crl_cache");
        }
        Ok(Some(lists))
    }

    fn parse(&self, contents: Vec<u8>, old: Option<&Lists>, now: Timestamp) -> Result<Lists, String> {
        let digest = digest(&contents);
        let lists = RevocationList::read(contents).map_err(|error| error.to_string())?;
        self.issuers.accept(lists, digest, old, now)
    }
}

fn digest(contents: &[u8]) -> [u8; 32] {
    Sha256::digest(contents).into()
}
