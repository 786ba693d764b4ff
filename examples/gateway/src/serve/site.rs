//! What a request meets: path rules, the route table, the route's layers.

use std::{
    borrow::Cow,
    error::Error,
    net::{Ipv6Addr, SocketAddr},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, Version, header, uri::PathAndQuery};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tower::ServiceExt;
use tower_mtls::{
    ClientError, MtlsClient, Policy, RequireCertificate, ReverseProxy, inbound::ResponseBody,
    outbound::BackEndBody, outbound::IdentityService, proxy::ProxyBody,
};

use super::answer::{self, Refused};
use crate::{
    path::{self, Normalised},
    routes::RouteTable,
};

/// The most octets of a request's head, target and fields together.
///
/// A head that a back end finds far too large costs more than its own request: HTTP/2 servers end the whole
/// connection, and with it everybody else's requests.
pub(super) const LARGEST_HEAD: usize = 32 * 1024;

/// The most octets of a request's path and query.
const LONGEST_TARGET: usize = 16 * 1024;

/// The routes of one configuration.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) table: RouteTable,
    pub(crate) routes: Vec<Route>,
}

#[derive(Debug)]
pub(crate) struct Route {
    /// As configured, for the log.
    pub(crate) path: String,
    pub(crate) upstream: String,
    pub(crate) allow_empty_segments: bool,
    /// What the service enforces or watches, for explanations.
    pub(crate) policy: Option<Policy>,
    pub(crate) service: RouteService,
}

type ToBackEnd = ReverseProxy<IdentityService<MtlsClient<ProxyBody<Incoming>>>>;

/// A route with its layers.
#[derive(Debug)]
pub(crate) enum RouteService {
    /// Only for callers whom the policy admits.
    Guarded(RequireCertificate<ToBackEnd>),
    /// For everyone.
    Open(ToBackEnd),
}

/// An answer's body: a back end's, a refusal's, or the gateway's own.
pub(super) type AnswerBody = Either<Either<ResponseBody<BackEndBody>, BackEndBody>, Full<Bytes>>;

impl Site {
    /// Answers a request of a caller at `remote`.
    pub(super) async fn answer(
        &self,
        mut request: Request<Incoming>,
        remote: SocketAddr,
    ) -> Response<AnswerBody> {
        let is_head = request.method() == Method::HEAD;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let route = match self.route(&mut request) {
            Ok(route) => route,
            Err(refused) => {
                tracing::debug!(%method, path, %remote, ?refused, "request refused before any route");
                return own(refused.response(), is_head);
            }
        };
        let answered = match &route.service {
            RouteService::Guarded(service) => {
                let answered = service.clone().oneshot(request).await;
                answered.map(|response| response.map(Either::Left).map(Either::Left))
            }
            RouteService::Open(service) => {
                let answered = service.clone().oneshot(request).await;
                answered.map(|response| response.map(Either::Right).map(Either::Left))
            }
        };
        answered.unwrap_or_else(|error| {
            let code = error.kind().as_str();
            let causes = causes(&error);
            let (route, upstream) = (&route.path, &route.upstream);
            tracing::warn!(code, %method, path, route, upstream, %remote, "{error}{causes}");
            own(answer::bad_gateway(&error), is_head)
        })
    }

    /// The route of a request for this host and path.
    pub(crate) fn find(&self, host: Option<&str>, path: &Normalised<'_>) -> Result<&Route, Refused> {
        let found = self.table.find(host, &path.path);
        // Back ends that drop path parameters would see another path than the one that chose the route.
        if has_parameters(&path.path) && self.table.find(host, &without_parameters(&path.path)) != found {
            return Err(Refused::AmbiguousPath);
        }
        let index = found.ok_or(Refused::NoRoute)?;
        let route = self.routes.get(index).ok_or(Refused::NoRoute)?;
        if path.has_empty_segments && !route.allow_empty_segments {
            return Err(Refused::AmbiguousPath);
        }
        Ok(route)
    }

    /// Finds the route; the request's path is the one string that rules, routing and back end all see.
    fn route(&self, request: &mut Request<Incoming>) -> Result<&Route, Refused> {
        if request.method() == Method::CONNECT {
            return Err(Refused::Connect);
        }
        if target_length(request) > LONGEST_TARGET {
            return Err(Refused::TargetTooLong);
        }
        if head_size(request) > LARGEST_HEAD {
            return Err(Refused::HeadTooLarge);
        }
        if !is_plainly_coded(request.headers()) {
            return Err(Refused::TransferCoding);
        }
        let normal = normalise(request.uri().path())?;
        let route = self.find(host(request)?, &normal)?;
        if let Cow::Owned(path) = normal.path {
            *request.uri_mut() = with_path(request.uri(), path).ok_or(Refused::AmbiguousPath)?;
        }
        Ok(route)
    }
}

fn target_length(request: &Request<Incoming>) -> usize {
    request.uri().path_and_query().map_or(0, |target| target.as_str().len())
}

/// As HTTP/2 counts it (RFC 9113, section 6.5.2).
fn head_size(request: &Request<Incoming>) -> usize {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    target_length(request) + fields.sum::<usize>()
}

/// Whether the body is coded by nothing but `chunked`, which is taken off and put on again by the HTTP library.
fn is_plainly_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next();
    first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

fn normalise(path: &str) -> Result<Normalised<'_>, Refused> {
    path::normalise(path).map_err(|reason| {
        tracing::debug!(%reason, "the path can be read in two ways");
        Refused::AmbiguousPath
    })
}

/// Whether a back end could find path parameters in it.
fn has_parameters(path: &str) -> bool {
    path.contains(';') || path.contains("%3B")
}

/// The path with each segment cut at its first `;`.
fn without_parameters(path: &str) -> String {
    let cut = |segment: &str| segment.replace("%3B", ";").split(';').next().unwrap_or_default().to_owned();
    path.split('/').map(cut).collect::<Vec<_>>().join("/")
}

/// The host a request asks for: the URI's, or else the Host field's.
fn host(request: &Request<Incoming>) -> Result<Option<&str>, Refused> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = fields.next();
    let is_one = field.is_some() && fields.next().is_none();
    if request.version() == Version::HTTP_11 && !is_one {
        return Err(Refused::Host);
    }
    let host = match (request.uri().authority(), field) {
        (Some(authority), _) => Some(authority.as_str()),
        (None, Some(field)) => Some(field.to_str().map_err(|_| Refused::Host)?),
        (None, None) => None,
    };
    if host.is_some_and(|host| !is_host(host)) {
        return Err(Refused::Host);
    }
    Ok(host)
}

/// Whether this is a name or an address with an optional port and nothing else: what two parsers could read in
/// two ways must not lead around the routes of a host.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) if address.parse::<Ipv6Addr>().is_ok() => return true,
        Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() && rest.starts_with(':') => {
            ("v6", &rest[1..])
        }
        Some(_) => return false,
        None => host.split_once(':').unwrap_or((host, "")),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    name.split('.').all(is_label) && port.len() <= 5 && port.bytes().all(|octet| octet.is_ascii_digit())
}

fn with_path(uri: &Uri, path: String) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

/// An answer of the gateway's own; one to HEAD has no body.
fn own(response: Response<Full<Bytes>>, is_head: bool) -> Response<AnswerBody> {
    response.map(|body| Either::Right(if is_head { Full::default() } else { body }))
}

/// Why, from the outside in, each cause once, and what can be done about those that puzzle people.
fn causes(error: &ClientError) -> String {
    let mut causes = String::new();
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if text != said {
            causes.push_str(": ");
            causes.push_str(&text);
            said = text;
        }
        cause = next.source();
    }
    if causes.contains("CaUsedAsEndEntity") {
        causes
            .push_str(" (the back end shows a CA certificate as its own; give it one that a CA has signed)");
    }
    causes
}
