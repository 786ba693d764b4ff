//! The portal: a web page for administrators, at `/` of the management listener.
//!
//! Its static files are part of the binary, load nothing from other origins and contain no secrets; they are served
//! without authentication. The page reads and changes data through the management API, with its access control.

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, header};

use super::{Hosts, browser};

/// Allows scripts, styles, images and connections of this origin only, and no conversion of text, such as a
/// certificate's subject, to markup or script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 9] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// Path, content type and contents of a file.
type File = (&'static str, &'static str, &'static str);

const FILES: [File; 16] = [
    ("/", HTML, include_str!("portal/index.html")),
    ("/portal/portal.css", STYLE, include_str!("portal/portal.css")),
    ("/portal/icon.svg", IMAGE, include_str!("portal/icon.svg")),
    ("/portal/api.js", SCRIPT, include_str!("portal/api.js")),
    ("/portal/apis.js", SCRIPT, include_str!("portal/apis.js")),
    ("/portal/backends.js", SCRIPT, include_str!("portal/backends.js")),
    ("/portal/certificates.js", SCRIPT, include_str!("portal/certificates.js")),
    ("/portal/dialog.js", SCRIPT, include_str!("portal/dialog.js")),
    ("/portal/dom.js", SCRIPT, include_str!("portal/dom.js")),
    ("/portal/effective.js", SCRIPT, include_str!("portal/effective.js")),
    ("/portal/main.js", SCRIPT, include_str!("portal/main.js")),
    ("/portal/policy.js", SCRIPT, include_str!("portal/policy.js")),
    ("/portal/policy-text.js", SCRIPT, include_str!("portal/policy-text.js")),
    ("/portal/security.js", SCRIPT, include_str!("portal/security.js")),
    ("/portal/upload.js", SCRIPT, include_str!("portal/upload.js")),
    ("/portal/used-by.js", SCRIPT, include_str!("portal/used-by.js")),
];

/// Builds the router of the static files.
pub(super) fn router(hosts: &Hosts) -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, contents)| {
        let hosts = hosts.clone();
        let respond = move |request: Request| std::future::ready(serve(&request, &hosts, kind, contents));
        router.route(path, get(respond))
    })
}

fn serve(request: &Request, hosts: &Hosts, kind: &'static str, contents: &'static str) -> Response {
    let mut response = match browser::authority(request, hosts) {
        Ok(_) => ([(header::CONTENT_TYPE, kind)], contents).into_response(),
        Err(problem) => problem.into_response(),
    };
    let headers = HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    response
}
