//! Certificate revocation lists (CRLs) of sets of CAs: from files, and the last valid ones of each URL.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use tower_mtls::{
    IdentityLayer, UpstreamTrust,
    certificate::Timestamp,
    identity::IdentityReference,
    policy::{Revocation, RevocationList, RevocationMode},
};

use super::{
    cache::{Cache, Digest, Memo},
    files::{Findings, Problem},
    sections::SectionsByName,
    trust::{self, Roots},
};
use crate::{
    config::{
        Config, CrlUrl, Diagnostic, FilePath, Located, RevocationCheck, RevocationConfig, Severity, quoted,
    },
    crl::{DownloadedLists, Issuers, Lists, Source, SourceId},
};

/// Lists that loads share.
#[derive(Default)]
pub(super) struct CrlCache {
    parsed: Memo<Vec<RevocationList>>,
    /// Those of the configuration that serves.
    published: LoadedCrls,
    /// Those of this load.
    loaded: LoadedCrls,
    downloaded: Arc<DownloadedLists>,
    /// Errors of files in place of which the published lists are used. None: such an error fails the load.
    tolerated: Option<Vec<Diagnostic>>,
}

/// Lists of one load.
#[derive(Default)]
struct LoadedCrls {
    /// By set and file.
    files: HashMap<(String, PathBuf), Lists>,
    /// Digests of the revocation of each set.
    sets: BTreeMap<String, Digest>,
}

impl CrlCache {
    /// Ends a load. The lists of a successful one become those that later ones replace.
    pub(super) fn finish_load(&mut self, succeeded: bool) {
        self.parsed.finish_load(succeeded);
        let loaded = std::mem::take(&mut self.loaded);
        if succeeded {
            self.published = loaded;
        }
    }

    /// Returns true if a set of the configuration that serves checks revocation.
    pub(super) fn is_in_use(&self) -> bool {
        !self.published.sets.is_empty()
    }

    /// Returns true if this load has other lists than the configuration that serves.
    pub(super) fn is_changed(&self) -> bool {
        self.loaded.sets != self.published.sets
    }

    /// Runs a load in which the published lists are used in place of invalid files. Returns the errors of these files too.
    pub(super) fn tolerating<T>(
        cache: &mut Cache,
        load: impl FnOnce(&mut Cache) -> T,
    ) -> (T, Vec<Diagnostic>) {
        cache.crls.tolerated = Some(Vec::new());
        let loaded = load(cache);
        (loaded, cache.crls.tolerated.take().unwrap_or_default())
    }
}

/// Revocation of a set of CAs.
pub(super) struct SetRevocation {
    pub(super) revocation: Revocation,
    /// Of the mode and of all lists.
    pub(super) digest: Digest,
    /// The URLs, with the settings of their downloads.
    pub(super) sources: Vec<Source>,
    /// True if a URL has no list yet.
    pub(super) is_list_missing: bool,
}

/// Downloads of a configuration.
#[derive(Debug)]
pub(crate) struct Crls {
    pub(crate) sources: Vec<Source>,
    pub(crate) downloaded: Arc<DownloadedLists>,
    /// True if a URL has no list yet.
    pub(crate) is_list_missing: bool,
}

/// Returns the revocation of each set by name, and all downloads.
pub(super) fn collect(sets: SectionsByName<Roots>, cache: &CrlCache) -> (BTreeMap<String, Revocation>, Crls) {
    let mut crls = Crls { sources: Vec::new(), downloaded: cache.downloaded.clone(), is_list_missing: false };
    let mut revocations = BTreeMap::new();
    for (name, roots) in sets {
        let Some(set) = roots.and_then(|roots| roots.revocation) else { continue };
        crls.sources.extend(set.sources);
        crls.is_list_missing |= set.is_list_missing;
        revocations.insert(name, set.revocation);
    }
    (revocations, crls)
}

/// The set whose lists are loaded.
pub(super) struct SetContext<'a> {
    pub(super) name: &'a str,
    pub(super) settings: &'a RevocationConfig,
    pub(super) issuers: &'a Issuers,
    /// Of the CAs.
    pub(super) digest: Digest,
    pub(super) config: &'a Config,
    pub(super) now: Timestamp,
}

impl SetContext<'_> {
    /// Loads the lists. Ok(None): revocation is not checked. Err: a list or setting is invalid, which has been reported.
    pub(super) fn load(
        &self,
        cache: &mut Cache,
        findings: &mut Findings,
    ) -> Result<Option<SetRevocation>, ()> {
        let check = match &self.settings.check {
            Some(check) if check.value != RevocationCheck::Off => check,
            _ => return Ok(None),
        };
        let mode = match check.value {
            RevocationCheck::Strict => RevocationMode::Strict,
            _ => RevocationMode::Soft,
        };
        let files: Vec<_> =
            self.settings.files.iter().map(|file| self.file(file, &mut cache.crls, findings)).collect();
        let sources = self.sources(cache, findings);
        let files = files.into_iter().collect::<Option<Vec<_>>>().ok_or(())?;
        let sources = sources.ok_or(())?;
        let mut all = files;
        let mut is_list_missing = false;
        for (source, url) in sources.iter().zip(&self.settings.urls) {
            let downloaded = cache.crls.downloaded.get_or_read(source.id, || {
                source.read_cache(self.now).unwrap_or_else(|problem| {
                    let problem = format!("the list of {} in crl_cache is not used: {problem}", url.value);
                    findings.warning(url, problem, "remove it, or wait for the next download");
                    None
                })
            });
            is_list_missing |= downloaded.is_none();
            all.extend(downloaded);
        }
        if mode == RevocationMode::Strict {
            self.warn_of_unknown_status(check, &all, findings);
        }
        self.note_hosts(findings);
        let digests = all.iter().map(|lists| lists.digest.as_slice());
        // Of a set with its name: equal contents can have other lists in use beside them.
        let own = [check.value.as_str().as_bytes(), self.name.as_bytes()];
        let digest = Digest::of("revocation", digests.chain(own));
        cache.crls.loaded.sets.insert(self.name.to_owned(), digest);
        let revocation = Revocation::new(mode, all.into_iter().flat_map(|lists| lists.lists));
        Ok(Some(SetRevocation { revocation, digest, sources, is_list_missing }))
    }

    /// Returns the lists of a file.
    fn file(&self, file: &Located<FilePath>, crls: &mut CrlCache, findings: &mut Findings) -> Option<Lists> {
        let key = (self.name.to_owned(), file.resolved.clone());
        let published = crls.published.files.get(&key).cloned();
        let read = self.read(file, published.as_ref(), &mut crls.parsed, findings);
        let lists = match (read, &mut crls.tolerated) {
            (Ok(lists), _) => lists,
            (Err((problem, remedy)), Some(tolerated)) => {
                tolerated.push(file.diagnostic(&self.config.file, Severity::Error, problem, remedy));
                published?
            }
            (Err((problem, remedy)), None) => {
                findings.error(file, problem, remedy);
                return None;
            }
        };
        crls.loaded.files.insert(key, lists.clone());
        Some(lists)
    }

    /// Reads the lists of a file, and checks them against those that they replace.
    fn read(
        &self,
        file: &Located<FilePath>,
        published: Option<&Lists>,
        parsed: &mut Memo<Vec<RevocationList>>,
        findings: &mut Findings,
    ) -> Result<Lists, Problem> {
        let mut contents = findings.read_crl(file)?;
        let name = quoted(&file.written);
        let digest = Digest::of("crl", [contents.as_slice()]);
        let lists = parsed.get_or_build(digest, || RevocationList::read(std::mem::take(&mut *contents)));
        drop(contents);
        let lists = lists.map_err(|error| {
            let remedy =
                "write a complete CRL in PEM or DER; until then a serving gateway uses the last valid one";
            (format!("{name}: {error}"), remedy)
        })?;
        self.issuers.accept(lists, digest.to_bytes(), published, self.now).map_err(|problem| {
            let remedy = "write the current CRL of each CA; until then a serving gateway uses the last valid one. To \
                          go back on purpose, give the file another name and change crl";
            (format!("{name}: {problem}"), remedy)
        })
    }

    /// The sources of all URLs.
    fn sources(&self, cache: &mut Cache, findings: &mut Findings) -> Option<Vec<Source>> {
        if self.settings.urls.is_empty() {
            return Some(Vec::new());
        }
        let files = trust::upstreams(&self.config.upstream_ca, findings)?;
        let digest = Digest::of("trust of CRL servers", files.iter().map(Vec::as_slice));
        let built = cache.upstream_trusts.get_or_build(digest, || {
            files.iter().fold(UpstreamTrust::builder(), |builder, pem| builder.add_roots_pem(pem)).build()
        });
        let server_trust = built.map_err(|error| {
            let remedy = "name the CA of the servers of crl_url in [upstream_tls] ca = [\"FILE\"]";
            self.settings.urls.iter().for_each(|url| findings.error(url, error.to_string(), remedy));
        });
        let server_trust = server_trust.ok()?;
        let download = &self.settings.download;
        let layer = match &download.identity {
            Some(name) => IdentityLayer::by_reference(
                cache.shared_identities.clone(),
                IdentityReference::name(name.as_str()),
            ),
            None => IdentityLayer::anonymous(),
        };
        let layer = layer.with_trust(server_trust);
        let settings = format!(
            "{} {:?} {:?} {} {:?} {:?}",
            self.name,
            download.refresh,
            download.timeout,
            download.max_size,
            download.identity.as_ref().map(|name| &name.value),
            download.cache.resolved
        );
        let source = |url: &Located<CrlUrl>| {
            let id = SourceId::new(self.name, url);
            let parts = [settings.as_bytes(), id.as_bytes(), digest.as_bytes(), self.digest.as_bytes()];
            Source {
                id,
                settings: Digest::of("source of CRLs", parts).to_bytes(),
                trust: self.name.to_owned(),
                url: url.value.clone(),
                refresh: download.refresh,
                timeout: download.timeout,
                max_size: download.max_size,
                layer: layer.clone(),
                cache: download.cache.resolved.clone(),
                issuers: self.issuers.clone(),
            }
        };
        Some(self.settings.urls.iter().map(source).collect())
    }

    /// Warns about lists that establish no status, and about CAs without a list, whose certificates are all rejected: their
    /// status is published by OCSP, or by delta or indirect CRLs, or a file is missing.
    fn warn_of_unknown_status(
        &self,
        check: &Located<RevocationCheck>,
        all: &[Lists],
        findings: &mut Findings,
    ) {
        let lists = || all.iter().flat_map(|lists| &lists.lists);
        for list in lists() {
            if let Some(since) = list.next_update().filter(|next| *next < self.now) {
                let issuer = quoted(&list.issuer().to_string());
                let problem =
                    format!("the CRL of {issuer} admits no certificate: it is overdue since {since}");
                findings.warning(check, problem, "get its current CRL, or write \"soft\"");
            }
            if let Some(limitation) = list.limitation() {
                let problem = format!(
                    "the CRL of {} admits no certificate: {limitation}",
                    quoted(&list.issuer().to_string())
                );
                findings.warning(check, problem, "add a complete CRL of this CA, or write \"soft\"");
            }
        }
        // Lists of URLs may come later.
        if !self.settings.urls.is_empty() {
            return;
        }
        for name in &self.issuers.names {
            if !lists().any(|list| list.issuer() == name) {
                let problem = format!(
                    "no CRL of {}: every certificate that it issued is rejected; OCSP is not supported",
                    quoted(&name.to_string())
                );
                findings.warning(check, problem, "add its CRL to crl or crl_url, or write \"soft\"");
            }
        }
    }

    /// Notes the servers that the gateway connects to.
    fn note_hosts(&self, findings: &mut Findings) {
        let hosts: BTreeSet<_> = self.settings.urls.iter().map(|url| url.authority()).collect();
        if let Some(first) = self.settings.urls.first() {
            let hosts = hosts.into_iter().collect::<Vec<_>>().join(", ");
            findings.note(first, format!("CRLs are downloaded from {hosts}"), "");
        }
    }
}
