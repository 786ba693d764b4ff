//! Policy documents: from a file to what decides.

use std::convert::Infallible;

use tower_mtls::apim::{
    DeploymentCertificates, Document, DocumentErrors, DocumentWarning, FindingKind, Position, Revocation,
    SharedDeployment,
};

use super::{
    Named,
    cache::{Digest, Memo},
    files::Findings,
    key_pair::Pair,
    rules,
    upstream::Parts,
};
use crate::{
    config::{By, Claim, ClientCertificate, Config, FilePath, Located, Route, RouteIdentity, Scheme, quoted},
    store::{Deployed, Published},
};

/// What documents see as `context.Deployment.Certificates`: the certificates of all identities, by name, and those of the
/// store.
pub(super) struct Deployment {
    pub(super) deployed: Deployed,
    pub(super) certificates: SharedDeployment,
    digest: Digest,
    /// Whether no identity is broken.
    is_whole: bool,
}

impl Deployment {
    pub(super) fn new(
        identities: &Named<Pair>,
        store: &Published,
        kept: &mut Memo<SharedDeployment>,
    ) -> Self {
        let mut file = DeploymentCertificates::new();
        let mut parts: Vec<&[u8]> = Vec::new();
        for (name, pair) in identities {
            let Some(pair) = pair else { continue };
            file.insert(name.as_str(), pair.identity.certificate().clone(), true);
            parts.extend([name.as_bytes(), pair.digest.as_bytes()]);
        }
        let digest = Digest::of("deployment", parts);
        // Documents that are kept go on with theirs.
        let Ok(certificates) = kept.get_or_make(digest, || Ok::<_, Infallible>(SharedDeployment::default()));
        let deployed = Deployed::new(file, certificates.clone());
        deployed.refresh(store);
        Self { deployed, certificates, digest, is_whole: identities.values().all(Option::is_some) }
    }
}

/// Reads and compiles the document of a route; None if anything in it would not be enforced.
pub(super) fn document(
    parts: &Parts<'_>,
    route: &Route,
    rules: &Located<ClientCertificate>,
    file: &Located<FilePath>,
    kept: &mut Memo<Document>,
    findings: &mut Findings,
) -> Option<Document> {
    let contents = findings.read(file);
    // Consent is checked below, so that all errors are reported at once.
    let mut builder =
        Document::builder().deployment(parts.deployment.certificates.clone()).allow_unanchored();
    // A broken identity has been reported where it stands; that it is missing here is no news.
    // Nor is it an error while there is a store: a certificate may come into that later.
    let is_final = parts.deployment.is_whole && parts.config.store.is_none();
    if is_final {
        builder = builder.only_known_certificates();
    }
    let (mut trust, mut is_revocation_off, mut is_trust_broken) = (None, false, false);
    if let Some(name) = &rules.trust {
        // So has a broken set: the document is read all the same, and what it needs of the set is no news.
        match parts.roots.get(name.as_str()).and_then(Option::as_ref) {
            Some(roots) => {
                builder = builder.trust(roots.anchors.clone());
                trust = Some(roots);
            }
            None => is_trust_broken = true,
        }
        is_revocation_off = parts.config.trust.get(name.as_str()).is_some_and(|set| set.is_revocation_off);
    }
    let contents = contents?;
    let Ok(text) = std::str::from_utf8(&contents) else {
        findings.error(file, format!("{} is not UTF-8", quoted(&file.written)), "save the document as UTF-8");
        return None;
    };
    if is_revocation_off {
        builder = builder.revocation(Revocation::Off);
    }
    let digest = Digest::of(
        "document",
        [
            contents.as_slice(),
            parts.deployment.digest.as_bytes(),
            trust.map_or(&[], |roots| roots.digest.as_bytes()),
            &[u8::from(is_revocation_off), u8::from(is_final)],
        ],
    );
    match kept.get_or_make(digest, || builder.load(text)) {
        Ok(document) => {
            warn(document.warnings(), parts.config, rules, file, findings);
            rules::warn_of_shadow(rules, findings);
            if !document.summary().uses_certificate {
                let remedy = "add <validate-client-certificate> if callers need one";
                findings.note(
                    file,
                    "anyone may call this route: the document asks for no certificate",
                    remedy,
                );
            }
            note_anonymous(&document, route, file, findings);
            note_empty_base(&document, file, findings);
            let is_sound = judge_proof(&document, rules, file, findings);
            let is_sound = judge_trust(&document, rules, file, findings) && is_sound;
            let is_sound = judge_choice(&document, route, file, findings) && is_sound;
            let is_sound = judge_backends(&document, route, file, findings) && is_sound;
            (is_sound && !is_trust_broken).then_some(document)
        }
        Err(errors) => {
            let is_news = |kind| !(is_trust_broken && needs_trust(kind));
            tell(&errors, is_news, parts.config, rules.trust.as_ref(), file, findings);
            warn(errors.warnings(), parts.config, rules, file, findings);
            None
        }
    }
}

fn needs_trust(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::Trust | FindingKind::Revocation)
}

/// Tells every error that is news, with what to write in this very file where that would help.
fn tell(
    errors: &DocumentErrors,
    is_news: impl Fn(FindingKind) -> bool,
    config: &Config,
    trust: Option<&Located<String>>,
    file: &Located<FilePath>,
    findings: &mut Findings,
) {
    for error in errors.iter().filter(|error| is_news(error.kind())) {
        let place = place(file, error.line(), error.column());
        let (said, remedy) = match remedy(error.kind(), config, trust) {
            Some(remedy) => (error.problem(), remedy),
            None => (error.message(), String::new()),
        };
        findings.error(file, format!("{place}: {said}"), remedy);
    }
    if errors.left_out() > 0 {
        let named = quoted(&file.written);
        findings.error(
            file,
            format!("{named}: and {} errors more", errors.left_out()),
            "correct these first",
        );
    }
}

/// What helps in this file, where that is more than the document's own author could do.
fn remedy(kind: FindingKind, config: &Config, trust: Option<&Located<String>>) -> Option<String> {
    let known = |names: Vec<&str>| match names.as_slice() {
        names @ [_, ..] if names.len() <= MOST_LISTED => names.join(", "),
        _ => "NAME".into(),
    };
    Some(match (kind, trust) {
        (FindingKind::Trust, _) if config.trust.is_empty() => {
            "add [trust.NAME] with the CAs of your callers as ca = [\"FILE\"], and write trust = \"NAME\" beside policy"
                .into()
        }
        (FindingKind::Trust, _) => {
            let sets: Vec<_> = config.trust.keys().map(String::as_str).collect();
            match sets.as_slice() {
                [only] => format!("write trust = \"{only}\" beside policy"),
                _ => format!("write trust = \"NAME\" beside policy, with a set of [trust]: {}", known(sets)),
            }
        }
        (FindingKind::Revocation, Some(name)) => format!(
            "write revocation = \"off\" in [trust.{}] (lists of revoked certificates are not supported yet), or call \
             VerifyNoRevocation() and write validate-revocation=\"false\"",
            name.value
        ),
        (FindingKind::Revocation, None) => {
            "write trust = \"NAME\" beside policy, with a set of [trust] that says revocation = \"off\"".into()
        }
        (FindingKind::Certificate, _) => {
            let names = known(config.identities.keys().map(String::as_str).collect());
            format!("write the name of one of [identities] ({names}), or add it there")
        }
        (FindingKind::Timeout, _) => "leave it out, and write first_byte_timeout in [routes.limits]".into(),
        (FindingKind::Element("limit-concurrency"), _) => {
            "write max_requests in [routes.limits], and what it holds in its place".into()
        }
        (FindingKind::Element("rewrite-uri"), _) => {
            "write the path into the route's upstream, or into base-url of <set-backend-service>".into()
        }
        (FindingKind::Element("emit-metric" | "log-to-eventhub"), _) => {
            "leave it out: /metrics of the management listener and the log tell what documents decide".into()
        }
        _ => return None,
    })
}

/// More names than this are not listed: nobody finds a misspelt one among them.
const MOST_LISTED: usize = 5;

fn warn(
    warnings: &[DocumentWarning],
    config: &Config,
    rules: &ClientCertificate,
    file: &Located<FilePath>,
    findings: &mut Findings,
) {
    for warning in warnings {
        // An error, see below.
        if warning.kind() == FindingKind::Unanchored && !rules.allow_unanchored {
            continue;
        }
        // Who is in the store is not known here.
        if warning.kind() == FindingKind::Callers && config.store.is_some() {
            continue;
        }
        let place = place(file, warning.line(), warning.column());
        let (said, remedy) = match warning.kind() {
            FindingKind::Callers => (warning.problem(), "add [store] and upload callers' certificates"),
            _ => (warning.message(), ""),
        };
        findings.warning(file, format!("{place}: {said}"), remedy);
    }
}

/// Whether the document admits only certificates that are proven, or may admit others.
fn judge_proof(
    document: &Document,
    rules: &ClientCertificate,
    file: &Located<FilePath>,
    findings: &mut Findings,
) -> bool {
    if document.summary().is_anchored || rules.allow_unanchored {
        return true;
    }
    let warning = document.warnings().iter().find(|warning| warning.kind() == FindingKind::Unanchored);
    let problem = match warning {
        Some(warning) => {
            format!("{}: {}", place(file, warning.line(), warning.column()), warning.problem())
        }
        None => format!("{} proves no certificate, so a self-made one can pass", quoted(&file.written)),
    };
    let remedy = "demand a chain there (|| !context.Request.Certificate.VerifyNoRevocation(), and trust beside policy) \
                  or a thumbprint, or write allow_unanchored = true beside policy";
    findings.error(file, problem, remedy);
    false
}

/// Whether the set of CAs beside the document has an effect: without one, callers are not judged as the file says.
fn judge_trust(
    document: &Document,
    rules: &ClientCertificate,
    file: &Located<FilePath>,
    findings: &mut Findings,
) -> bool {
    let Some(trust) = rules.trust.as_ref().filter(|_| !document.summary().uses_trust) else { return true };
    let problem = format!("has no effect: {} never asks for a chain", quoted(&file.written));
    let remedy =
        "remove trust, or call VerifyNoRevocation() in the document, or write validate-trust=\"true\" there";
    findings.error(trust, problem, remedy);
    false
}

/// Notes a document above that is not there.
fn note_empty_base(document: &Document, file: &Located<FilePath>, findings: &mut Findings) {
    if let Some(Position { line, column, .. }) = document.summary().unresolved_base {
        let problem = format!("{}: <base /> stands for nothing here", place(file, line, column));
        findings.note(file, problem, "copy what the policies of the product and of all APIs demand");
    }
}

fn place(file: &FilePath, line: usize, column: usize) -> String {
    format!("{}, line {line}, column {column}", quoted(&file.written))
}

/// Notes that no identity is shown, as for a route without a document.
fn note_anonymous(document: &Document, route: &Route, file: &Located<FilePath>, findings: &mut Findings) {
    if route.upstream.scheme == Scheme::Https
        && route.identity.is_none()
        && !document.summary().chooses_identity
    {
        let problem = format!(
            "neither the route nor {} chooses an identity: the upstream is called anonymously",
            quoted(&file.written)
        );
        let remedy = "add identity = \"NAME\" to the route if the upstream demands a certificate";
        findings.note(file, problem, remedy);
    }
}

/// Whether the claim that chooses the identity is one that the document proves: whoever makes a certificate writes the
/// names in it. A thumbprint needs no proof.
fn judge_choice(
    document: &Document,
    route: &Route,
    file: &Located<FilePath>,
    findings: &mut Findings,
) -> bool {
    let Some(RouteIdentity::By(by)) = &route.identity else { return true };
    let is_name = matches!(&by.by, By::Claim(claim) if claim.value != Claim::Thumbprint);
    if !is_name || document.summary().proves_certificate {
        return true;
    }
    let problem = format!(
        "{} proves no certificate, so callers would choose the identity of [routes.identity_by] by names they make up",
        quoted(&file.written)
    );
    let remedy = "demand a chain (VerifyNoRevocation(), validate-trust) or a thumbprint, or write claim = \"thumbprint\"";
    findings.error(file, problem, remedy);
    false
}

/// Whether no upstream is sure to be called in a way that the gateway refuses: an identity cannot be shown over
/// http. Where only some requests come to that, it is a warning: they are answered with 502.
fn judge_backends(
    document: &Document,
    route: &Route,
    file: &Located<FilePath>,
    findings: &mut Findings,
) -> bool {
    let mut is_sound = true;
    let named = quoted(&file.written);
    if route.upstream.scheme == Scheme::Http && document.summary().has_authentication_certificate {
        let problem = format!("{named} chooses an identity, which cannot be shown to an http upstream");
        let remedy = "write an https upstream, or remove <authentication-certificate>";
        if document.summary().chooses_backend {
            findings.warning(file, format!("{problem}: such requests are answered with 502"), remedy);
        } else {
            findings.error(file, problem, remedy);
            is_sound = false;
        }
    }
    let plain = document.summary().base_urls.iter().filter(|(uri, ..)| uri.scheme_str() == Some("http"));
    for (_, position) in plain {
        let place = place(file, position.line, position.column);
        let remedy = "write an https base-url";
        if route.identity.is_some() {
            let problem = format!("{place}: the route's identity cannot be shown over http");
            findings.error(file, problem, remedy);
            is_sound = false;
        } else if document.summary().has_authentication_certificate {
            let problem = format!(
                "{place}: an identity cannot be shown over http: a request with both is answered with 502"
            );
            findings.warning(file, problem, remedy);
        }
    }
    is_sound
}
