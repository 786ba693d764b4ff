//! Policy documents of routes.

use tower_mtls::apim::{Document, DocumentErrors, Finding, FindingKind, Position};

use super::{
    cache::{Digest, Memo},
    files::Findings,
    route_context::RouteContext,
    rules,
};
use crate::config::{
    CertificateRules, Claim, Config, FilePath, IdentitySource, Located, RouteConfig, RouteIdentity, Scheme,
    quoted,
};

/// Reads and compiles the document of a route; None if a part of it could not be enforced.
pub(super) fn document(
    context: &RouteContext<'_>,
    route: &RouteConfig,
    rules: &Located<CertificateRules>,
    file: &Located<FilePath>,
    memo: &mut Memo<Document>,
    findings: &mut Findings,
) -> Option<Document> {
    let contents = findings.read(file);
    // Proof is checked below, so that all errors are reported at once.
    let mut builder =
        Document::builder().deployment(context.deployment.certificates.clone()).allow_unanchored();
    // An unknown certificate is an error only if all identities are valid, and no store can receive it later.
    let is_final = context.deployment.is_complete && context.config.store.is_none();
    if is_final {
        builder = builder.only_known_certificates();
    }
    let (mut trust, mut is_trust_broken) = (None, false);
    if let Some(name) = &rules.all_of.trust {
        // An invalid set has been reported: the document is read without it, and its trust errors are left out.
        match context.roots.get(name.as_str()).and_then(Option::as_ref) {
            Some(roots) => {
                builder = builder.trust(roots.anchors.clone());
                trust = Some(roots);
            }
            None => is_trust_broken = true,
        }
    }
    let contents = contents?;
    let Ok(text) = std::str::from_utf8(&contents) else {
        findings.error(file, format!("{} is not UTF-8", quoted(&file.written)), "save the document as UTF-8");
        return None;
    };
    let digest = Digest::of(
        "document",
        [
            contents.as_slice(),
            context.deployment.digest.as_bytes(),
            trust.map_or(&[], |roots| roots.digest.as_bytes()),
            &[u8::from(is_final)],
        ],
    );
    match memo.get_or_build(digest, || builder.load(text)) {
        Ok(document) => {
            warn(document.warnings(), context.config, rules, file, findings);
            rules::warn_of_shadow(rules, findings);
            if !document.summary().uses_certificate {
                let remedy = "add <validate-client-certificate> if callers need one";
                findings.note(file, "admits any caller: the document requires no certificate", remedy);
            }
            note_anonymous(&document, route, file, findings);
            note_empty_base(&document, file, findings);
            let is_sound = check_proof(&document, rules, file, findings);
            let is_sound = check_trust(&document, rules, file, findings) && is_sound;
            let is_sound = check_identity_selection(&document, route, file, findings) && is_sound;
            let is_sound = check_backends(&document, route, file, findings) && is_sound;
            (is_sound && !is_trust_broken).then_some(document)
        }
        Err(errors) => {
            let is_new = |kind| !(is_trust_broken && needs_trust(kind));
            report_errors(&errors, is_new, context.config, rules.all_of.trust.as_ref(), file, findings);
            warn(errors.warnings(), context.config, rules, file, findings);
            None
        }
    }
}

fn needs_trust(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::Trust | FindingKind::Revocation)
}

/// Reports errors, with a remedy in the configuration file where there is one.
fn report_errors(
    errors: &DocumentErrors,
    is_new: impl Fn(FindingKind) -> bool,
    config: &Config,
    trust: Option<&Located<String>>,
    file: &Located<FilePath>,
    findings: &mut Findings,
) {
    for error in errors.iter().filter(|error| is_new(error.kind())) {
        let position = position(file, error.line(), error.column());
        let (problem, remedy) = match remedy(error.kind(), config, trust) {
            Some(remedy) => (error.problem(), remedy),
            None => (error.message(), String::new()),
        };
        findings.error(file, format!("{position}: {problem}"), remedy);
    }
    if errors.left_out() > 0 {
        let named = quoted(&file.written);
        findings.error(file, format!("{named}: {} further errors", errors.left_out()), "correct these first");
    }
}

/// Remedy in the configuration file, if there is one.
fn remedy(kind: FindingKind, config: &Config, trust: Option<&Located<String>>) -> Option<String> {
    let known = |names: Vec<&str>| match names.as_slice() {
        names @ [_, ..] if names.len() <= MAX_LISTED => names.join(", "),
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
            "write revocation = \"soft\" with crl = [\"FILE\"] or crl_url = [\"https://...\"], or revocation = \"off\", \
             in [trust.{}], or call VerifyNoRevocation() or write validate-revocation=\"false\" in the document",
            name.value
        ),
        (FindingKind::Revocation, None) => {
            "write trust = \"NAME\" beside policy, with a set of [trust] that states revocation".into()
        }
        (FindingKind::Certificate, _) => {
            let names = known(config.identities.keys().map(String::as_str).collect());
            format!("write the name of one of [identities] ({names}), or add it there")
        }
        (FindingKind::Timeout, _) => "remove it, and write first_byte_timeout in [routes.limits]".into(),
        (FindingKind::Element("limit-concurrency"), _) => {
            "write max_requests in [routes.limits], and replace the element by its contents".into()
        }
        (FindingKind::Element("rewrite-uri"), _) => {
            "write the path into the route's upstream, or into base-url of <set-backend-service>".into()
        }
        (FindingKind::Element("emit-metric" | "log-to-eventhub"), _) => {
            "remove it: /metrics of the management listener and the log report what documents decide".into()
        }
        _ => return None,
    })
}

/// Names in a remedy, at most.
const MAX_LISTED: usize = 5;

fn warn(
    warnings: &[Finding],
    config: &Config,
    rules: &CertificateRules,
    file: &Located<FilePath>,
    findings: &mut Findings,
) {
    for warning in warnings {
        // Reported as an error below.
        if warning.kind() == FindingKind::Unanchored && !rules.allow_unanchored {
            continue;
        }
        // The contents of the store are unknown here.
        if warning.kind() == FindingKind::Callers && config.store.is_some() {
            continue;
        }
        let position = position(file, warning.line(), warning.column());
        let (problem, remedy) = match warning.kind() {
            FindingKind::Callers => (warning.problem(), "add [store] and upload callers' certificates"),
            _ => (warning.message(), ""),
        };
        findings.warning(file, format!("{position}: {problem}"), remedy);
    }
}

/// Checks that the document admits proven certificates only, unless others are allowed.
fn check_proof(
    document: &Document,
    rules: &CertificateRules,
    file: &Located<FilePath>,
    findings: &mut Findings,
) -> bool {
    if document.summary().is_anchored || rules.allow_unanchored {
        return true;
    }
    let warning = document.warnings().iter().find(|warning| warning.kind() == FindingKind::Unanchored);
    let problem = match warning {
        Some(warning) => {
            format!("{}: {}", position(file, warning.line(), warning.column()), warning.problem())
        }
        None => {
            format!("{} proves no certificate, so a self-made certificate can pass", quoted(&file.written))
        }
    };
    let remedy = "demand a chain there (|| !context.Request.Certificate.VerifyNoRevocation(), and trust beside policy) \
                  or a thumbprint, or write allow_unanchored = true beside policy";
    findings.error(file, problem, remedy);
    false
}

/// Checks that the document uses the set of CAs beside it: otherwise the file promises a chain that is not required.
fn check_trust(
    document: &Document,
    rules: &CertificateRules,
    file: &Located<FilePath>,
    findings: &mut Findings,
) -> bool {
    let Some(trust) = rules.all_of.trust.as_ref().filter(|_| !document.summary().uses_trust) else {
        return true;
    };
    let problem = format!("has no effect: {} never requires a chain", quoted(&file.written));
    let remedy =
        "remove trust, or call VerifyNoRevocation() in the document, or write validate-trust=\"true\" there";
    findings.error(trust, problem, remedy);
    false
}

/// Notes a `<base />` without a document above.
fn note_empty_base(document: &Document, file: &Located<FilePath>, findings: &mut Findings) {
    if let Some(Position { line, column, .. }) = document.summary().unresolved_base {
        let problem = format!("{}: <base /> has no effect here", position(file, line, column));
        findings.note(file, problem, "copy the policies of the product and of all APIs");
    }
}

fn position(file: &FilePath, line: usize, column: usize) -> String {
    format!("{}, line {line}, column {column}", quoted(&file.written))
}

/// Notes that no identity is presented, as for a route without a document.
fn note_anonymous(
    document: &Document,
    route: &RouteConfig,
    file: &Located<FilePath>,
    findings: &mut Findings,
) {
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

/// Checks that the document proves the names that select the identity. A thumbprint needs no proof.
fn check_identity_selection(
    document: &Document,
    route: &RouteConfig,
    file: &Located<FilePath>,
    findings: &mut Findings,
) -> bool {
    let Some(RouteIdentity::PerRequest(by)) = &route.identity else { return true };
    let is_name = matches!(&by.by, IdentitySource::Claim(claim) if claim.value != Claim::Thumbprint);
    if !is_name || document.summary().proves_certificate {
        return true;
    }
    let problem = format!(
        "{} proves no certificate, so callers could choose any identity of [routes.identity_by]",
        quoted(&file.written)
    );
    let remedy = "demand a chain (VerifyNoRevocation(), validate-trust) or a thumbprint, or write claim = \"thumbprint\"";
    findings.error(file, problem, remedy);
    false
}

/// Checks that no identity would be presented over http. If only some requests would do so, it is a warning, and those
/// get 502.
fn check_backends(
    document: &Document,
    route: &RouteConfig,
    file: &Located<FilePath>,
    findings: &mut Findings,
) -> bool {
    let mut is_sound = true;
    let named = quoted(&file.written);
    if route.upstream.scheme == Scheme::Http && document.summary().has_authentication_certificate {
        let problem = format!("{named} chooses an identity, which cannot be presented to an http upstream");
        let remedy = "write an https upstream, or remove <authentication-certificate>";
        if document.summary().chooses_backend {
            findings.warning(file, format!("{problem}: such requests get 502"), remedy);
        } else {
            findings.error(file, problem, remedy);
            is_sound = false;
        }
    }
    let plain = document.summary().base_urls.iter().filter(|(uri, _)| uri.scheme_str() == Some("http"));
    for (_, at) in plain {
        let position = position(file, at.line, at.column);
        let remedy = "write an https base-url";
        if route.identity.is_some() {
            let problem = format!("{position}: the route's identity cannot be presented over http");
            findings.error(file, problem, remedy);
            is_sound = false;
        } else if document.summary().has_authentication_certificate {
            let problem = format!(
                "{position}: an identity cannot be presented over http: a request with both gets 502"
            );
            findings.warning(file, problem, remedy);
        }
    }
    is_sound
}
