//! What a request meets: path rules, the route table, the route's layers.

use std::{borrow::Cow, error::Error, net::SocketAddr};

use bytes::Bytes;
use http::{Method, Request, Response, Uri, Version, header, uri::PathAndQuery};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tower::ServiceExt;
use tower_mtls::{
    ClientError, MtlsClient, Policy, RequireCertificate, ReverseProxy, inbound::ResponseBody,
    outbound::IdentityService, proxy::ProxyBody,
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

/// The routes of one configuration.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) table: RouteTable,
    pub(crate) routes: Vec<Route>,
}

#[derive(Debug)]
pub(crate) struct Route {
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
pub(super) type AnswerBody = Either<Either<ResponseBody<Incoming>, Incoming>, Full<Bytes>>;

impl Site {
    /// Answers a request of a caller at `remote`.
    pub(super) async fn answer(
        &self,
        mut request: Request<Incoming>,
        remote: SocketAddr,
    ) -> Response<AnswerBody> {
        let is_head = request.method() == Method::HEAD;
        let route = match self.route(&mut request) {
            Ok(route) => route,
            Err(refused) => return own(refused.response(), is_head),
        };
        request.extensions_mut().insert(remote);
        let answered = match &route.service {
            RouteService::Guarded(service) => service
                .clone()
                .oneshot(request)
                .await
                .map(|response| response.map(Either::Left).map(Either::Left)),
            RouteService::Open(service) => service
                .clone()
                .oneshot(request)
                .await
                .map(|response| response.map(Either::Right).map(Either::Left)),
        };
        answered.unwrap_or_else(|error| {
            report(&error);
            own(answer::bad_gateway(&error), is_head)
        })
    }

    /// The route of a request for this host and path.
    pub(crate) fn find(&self, host: Option<&str>, path: &Normalised<'_>) -> Result<&Route, Refused> {
        let index = self.table.find(host, &path.path).ok_or(Refused::NoRoute)?;
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
        if head_size(request) > LARGEST_HEAD {
            return Err(Refused::HeadTooLarge);
        }
        let normal = normalise(request.uri().path())?;
        let route = self.find(host(request)?, &normal)?;
        if let Cow::Owned(path) = normal.path {
            *request.uri_mut() = with_path(request.uri(), path).ok_or(Refused::AmbiguousPath)?;
        }
        Ok(route)
    }
}

/// As HTTP/2 counts it (RFC 9113, section 6.5.2).
fn head_size(request: &Request<Incoming>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    request.headers().iter().fold(target, |size, (name, value)| size + name.as_str().len() + value.len() + 32)
}

fn normalise(path: &str) -> Result<Normalised<'_>, Refused> {
    path::normalise(path).map_err(|reason| {
        tracing::debug!(%reason, "request refused with 400: its path can be read in two ways");
        Refused::AmbiguousPath
    })
}

/// The host a request asks for: the URI's, or else the Host field's.
fn host(request: &Request<Incoming>) -> Result<Option<&str>, Refused> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = fields.next();
    let is_one = field.is_some() && fields.next().is_none();
    if request.version() == Version::HTTP_11 && !is_one {
        return Err(Refused::Host);
    }
    match (request.uri().authority(), field) {
        (Some(authority), _) => Ok(Some(authority.as_str())),
        (None, Some(field)) => field.to_str().map(Some).map_err(|_| Refused::Host),
        (None, None) => Ok(None),
    }
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

fn report(error: &ClientError) {
    let mut causes = String::new();
    let mut cause = error.source();
    while let Some(next) = cause {
        causes.push_str(": ");
        causes.push_str(&next.to_string());
        cause = next.source();
    }
    tracing::warn!(code = error.kind().as_str(), "{error}{causes}");
}
