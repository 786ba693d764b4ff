//! `[limits]` and `[routes.limits]`: timeouts, sizes and maximum numbers.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::entry::checked;
use super::located::Located;
use super::quantity::{MIN_TIMEOUT, duration, duration_or_off, head_size, size, size_or_off, written_size};
use super::rate_limit::{self, RateLimit};
use super::section::Section;

pub(crate) const KEYS: &[&str] = &[
    "head_timeout",
    "idle_timeout",
    "connect_timeout",
    "handshake_timeout",
    "first_byte_timeout",
    "request_timeout",
    "body_timeout",
    "stream_idle_timeout",
    "tunnel_idle_timeout",
    "drain_timeout",
    "max_connection_age",
    "min_data_rate",
    "max_connections",
    "max_connections_per_address",
    "max_handshakes",
    "max_handshakes_per_address",
    "exempt_networks",
    "max_upstream_connections",
    "max_buffered_bytes",
    "max_body_size",
    "max_head_size",
    "max_header_fields",
    "max_target_size",
    "rate_limit",
];

pub(crate) const ROUTE_KEYS: &[&str] = &[
    "first_byte_timeout",
    "request_timeout",
    "body_timeout",
    "stream_idle_timeout",
    "tunnel_idle_timeout",
    "min_data_rate",
    "max_requests",
    "max_body_size",
    "max_head_size",
    "max_header_fields",
    "max_target_size",
    "rate_limit",
];

/// The largest configurable number.
const MAX_COUNT: usize = 10_000_000;

/// The largest configurable number of header fields.
const MAX_HEADER_FIELDS: usize = 10_000;

/// Limits of all callers and upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) struct Limits {
    /// Time for the head of a request to arrive. Default: 10 s.
    pub(crate) head_timeout: Duration,
    /// Time after which an idle connection is closed. Default: 60 s.
    pub(crate) idle_timeout: Duration,
    /// Time for an upstream to accept a connection. Default: 5 s.
    pub(crate) connect_timeout: Duration,
    /// Time for a TLS handshake. Default: 10 s.
    pub(crate) handshake_timeout: Duration,
    /// Time for requests in flight to finish at shutdown. Default: 30 s. Zero: none.
    pub(crate) drain_timeout: Duration,
    /// Age at which a connection drains. None, the default: unlimited.
    pub(crate) max_connection_age: Option<Duration>,
    /// Concurrent connections; None: derived from the limit of open files.
    pub(crate) max_connections: Option<usize>,
    /// Concurrent connections of one address; None: unlimited.
    pub(crate) max_connections_per_address: Option<usize>,
    /// Concurrent handshakes; None: the listener's default.
    pub(crate) max_handshakes: Option<usize>,
    /// Concurrent handshakes of one address; None: unlimited.
    pub(crate) max_handshakes_per_address: Option<usize>,
    /// Networks whose addresses have no limits of their own.
    pub(crate) exempt_networks: Vec<IpNet>,
    /// Concurrent connections to one upstream; None: unlimited.
    pub(crate) max_upstream_connections: Option<usize>,
    /// Buffered bytes of all connections, in bytes; None: derived from the memory.
    pub(crate) max_buffered_bytes: Option<usize>,
    /// Limits of the routes without their own.
    pub(crate) request: RequestLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            max_connection_age: None,
            max_connections: None,
            max_connections_per_address: None,
            max_handshakes: None,
            max_handshakes_per_address: None,
            exempt_networks: Vec::new(),
            max_upstream_connections: None,
            max_buffered_bytes: None,
            request: RequestLimits::default(),
        }
    }
}

impl Limits {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Self {
        let mut limits = Self::default();
        duration(&mut section, "head_timeout", MIN_TIMEOUT, &mut limits.head_timeout);
        duration(&mut section, "idle_timeout", MIN_TIMEOUT, &mut limits.idle_timeout);
        duration(&mut section, "connect_timeout", MIN_TIMEOUT, &mut limits.connect_timeout);
        duration(&mut section, "handshake_timeout", MIN_TIMEOUT, &mut limits.handshake_timeout);
        duration(&mut section, "drain_timeout", Duration::ZERO, &mut limits.drain_timeout);
        limits.max_connection_age = duration_or_off(&mut section, "max_connection_age").flatten();
        limits.max_connections = section.integer("max_connections", 1, MAX_COUNT);
        limits.max_connections_per_address =
            section.integer_or_off("max_connections_per_address", 1, MAX_COUNT);
        limits.max_handshakes = section.integer("max_handshakes", 1, MAX_COUNT);
        limits.max_handshakes_per_address =
            section.integer_or_off("max_handshakes_per_address", 1, MAX_COUNT);
        limits.exempt_networks = networks(&mut section, "exempt_networks");
        limits.max_upstream_connections = section.integer_or_off("max_upstream_connections", 1, MAX_COUNT);
        limits.max_buffered_bytes = size(&mut section, "max_buffered_bytes", MIN_BUFFERED_BYTES);
        limits.request = RequestLimits::read(&mut section, limits.request);
        section.finish();
        limits
    }
}

/// The smallest configurable number of buffered bytes of all connections.
const MIN_BUFFERED_BYTES: usize = 4 * 1024 * 1024;

/// Limits of a request and its response, of one route or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) struct RequestLimits {
    /// Time from the end of a request's body to the head of its response. Default: 60 s. None: unlimited.
    pub(crate) first_byte_timeout: Option<Duration>,
    /// Time for a whole exchange with both bodies. None, the default: unlimited.
    pub(crate) request_timeout: Option<Duration>,
    /// Time without progress of a request body that is awaited, or of a response body that is available. Default: 60 s.
    /// None: unlimited.
    pub(crate) body_timeout: Option<Duration>,
    /// Time without bytes of a response, or of a request body whose response has begun. Default: 5 min. None: unlimited.
    pub(crate) stream_idle_timeout: Option<Duration>,
    /// Time without bytes of a tunnel. Default: 1 h. None: unlimited.
    pub(crate) tunnel_idle_timeout: Option<Duration>,
    /// Rate in bytes per second at which callers must send and read bodies. Default: 240. 0: unlimited.
    pub(crate) min_data_rate: usize,
    /// Size of a request body, in bytes. None, the default: unlimited.
    pub(crate) max_body_size: Option<usize>,
    /// Size of a request's head, in bytes. Default: 32 KiB.
    pub(crate) max_head_size: usize,
    /// Number of header fields of a request or response. Default: 200.
    pub(crate) max_header_fields: usize,
    /// Size of a request's path and query, in bytes. Default: 16 KiB.
    pub(crate) max_target_size: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            first_byte_timeout: Some(Duration::from_secs(60)),
            request_timeout: None,
            body_timeout: Some(Duration::from_secs(60)),
            stream_idle_timeout: Some(Duration::from_secs(5 * 60)),
            tunnel_idle_timeout: Some(Duration::from_secs(60 * 60)),
            min_data_rate: 240,
            max_body_size: None,
            max_head_size: 32 * 1024,
            max_header_fields: 200,
            max_target_size: 16 * 1024,
        }
    }
}

impl RequestLimits {
    /// Takes the keys of these limits. `general` are those without a key.
    fn read(section: &mut Section<'_, '_>, general: Self) -> Self {
        let timeout =
            |section: &mut Section<'_, '_>, name, general| duration_or_off(section, name).unwrap_or(general);
        let body_timeout = timeout(section, "body_timeout", general.body_timeout);
        // Without a body timeout callers may pause for any time.
        let min_data_rate = if body_timeout.is_none() { 0 } else { general.min_data_rate };
        Self {
            first_byte_timeout: timeout(section, "first_byte_timeout", general.first_byte_timeout),
            request_timeout: timeout(section, "request_timeout", general.request_timeout),
            body_timeout,
            stream_idle_timeout: timeout(section, "stream_idle_timeout", general.stream_idle_timeout),
            tunnel_idle_timeout: timeout(section, "tunnel_idle_timeout", general.tunnel_idle_timeout),
            min_data_rate: if section.take_word("min_data_rate", "off") {
                0
            } else {
                section.integer("min_data_rate", 0, MAX_COUNT).unwrap_or(min_data_rate)
            },
            max_body_size: size_or_off(section, "max_body_size").unwrap_or(general.max_body_size),
            max_head_size: head_size(section, "max_head_size").unwrap_or(general.max_head_size),
            max_header_fields: section
                .integer("max_header_fields", 1, MAX_HEADER_FIELDS)
                .unwrap_or(general.max_header_fields),
            max_target_size: head_size(section, "max_target_size").unwrap_or(general.max_target_size),
        }
    }
}

/// Keys of a route whose requests have passed the general limits before.
const HEAD_KEYS: [&str; 3] = ["max_head_size", "max_target_size", "max_header_fields"];

/// Warns of limits of a route on requests that the general ones reject before. `lines` are those of [`HEAD_KEYS`].
fn warn_of_larger_heads(
    section: &Section<'_, '_>,
    lines: [usize; 3],
    own: &RequestLimits,
    general: &RequestLimits,
) {
    let [size, target, fields] = HEAD_KEYS;
    let (size_line, target_line, fields_line) = lines.into();
    for (name, line, own, general) in [
        (size, size_line, own.max_head_size, general.max_head_size),
        (target, target_line, own.max_target_size, general.max_target_size),
    ] {
        if own > general {
            let problem = format!("has no effect: {name} of [limits] is {}", written_size(general));
            section.report.warning(line, &section.key_of(name), problem, format!("raise {name} of [limits]"));
        }
    }
    let general = general.max_header_fields;
    if own.max_header_fields > general {
        let problem = format!("has no effect on requests: {fields} of [limits] is {general}");
        let remedy = format!("raise {fields} of [limits], unless only responses have more");
        section.report.note(fields_line, &section.key_of(fields), problem, remedy);
    }
}

/// Takes a list of networks.
fn networks(section: &mut Section<'_, '_>, name: &str) -> Vec<IpNet> {
    let report = section.report;
    let remedy = "write networks such as \"10.0.0.0/8\", \"192.0.2.7/32\" or \"2001:db8::/32\"";
    let read = |text: &str| match text.parse::<IpNet>() {
        Ok(network) if network == network.trunc() => Ok(network),
        Ok(_) => Err("has bits beyond its prefix"),
        Err(_) if text.parse::<IpAddr>().is_ok() => Err("has no prefix length"),
        Err(_) => Err("is not a network"),
    };
    let written = section.strings(name).into_iter();
    let networks: Vec<_> = written.filter_map(|text| checked(report, text, remedy, read)).collect();
    for network in networks.iter().filter(|network| network.prefix_len() == 0) {
        let problem = format!("\"{}\" contains every address: none has a limit of its own", network.value);
        report.warning(network.line, &network.key, problem, "name the networks of your load balancers");
    }
    networks.into_iter().map(|network| network.value).collect()
}

/// Limits of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteLimits {
    /// Its own limits, or else the general ones.
    pub(crate) request: RequestLimits,
    /// Concurrent requests in flight; None: unlimited.
    pub(crate) max_requests: Option<usize>,
    /// Its own rate limits; None: the general ones.
    pub(crate) rate_limits: Option<Vec<Located<RateLimit>>>,
}

impl RouteLimits {
    /// Limits of a route without its own.
    pub(crate) fn general(request: RequestLimits) -> Self {
        Self { request, max_requests: None, rate_limits: None }
    }

    pub(crate) fn read(mut section: Section<'_, '_>, general: RequestLimits) -> Self {
        let max_requests = section.integer_or_off("max_requests", 1, MAX_COUNT);
        let rate_limits = rate_limit::read(&mut section);
        let head_lines = HEAD_KEYS.map(|name| section.line_of(name));
        let request = RequestLimits::read(&mut section, general);
        warn_of_larger_heads(&section, head_lines, &request, &general);
        section.finish();
        Self { request, max_requests, rate_limits }
    }
}
