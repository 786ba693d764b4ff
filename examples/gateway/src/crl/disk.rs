//! The last valid lists of each source on disk, and earlier ones that are still in use beside them. They are parsed and
//! verified again when they are read.

use std::{fs, io, path::PathBuf};

use sha2::{Digest, Sha256};
use tower_mtls::{certificate::Timestamp, policy::RevocationList};

use super::{Lists, Source};
use crate::file::{self, private};

/// Lists that replace those of a source.
pub(super) struct Download {
    lists: Lists,
    /// Their contents beside those on disk.
    written: io::Result<private::Replacement>,
}

impl Source {
    fn file(&self) -> PathBuf {
        self.cache.join(self.id.file_name())
    }

    /// The file of the lists that are in use beside the last ones.
    fn kept_file(&self) -> PathBuf {
        self.file().with_extension("kept")
    }

    /// Reads the last valid lists; None if there are none.
    ///
    /// # Errors
    ///
    /// Other users can access the folder, or the file cannot be read, or does not contain valid lists.
    pub(crate) fn read_cache(&self, now: Timestamp) -> Result<Option<Lists>, String> {
        // A folder that does not exist has no files.
        match private::check_folder(&self.cache) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
            _ => {}
        }
        let kept = self.read_file(self.kept_file(), None, now)?;
        let last = self.read_file(self.file(), kept.as_ref(), now)?;
        Ok(last.or(kept))
    }

    fn read_file(&self, path: PathBuf, old: Option<&Lists>, now: Timestamp) -> Result<Option<Lists>, String> {
        match file::read(&path, self.max_size) {
            Ok(mut contents) => self.parse(std::mem::take(&mut *contents), old, now).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Parses a download that replaces `old`, and writes it beside the lists on disk. None if it is the same.
    ///
    /// # Errors
    ///
    /// The download is not a list, or must not replace `old`.
    pub(super) fn read_download(
        &self,
        contents: Vec<u8>,
        old: Option<&Lists>,
        now: Timestamp,
    ) -> Result<Option<Download>, String> {
        if old.is_some_and(|old| old.digest == digest(&contents)) {
            return Ok(None);
        }
        // Written first: parsing consumes the contents.
        let written =
            private::folder(&self.cache).and_then(|()| private::Replacement::write(self.file(), &contents));
        let lists = self.parse(contents, old, now)?;
        Ok(Some(Download { lists, written }))
    }

    /// Keeps a download on disk.
    pub(super) fn keep(&self, download: Download) -> Lists {
        let Download { lists, written } = download;
        let published = written.and_then(|new| {
            self.keep_earlier(&lists)?;
            new.publish()
        });
        if let Err(error) = published {
            let (trust, url) = (&self.trust, &self.url);
            tracing::warn!(trust, %url, %error, "crl not kept on disk; check crl_cache");
        }
        lists
    }

    /// Keeps the file that a download replaces if it contains the first lists that are in use beside those of the download.
    fn keep_earlier(&self, lists: &Lists) -> io::Result<()> {
        let kept = self.kept_file();
        let result = match lists.has_kept() {
            true if kept.exists() => Ok(()),
            true => fs::rename(self.file(), kept),
            false => fs::remove_file(kept),
        };
        match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use rcgen::date_time_ymd;
    use tower_mtls::{IdentityLayer, policy::RevocationList};

    use super::{
        super::{
            SourceId,
            issuers::tests::{ca, der, issuers},
        },
        *,
    };
    use crate::{config::CrlUrl, scratch::Scratch};

    #[test]
    fn lists_in_use_beside_the_last_ones_are_read_again() {
        let now = Timestamp::from_unix(date_time_ymd(2026, 1, 1).unix_timestamp());
        let [root, intermediate, forger] = ["root", "intermediate", "intermediate"].map(ca);
        let scratch = Scratch::new();
        let url = CrlUrl::parse("https://pki.contoso.com/all.crl").unwrap();
        let source = Source {
            id: SourceId::new("partners", &url),
            settings: [0; 32],
            trust: "partners".to_owned(),
            url,
            refresh: Duration::from_secs(3_600),
            timeout: Duration::from_secs(30),
            max_size: 1 << 20,
            layer: IdentityLayer::anonymous(),
            cache: scratch.path().join("crls"),
            issuers: issuers(&[&root]),
        };
        let pem = |lists: [Vec<u8>; 2]| -> Vec<u8> {
            lists.map(|der| pem::encode(&pem::Pem::new("X509 CRL", der))).concat().into_bytes()
        };
        let numbers = |lists: &Lists| -> Vec<u8> {
            lists.lists.iter().filter_map(|list| list.number()?.first().copied()).collect()
        };
        let mut current: Option<Lists> = None;
        assert!(source.read_cache(now).unwrap().is_none());
        for (root_number, signer, number, expected) in
            [(1, &intermediate, 5, &[1, 5][..]), (2, &forger, 8, &[2, 8, 5]), (3, &forger, 9, &[3, 9, 5])]
        {
            let contents = pem([der(&root, root_number, 2030), der(signer, number, 2030)]);
            let download = source.read_download(contents.clone(), current.as_ref(), now).unwrap().unwrap();
            let lists = source.keep(download);
            assert_eq!(numbers(&lists), expected);
            assert_eq!(numbers(&source.read_cache(now).unwrap().unwrap()), expected, "on disk");
            assert!(source.read_download(contents, Some(&lists), now).unwrap().is_none(), "the same");
            current = Some(lists);
        }
        let contents = pem([der(&root, 4, 2030), der(&intermediate, 6, 2030)]);
        let lists = source.read_download(contents.clone(), None, now).unwrap().unwrap();
        assert_eq!(numbers(&source.keep(lists)), [4, 6]);
        assert_eq!(numbers(&source.read_cache(now).unwrap().unwrap()), [4, 6], "nothing else is in use");
        assert!(RevocationList::read(contents).is_ok());

        fs::set_permissions(&source.cache, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(source.read_cache(now).unwrap_err().contains("chmod 700"));
    }
}
