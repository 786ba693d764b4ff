//! Rate limits with their counts, which continue over reloads.

use std::{convert::Infallible, sync::Arc};

use tower_mtls::apim::Document;

use super::{
    cache::{Digest, Memo},
    files::Findings,
};
use crate::{
    config::{Config, Located, RateLimit, RateLimitKey, RouteConfig},
    routing::{RateLimiter, RateLimits, Rates},
};

/// Rate limits with their counts, under this configuration and earlier ones.
pub(super) type LimiterMemo = Memo<Arc<RateLimiter>>;

/// The rate limits of all routes without their own. All of these routes share the counts of an address or certificate.
pub(super) fn general(config: &Config, memo: &mut LimiterMemo) -> Rates {
    let limiters = limiters(&config.rate_limits, "", "", memo);
    Rates { limiters, exempt_networks: config.limits.exempt_networks.as_slice().into() }
}

/// The rate limits of a route: its own, or else the general ones.
pub(super) fn of_route(route: &RouteConfig, general: &Rates, memo: &mut LimiterMemo) -> RateLimits {
    let host = route.host.as_ref().map_or("", |host| host.as_str());
    let mut rates = general.clone();
    if let Some(own) = &route.limits.rate_limits {
        rates.limiters = limiters(own, host, &route.path, memo);
    }
    RateLimits::new(rates, host, &route.path)
}

/// Rejects limits by certificate of a route whose policy document admits none.
pub(super) fn check(route: &RouteConfig, document: &Document, findings: &mut Findings) {
    if document.summary().uses_certificate {
        return;
    }
    let limits = route.limits.rate_limits.iter().flatten();
    for limit in limits.filter(|limit| limit.by == RateLimitKey::Certificate) {
        let problem = "counts admitted certificates, but the policy document requires none";
        findings.error(limit, problem, "write by = \"address\", or add <validate-client-certificate>");
    }
}

/// Limits of one route, or of all if host and path are empty. An unchanged limit keeps its counts.
fn limiters(
    limits: &[Located<RateLimit>],
    host: &str,
    path: &str,
    memo: &mut LimiterMemo,
) -> Vec<Arc<RateLimiter>> {
    let limiter = |limit: &Located<RateLimit>| {
        let settings = format!("{:?}", limit.value);
        let digest = Digest::of("rate limit", [host, path, &settings].map(str::as_bytes));
        let limiter: Result<_, Infallible> =
            memo.get_or_build(digest, || Ok(Arc::new(RateLimiter::new(limit))));
        limiter.unwrap_or_else(|never| match never {})
    };
    limits.iter().map(limiter).collect()
}
