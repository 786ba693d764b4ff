//! Keys of `[trust.NAME]` about certificate revocation lists (CRLs).

use std::time::Duration;

use super::crl_url::CrlUrl;
use super::defined_names::DefinedNames;
use super::entry::file_path;
use super::located::{FilePath, Located};
use super::quantity::{self, MIN_TIMEOUT};
use super::report::Report;
use super::section::Section;

/// The shortest interval between downloads of a list.
const MIN_REFRESH: Duration = Duration::from_secs(1);

/// The smallest configurable size of a list, in bytes.
const MIN_SIZE: usize = 1_024;

/// Default folder of downloaded lists, beside the configuration file.
const CACHE: &str = "crl-cache";

/// Keys that have an effect only with `crl_url`.
const DOWNLOAD_KEYS: [&str; 5] = ["crl_refresh", "crl_timeout", "crl_max_size", "crl_identity", "crl_cache"];

/// The lists of a set of CAs, and their use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RevocationConfig {
    /// The check; None if it is not stated: revocation is not checked.
    pub(crate) check: Option<Located<RevocationCheck>>,
    pub(crate) files: Vec<Located<FilePath>>,
    pub(crate) urls: Vec<Located<CrlUrl>>,
    pub(crate) download: DownloadConfig,
}

/// Handling of certificates that are listed, and of those whose status is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RevocationCheck {
    /// Revocation is not checked.
    Off,
    /// Listed certificates are rejected.
    Soft,
    /// Certificates without a current CRL are rejected too.
    Strict,
}

impl RevocationCheck {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Soft => "soft",
            Self::Strict => "strict",
        }
    }
}

/// Settings of the downloads from `crl_url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DownloadConfig {
    /// The interval between downloads.
    pub(crate) refresh: Duration,
    /// The time limit of a download.
    pub(crate) timeout: Duration,
    /// The size limit of a list, in bytes.
    pub(crate) max_size: usize,
    /// The identity that is presented to the server; None: anonymous.
    pub(crate) identity: Option<Located<String>>,
    /// The folder that keeps the last valid lists.
    pub(crate) cache: Located<FilePath>,
}

impl RevocationConfig {
    /// Takes the keys; None if one of them is invalid, which has been reported.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let is_stated = section.has_similar("revocation");
        let [has_files, has_urls] = ["crl", "crl_url"].map(|key| section.has_similar(key));
        if !is_stated && (has_files || has_urls) {
            let remedy = "add revocation = \"soft\" (certificates without a current CRL pass) or \"strict\"";
            section.report.missing(section.line, &section.key_of("revocation"), "is missing", remedy);
        }
        let options = [RevocationCheck::Off, RevocationCheck::Soft, RevocationCheck::Strict];
        let check = section.choice("revocation", &options.map(|option| (option.as_str(), option)));
        if let Some(check) = &check {
            check_lists(section.report, check, has_files || has_urls);
        }
        let files = section.files("crl");
        let urls = CrlUrl::read_all(section);
        for key in DOWNLOAD_KEYS.into_iter().filter(|key| !has_urls && section.has(key)) {
            let (line, key) = (section.line_of(key), section.key_of(key));
            section.report.error(line, &key, "has no effect without crl_url", "add crl_url, or remove it");
        }
        let download = DownloadConfig::read(section);
        let is_valid = check.is_some() || !is_stated;
        is_valid.then_some(Self { check, files, urls, download: download? })
    }

    /// Returns true if `revocation = "off"` is stated.
    pub(crate) fn is_off(&self) -> bool {
        self.check.as_ref().is_some_and(|check| check.value == RevocationCheck::Off)
    }

    /// Returns true if downloads present this identity.
    pub(crate) fn uses_identity(&self, name: &str) -> bool {
        self.download.identity.as_ref().is_some_and(|identity| *identity.value == *name)
    }

    /// Reports an identity that is not defined.
    pub(super) fn check_identity(&self, names: &DefinedNames, report: &Report) {
        names.check_identity(self.download.identity.as_ref(), report);
    }
}

/// Reports a check that does not fit the presence of lists.
fn check_lists(report: &Report, check: &Located<RevocationCheck>, has_lists: bool) {
    let (line, key) = (check.line, &check.key);
    let remedy = "add crl = [\"FILE\"] or crl_url = [\"https://...\"], or write \"off\"";
    match (check.value, has_lists) {
        (RevocationCheck::Off, true) => {
            let problem = "the CRLs of crl and crl_url are not used";
            report.warning(line, key, problem, "write \"soft\" or \"strict\"");
        }
        (RevocationCheck::Soft, false) => {
            report.warning(
                line,
                key,
                "has no effect without crl or crl_url: every certificate passes",
                remedy,
            );
        }
        (RevocationCheck::Strict, false) => {
            report.error(line, key, "rejects every certificate without crl or crl_url", remedy);
        }
        _ => {}
    }
}

impl DownloadConfig {
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let mut refresh = Duration::from_secs(60 * 60);
        quantity::duration(section, "crl_refresh", MIN_REFRESH, &mut refresh);
        let mut timeout = Duration::from_secs(10);
        quantity::duration(section, "crl_timeout", MIN_TIMEOUT, &mut timeout);
        let max_size = quantity::size(section, "crl_max_size", MIN_SIZE).unwrap_or(64 << 20);
        let identity = section.string("crl_identity");
        let cache = if section.has("crl_cache") {
            section.file("crl_cache")
        } else {
            let (line, key) = (section.line, section.key_of("crl_cache"));
            file_path(section.report, Located { value: CACHE.to_owned(), line, key })
        };
        Some(Self { refresh, timeout, max_size, identity, cache: cache? })
    }
}
