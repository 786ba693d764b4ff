//! `gateway explain`.

use std::{fs, process::ExitCode, sync::Arc};

use http::{HeaderName, HeaderValue, Request, header};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tower_mtls::{Clock, Presented, SystemClock, Timestamp, apim::RequestFacts, pem};

use super::Explain;
use crate::{
    config::{self, IdentityBy, Route, RouteIdentity},
    load::{self, Built},
    path,
    serve::{Guard, Refused, RouteFacts as Facts, RoutingSnapshot},
};

/// The end of an explanation of a request that would be refused and passes all the same.
const SHADOW: &str = "\npasses all the same: mode = \"shadow\" only logs the refusal";

/// Exit 0: it would pass; 2: it would not; 1: the question makes no sense.
pub(super) fn explain(asked: &Explain) -> ExitCode {
    match answer(asked) {
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

fn answer(asked: &Explain) -> Result<(String, bool), String> {
    let load::Outcome { loaded, findings, .. } =
        load::load(&load::Source::read(&asked.config), &mut load::Cache::default());
    let Some(loaded) = loaded else {
        let errors = findings.iter().filter(|finding| finding.is_error());
        return Err(errors.map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    };
    let path =
        path::normalise(&asked.route).map_err(|error| format!("--route {:?}: {error}", asked.route))?;
    // What the store holds is not known here.
    let site = RoutingSnapshot::new(Arc::new(loaded.site), Built::default());
    let route = site.find(asked.host.as_deref(), &path).map_err(|refused| match refused {
        Refused::NoRoute => format!("--route {:?}: no such route", asked.route),
        _ => format!("--route {:?}: a request for it is answered with 400", asked.route),
    })?;
    let presented = presented(asked)?;
    let now = asked.at.unwrap_or_else(|| SystemClock.now());
    match &route.guard {
        Guard::Nothing => Ok(("this route needs no certificate\nadmitted".into(), true)),
        Guard::Rules(policy) => {
            let explanation = policy.explain(&presented, now);
            let is_refused = explanation.verdict().is_err();
            let mut text = explanation.to_string();
            if is_refused && route.is_shadow {
                text.push_str(SHADOW);
            }
            if let Some(by) = identity_by(asked, &route.facts) {
                text.push('\n');
                // A request that passes without being admitted chooses nothing.
                let is_shadowed = is_refused && route.is_shadow;
                let choosing = if is_shadowed { &Presented::Nothing } else { &presented };
                text.push_str(&load::explain_choice(&by, choosing));
            }
            Ok((text, !is_refused || route.is_shadow))
        }
        Guard::Document(document) => {
            let request = request(asked, &path.path)?;
            let facts = RequestFacts::new(&request, &presented).with_remote(asked.remote);
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

/// The request that a document is shown: GET, with `Host` and what was asked for.
fn request(asked: &Explain, path: &str) -> Result<Request<()>, String> {
    let host = asked.host.as_deref().unwrap_or("localhost");
    let mut request = Request::get(path)
        .header(header::HOST, host)
        .body(())
        .map_err(|error| format!("--route {:?}: {error}", asked.route))?;
    for (name, value) in &asked.headers {
        request.headers_mut().append(name, value.clone());
    }
    Ok(request)
}

/// How this route's requests get their identities, if that differs from one to the other.
fn identity_by(asked: &Explain, facts: &Facts) -> Option<IdentityBy> {
    facts.identity_selector.as_ref()?;
    let routes = config::read(&asked.config).0?.routes;
    let host = |route: &Route| route.host.as_ref().map(|host| host.value.clone());
    let route =
        routes.into_iter().find(|route| route.path.value == facts.path && host(route) == facts.host)?;
    match route.value.identity {
        Some(RouteIdentity::By(by)) => Some(by.value),
        _ => None,
    }
}

/// What a caller would present who has this file, if any: the first certificate is its own, the rest is the chain.
fn presented(asked: &Explain) -> Result<Presented, String> {
    let Some(certificate) = &asked.certificate else { return Ok(Presented::Nothing) };
    let file = certificate.display();
    let text = fs::read(certificate).map_err(|error| format!("--certificate {file}: {error}"))?;
    let chain = pem::certificates(&text)
        .map_err(|error| format!("--certificate {file}: {error}; name a PEM file of certificates"))?;
    Ok(Presented::from_der_chain(chain.iter().map(AsRef::as_ref)))
}

/// A header as HTTP/1.1 writes it.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    const FORM: &str = "write it like \"X-Region: west\"";
    let (name, value) = text.split_once(':').ok_or(FORM)?;
    let name: HeaderName = name.trim().parse().map_err(|error| format!("{error}; {FORM}"))?;
    if name == header::HOST {
        return Err("write --host".into());
    }
    let value = value.trim().parse().map_err(|error| format!("{error}; {FORM}"))?;
    Ok((name, value))
}

/// A moment from RFC 3339 text.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(moment) => Ok(Timestamp::from_unix(moment.unix_timestamp())),
        Err(error) => Err(format!("{error}; write it like 2026-12-31T23:59:59Z")),
    }
}
