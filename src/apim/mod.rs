//! Policy documents of Azure API Management (APIM), run as they are.
//!
//! A [`Document`] is read, typed and compiled once, at load. Whatever would not be enforced as it stands is an error
//! with line and column, all of them at once ([`DocumentErrors`]); nothing is ever skipped. [`ApimPolicyLayer`] then
//! does with every request what the document says, and decides as APIM does.
//!
//! A request passes [`ApimPolicy`] when
//! 1. the acceptor captured what the caller presented in the TLS handshake (or that it presented nothing);
//! 2. the certificate can be read, or the document does not ask for it;
//! 3. `<inbound>` runs to its end: no `return-response` is reached, no `validate-client-certificate` fails, and no
//!    expression does.
//!
//! It is passed on with the document's headers. Its certificate is *admitted* if a rule that could have refused the
//! request looked at it: a condition with a `return-response` of 400 or more in its branch, a
//! later one or `otherwise`, or a `validate-client-certificate` that holds. Otherwise it is let through without one, as
//! [`allow_missing`](crate::RequireCertificateLayer::allow_missing) does. What the document chose for the backend,
//! identity, URL and headers, stands in the request's extensions as [`Forwarding`]; a `ForwardingLayer` (feature `proxy`)
//! in front of a `ReverseProxy` puts it into effect.
//!
//! A request that does not pass is answered
//!
//! | when | answer |
//! |---|---|
//! | `return-response` | what it says: status, reason phrase on HTTP/1.1, headers, body; an empty body without `set-body` |
//! | `validate-client-certificate` fails | `401` and `{"statusCode":401,"message":"Invalid client certificate"}` (`Client certificate missing` without one), changed by `<on-error>`, where `context.LastError` tells the reason code |
//! | an expression fails (a member of null, a missing key, too many steps) | `500` and a body like that, changed by `<on-error>` |
//! | the certificate cannot be read, and the document asks for it | `403`, as [`RequireCertificate`](crate::RequireCertificate) does: no expression can tell it from a missing one |
//! | nothing was captured | `500`, and an error in the log |
//!
//! [`shadow`](ApimPolicyLayer::shadow) refuses nobody, to try a document on real traffic: what would refuse is logged, the
//! rest of the document runs, and a request for which it could not choose an identity or a backend, or only by what a
//! certificate says that it would refuse, is not sent to one ([`Document::evaluate_shadow`]).
//!
//! The cause stands in the log, with the reason why the chain that the document asked for does not stand
//! ([`Answer::chain_failure`]), and a [`Rejection`](crate::Rejection) in the response's extensions if the status is 400
//! or more.
//!
//! **A document does what it says.** Names prove nothing without a chain or a thumbprint, in APIM as here. A document
//! that judges certificates and may admit one that its caller made is an error at load, unless
//! [`allow_unanchored`](DocumentBuilder::allow_unanchored) is called: then [`verification`](crate::verification) says
//! that its certificates are unproven. To mention `Verify()` or a thumbprint proves nothing: such a caller is followed
//! through the document ([`DocumentSummary::is_anchored`], [`DocumentSummary::proves_certificate`]). [`Document::warnings`] returns
//! what can never hold, and where callers without a certificate pass for certain. Put the layer where
//! [`RequireCertificateLayer`](crate::RequireCertificateLayer) would stand; TLS must end in this process.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (partner, stranger) = (rcgen::generate_simple_self_signed(vec![])?, rcgen::generate_simple_self_signed(vec![])?);
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_mtls::{ClientCertificate, admitted, apim::{ApimPolicyLayer, Document}, danger::AssumePresentedLayer};
//!
//! let partner = ClientCertificate::from_der(partner.cert.der())?;
//! let stranger = ClientCertificate::from_der(stranger.cert.der())?;
//!
//! // As it stands in Microsoft's articles, unescaped quotes included.
//! let document = Document::parse(&r#"
//!     <choose>
//!         <when condition="@(context.Request.Certificate == null || context.Request.Certificate.Thumbprint != "THUMBPRINT")" >
//!             <return-response>
//!                 <set-status code="403" reason="Invalid client certificate" />
//!             </return-response>
//!         </when>
//!     </choose>"#.replace("THUMBPRINT", &partner.sha1_thumbprint().to_string()))?;
//!
//! let greet = service_fn(|request: Request<String>| async move {
//!     let caller = admitted(request.extensions()).expect("the document judged it");
//!     Ok::<_, std::convert::Infallible>(Response::new(format!("hello {}", caller.subject())))
//! });
//! let service = ApimPolicyLayer::new(document).layer(greet);
//!
//! let accepted = AssumePresentedLayer::new(partner).layer(service.clone());
//! assert_eq!(accepted.oneshot(Request::new(String::new())).await?.status(), StatusCode::OK);
//!
//! let refused = AssumePresentedLayer::new(stranger).layer(service);
//! assert_eq!(refused.oneshot(Request::new(String::new())).await?.status(), StatusCode::FORBIDDEN);
//!
//! // What would not be enforced does not load.
//! let errors = Document::parse("<choose>\n  <when condition=\"@(context.User.Id == \"1\")\" />\n</choose>").unwrap_err();
//! assert!(errors.to_string().starts_with("2:30: context.User is not supported"));
//! # Ok(())
//! # }
//! ```
//!
//! # Elements
//!
//! | element | where | what is supported |
//! |---|---|---|
//! | `policies` with `inbound`, `backend`, `outbound`, `on-error` | root | each at most once; one that is missing is inherited. Without `policies` the elements are those of `inbound`; a root `fragment` too |
//! | `base` | sections | the document above ([`DocumentBuilder::base`]) |
//! | `forward-request` | `backend` | without attributes; `backend` holds it or `base` |
//! | `choose`, `when`, `otherwise` | inbound, outbound, on-error | |
//! | `return-response` | inbound, on-error | `set-status` (200 to 599), `set-header`, `set-body` |
//! | `validate-client-certificate` | inbound | all attributes and claims; dates before trust, trust before identity |
//! | `authentication-certificate` | inbound | `certificate-id`, `thumbprint`, `body` as a constant (feature `identity`); the last one that runs counts |
//! | `set-backend-service` | inbound | `base-url`, or `backend-id` of a known backend ([`DocumentBuilder::backend`]), written out; the last one that runs counts |
//! | `set-header` | inbound (request), outbound and on-error (response) | all `exists-action`s; null values are left out. Not `Host` of requests, nor what frames a message |
//! | `set-variable` | inbound, outbound, on-error | |
//! | `set-status`, `set-body` | return-response, on-error | |
//!
//! A backend that `backend-id` names may have an identity of its own ([`Backend::with_identity`]), which counts for
//! requests that are sent there. An `authentication-certificate` that runs counts in its place, whether it stands before
//! or after, above or below: what a document says itself is never overruled.
//!
//! Every element may have an `id`. Everything else is an error, named values (`{{...}}`) included.
//!
//! # Expressions
//!
//! `@(...)`, and `@{...}` of `var`, assignments, `if`, `else` and `return`: the C# of certificate policies, typed at
//! load. There are no loops (`for`, `foreach`, `while`), no `switch`, `try` or `throw`, no calls as statements, no classes
//! beside those below (`Regex`, `JObject`, `Guid`, `Math`), and no `Where` or `Select`.
//!
//! | | |
//! |---|---|
//! | types | `bool`, `int`, `double`, `char`, `string`, `string[]`, `byte[]`, `DateTime`, `TimeSpan`, `X509Certificate2`, `object`, each value type also as `T?` |
//! | operators | `==` `!=` `<` `<=` `>` `>=` `&&` <code>&#124;&#124;</code> `!` `?:` `??` `?.` `+` `-`, casts, `$"..."`, `@"..."` |
//! | certificate | `Thumbprint`, `Subject`, `SubjectName(.Name)`, `Issuer`, `IssuerName(.Name)`, `SerialNumber`, `NotBefore`, `NotAfter`, `HasPrivateKey`, `Version`, `RawData`, `SignatureAlgorithm`, `Verify()`, `VerifyNoRevocation()`, `GetNameInfo()`, `GetCertHash(String)()`, `GetSerialNumber(String)()`, `GetRawCertData(String)()`, `Export(X509ContentType.Cert)` |
//! | `context.Deployment.Certificates` | `[thumbprint]`, `ContainsKey`, `Count`, and with a lambda `Any`, `All`, `First`; `Values` and `Keys` with these and `FirstOrDefault`. `Any` over thumbprints is a look-up |
//! | `context.Request` | `Certificate`, `Method`, `IpAddress`, `Headers` and `Url.Query` (`[..]`, `ContainsKey`, `GetValueOrDefault`), `Url` and `OriginalUrl` (`Path`, `Host`, `Port`, `Scheme`, `QueryString`) |
//! | `context.Variables` | `[..]` with a cast, `ContainsKey`, `GetValueOrDefault<T>` |
//! | `context.LastError` | in `on-error`: `Source`, `Reason`, `Message`, `Scope`, `Section`, `Path`, `PolicyId` |
//! | lists of strings | `new[] {...}`, `new string[] {...}`, `new List<string> {...}` and `new HashSet<string> {...}` with their entries, and what `Split` makes: `[..]`, `Length`, `Count`, `Contains`, `Any`, `All`, `First(OrDefault)`, `Last` |
//! | `string` | `Contains`, `StartsWith`, `EndsWith`, `Equals`, `IndexOf`, `LastIndexOf`, `Substring`, `Replace`, `Split`, `Trim(Start, End)`, `ToUpper`, `ToLower`, `Length`; `IsNullOrEmpty`, `IsNullOrWhiteSpace`, `Equals`, `Join`, `Concat`, `Format` |
//! | `DateTime`, `TimeSpan` | `Now`, `UtcNow`, `Today`, `Parse` and `new` of constants, `Add*`, `Subtract`, parts, `ToString(format)` without a culture; `From*`, `Total*` |
//! | `Convert`, `int`, `bool` | `ToBase64String`, `FromBase64String`, `ToInt32`, `ToBoolean`, `Parse` |
//!
//! `Url.Path` and `Url.QueryString` stand as they were sent: `%61dmin`, `//` and `..` are neither decoded nor resolved,
//! so a rule about a path compares what the backend may read in another way. Let the server refuse or resolve them
//! before the document runs, and prefer rules that name what is allowed.
//!
//! Headers that carry certificates (`X-ARR-ClientCert` and its kin) are not read, and certificates are not made of
//! bytes: whoever sends the request writes them. Callers choose neither `base-url` nor identity by what they write: made
//! of headers, the URL, the method or the address they are errors, and made of a certificate, they are errors unless no
//! self-made certificate passes with such a choice, whichever way the request takes. Only the whole thumbprint needs no
//! proof, for nobody makes a certificate for one; a part of it is found by trying. To choose among values that the
//! document writes out, in a `choose`, is always possible.
//!
//! One request takes at most 200,000 steps and 256 KiB of new strings; a document has 256 KiB and is 64 deep, an
//! expression 16 KiB.
//!
//! # What is as in .NET, and what nobody has proved
//!
//! Proved by tests against values that .NET printed: the forms of `Subject` and `Issuer` (order, keywords, quoting), of
//! `Thumbprint` and `SerialNumber`, and that strings compare ordinally; the answers and reason codes of
//! `validate-client-certificate` that were seen on live gateways.
//!
//! Not proved, because APIM does not document it or a platform decides:
//! - the reason codes' messages beyond `NotTrusted` and `IdentityNotMatched`, `LastError.Path`, and the body of a `500`;
//! - how identities are compared: here distinguished names attribute by attribute and from either end, thumbprints and
//!   serial numbers in any form, common and DNS names without regard to case, and a `*` in `dns-name` only with itself;
//! - attribute types beyond `CN SN SERIALNUMBER C L S STREET O OU T G DC E`: here `OID.1.2.3=`, as Windows prints them;
//! - `SimpleName` of names without exactly one common name, and names with values in T.61: here an error;
//! - the key of `context.Deployment.Certificates`: here the upper-case thumbprint, compared ordinally;
//! - `Url` before and after the route's rewriting: here the request's own, its scheme always `https`; header values outside of ASCII: Latin-1.
//!
//! Known differences, each on the safe side:
//! - a chain is one for TLS client authentication: extended key usage counts, where .NET does not ask. A listed root
//!   that is presented itself is trusted, as in .NET;
//! - `validate-trust` judges the dates of the chain whatever `validate-not-after` says;
//! - comparisons by the rules of a culture (`StartsWith("...")` without a `StringComparison`) are decided for ASCII
//!   texts, and an error for others; the zone is UTC, and time has whole seconds;
//! - `Url.Host` is in lower case, as in .NET, and one dot behind it is left out: both lead to the same host;
//! - a header by which proxies tell who called, or from where (`X-Forwarded-*`, `X-SSL-*` and others): what the caller wrote
//!   there is gone before a document skips or appends to it;
//! - `<outbound>` is worked out before the request is sent, so an expression there that fails is answered without
//!   calling the backend;
//! - sections that are left out are inherited, so that no rule of the document above is lost.

mod backend;
mod builder;
mod deployment;
mod document;
mod elements;
mod error;
mod explain;
mod expression;
mod facts;
#[cfg(feature = "proxy")]
mod forwarding_layer;
mod future;
mod layer;
mod outcome;
mod program;
mod reach;
mod reader;
mod report;
mod run;
mod service;
mod summary;

#[cfg(feature = "proxy")]
pub use self::forwarding_layer::{ForwardingLayer, ForwardingService};
pub use self::{
    backend::{Backend, BackendError},
    builder::DocumentBuilder,
    deployment::{DeployedCertificate, Deployment, DeploymentCertificates, SharedDeployment},
    document::{Document, DocumentScope, Revocation, SharedDocument},
    error::{DocumentError, DocumentErrors, DocumentWarning, FindingKind, Position},
    explain::Explanation,
    facts::RequestFacts,
    future::ResponseFuture,
    layer::ApimPolicyLayer,
    outcome::{Answer, ChosenIdentity, Forward, Forwarding, Outcome},
    reader::Format,
    service::ApimPolicy,
    summary::DocumentSummary,
};
