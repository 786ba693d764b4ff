//! `gateway explain`.

use std::{fs, process::ExitCode};

use http::{HeaderName, HeaderValue, Request, header};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tower_mtls::{
    Policy,
    apim::RequestFacts,
    certificate::{Clock, Presented, SystemClock, Timestamp},
    keys::pem,
    proxy::NormalizedPath,
};

use super::ExplainArgs;
use crate::{
    build,
    config::{self, IdentityBy, RouteConfig, RouteIdentity},
    routing::{ApiRoutes, HandshakeRule, RouteFacts, RoutePolicy, RoutingError, RoutingSnapshot},
};

/// Suffix for a rejected request that passes in shadow mode.
const SHADOW: &str = "\npasses: mode = \"shadow\" only logs the rejection";

/// Runs the command. Exit codes: 0 the request would pass, 2 it would be rejected, 1 error.
pub(super) fn explain(args: &ExplainArgs) -> ExitCode {
    match explanation(args) {
        Ok((text, passes)) => {
            println!("{text}");
            ExitCode::from(if passes { 0 } else { 2 })
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn explanation(args: &ExplainArgs) -> Result<(String, bool), String> {
    let build::LoadOutcome { loaded, findings, .. } =
        build::load(&build::Source::read(&args.config), &mut build::Cache::default());
    let Some(loaded) = loaded else {
        let errors = findings.iter().filter(|finding| finding.is_error());
        return Err(errors.map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    };
    let path =
        NormalizedPath::parse(&args.route).map_err(|error| format!("--route {:?}: {error}", args.route))?;
    // The content of the store is not known here.
    let routing = RoutingSnapshot::new(loaded.file_routes, ApiRoutes::default());
    let route = routing.find(args.host.as_deref(), &path).map_err(|error| match error {
        RoutingError::NoRoute => {
            let hosts = if args.host.is_some() {
                "for this host"
            } else {
                "without a host; if its route has one, add --host NAME"
            };
            format!("--route {:?}: no such route {hosts}", args.route)
        }
        _ => format!("--route {:?}: invalid request, which gets 400", args.route),
    })?;
    let presented = presented(args)?;
    if let Presented::Certificate(certificate) = &presented
        && let Some(key) = loaded.listener.tls.unverifiable_key(certificate)
    {
        let text = format!(
            "refused: no TLS handshake can verify the key of this certificate: {key} is not supported; a client with \
             such a key sends no certificate, or its handshake fails"
        );
        return Ok((text, false));
    }
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    if let Some(text) = failed_handshake(&routing.file.handshake_rule, &presented, now) {
        return Ok((text, false));
    }
    match &route.policy {
        RoutePolicy::None => Ok(("this route requires no certificate\nadmitted".into(), true)),
        RoutePolicy::Rules(policy) => {
            let explanation = policy.explain(&presented, now);
            let is_rejected = explanation.verdict().is_err();
            let mut text = explanation.to_string();
            if is_rejected && route.is_shadow {
                text.push_str(SHADOW);
            }
            if let Some(by) = identity_by(args, &route.facts) {
                text.push('\n');
                // A request that passes in shadow mode selects no identity.
                let is_shadowed = is_rejected && route.is_shadow;
                let selecting = if is_shadowed { &Presented::Nothing } else { &presented };
                text.push_str(&build::explain_choice(&by, selecting));
            }
            Ok((text, !is_rejected || route.is_shadow))
        }
        RoutePolicy::Document(document) => {
            let request = request(args, path.as_str())?;
            let facts = RequestFacts::new(&request, &presented).with_remote(args.remote);
            let explanation = document.explain(&facts, now);
            let mut text = explanation.to_string();
            if explanation.decision().forward().is_some() {
                return Ok((text, true));
            }
            let passes = route.is_shadow && document.evaluate_shadow(&facts, now).forward().is_some();
            if passes {
                text.push_str(SHADOW);
            }
            Ok((text, passes))
        }
    }
}

/// Explains why the listener's handshake fails, if it does.
fn failed_handshake(rule: &HandshakeRule, presented: &Presented, now: Timestamp) -> Option<String> {
    rule.judge_at(Some(presented), now).err()?;
    let HandshakeRule::Trust(roots) = rule else {
        return Some("refused: the listener requires a certificate in the handshake".to_owned());
    };
    let policy = Policy::builder().trust(roots.clone()).build().ok()?;
    Some(format!("listener.client_trust:\n{}\nthe handshake fails", policy.explain(presented, now)))
}

/// Builds the request for a policy document: GET, with `Host` and the given headers.
fn request(args: &ExplainArgs, path: &str) -> Result<Request<()>, String> {
    let host = args.host.as_deref().unwrap_or("localhost");
    let mut request = Request::get(path)
        .header(header::HOST, host)
        .body(())
        .map_err(|error| format!("--route {:?}: {error}", args.route))?;
    for (name, value) in &args.headers {
        request.headers_mut().append(name, value.clone());
    }
    Ok(request)
}

/// Returns the identity selection of this route, if the identity depends on the request.
fn identity_by(args: &ExplainArgs, facts: &RouteFacts) -> Option<IdentityBy> {
    facts.identity_selector.as_ref()?;
    let routes = config::read(&args.config).0?.routes;
    let host = |route: &RouteConfig| route.host.as_ref().map(|host| host.value.clone());
    let route =
        routes.into_iter().find(|route| route.path.value == facts.path && host(route) == facts.host)?;
    match route.value.identity {
        Some(RouteIdentity::PerRequest(by)) => Some(by.value),
        _ => None,
    }
}

/// Reads the certificate file: the first certificate is the caller's, the others are its chain.
fn presented(args: &ExplainArgs) -> Result<Presented, String> {
    let Some(certificate) = &args.certificate else { return Ok(Presented::Nothing) };
    let file = certificate.display();
    let text = fs::read(certificate).map_err(|error| format!("--certificate {file}: {error}"))?;
    let chain = pem::certificates(&text)
        .map_err(|error| format!("--certificate {file}: {error}; name a PEM file of certificates"))?;
    Ok(Presented::from_der_chain(chain.iter().map(AsRef::as_ref)))
}

/// Parses a header in the form of HTTP/1.1.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    const FORM: &str = "write it like \"X-Region: west\"";
    let (name, value) = text.split_once(':').ok_or(FORM)?;
    let name: HeaderName = name.trim().parse().map_err(|error| format!("{error}; {FORM}"))?;
    if name == header::HOST {
        return Err("use --host for the host".into());
    }
    let value = value.trim().parse().map_err(|error| format!("{error}; {FORM}"))?;
    Ok((name, value))
}

/// Parses a time in the form of RFC 3339.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, String> {
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(moment) => Ok(Timestamp::from_unix(moment.unix_timestamp())),
        Err(error) => Err(format!("{error}; write it like 2026-12-31T23:59:59Z")),
    }
}
