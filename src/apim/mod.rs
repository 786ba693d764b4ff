//! Policy documents of Azure API Management (APIM), run unchanged.
//!
//! A [`Document`] is parsed, type-checked and compiled once, at load. Anything that would not be enforced as written is an
//! error with line and column, and all errors are reported together ([`DocumentErrors`]); nothing is skipped.
//! [`ApimPolicyLayer`] then enforces the document on every request, with the decisions of APIM.
//!
//! A request passes [`ApimPolicy`] when
//! 1. the acceptor captured the certificate of the TLS handshake, or that there was none;
//! 2. the certificate can be read, or the document does not use it;
//! 3. `<inbound>` runs to its end: no `return-response` is reached, no `validate-client-certificate` fails, and no
//!    expression fails.
//!
//! It is forwarded with the document's headers. Its certificate is *admitted* if a rule that could have rejected the
//! request has read it, or a variable computed from it: a condition with a `return-response` of 400 or above in its
//! branch, a later one or `otherwise`, or a `validate-client-certificate` that succeeds. Otherwise it is forwarded without
//! an admitted certificate, as with [`allow_missing`](crate::RequireCertificateLayer::allow_missing). The document's
//! choices for the backend (identity, URL and headers) are in the request's extensions as [`Forwarding`]; a
//! `ForwardingLayer` (feature `proxy`) in front of a `ReverseProxy` applies them.
//!
//! A request that does not pass gets a response:
//!
//! | cause | response |
//! |---|---|
//! | `return-response` | as written: status, reason phrase on HTTP/1.1, headers, body; an empty body without `set-body` |
//! | `validate-client-certificate` fails | `401` and `{"statusCode":401,"message":"Invalid client certificate"}` (`Client certificate missing` without one), changed by `<on-error>`, where `context.LastError` has the reason code |
//! | an expression fails (a member of null, a missing key, too many steps) | `500` and a similar body, changed by `<on-error>` |
//! | the certificate cannot be read, and the document uses it | `403`, as [`RequireCertificate`](crate::RequireCertificate) does: expressions cannot distinguish it from a missing one |
//! | nothing was captured | `500`, and an error in the log |
//!
//! [`shadow`](ApimPolicyLayer::shadow) tries a document on real traffic without rejecting: rejections are logged, and the
//! rest of the document runs. They are sent if identity or URL depend on an expression or a condition
//! ([`Document::evaluate_shadow`]).
//!
//! The log contains the cause, and the reason why a required chain could not be built
//! ([`DocumentResponse::chain_failure`]). The response's extensions contain a [`Rejection`](crate::policy::Rejection) if the
//! status is 400 or above.
//!
//! **Documents are enforced as written.** Names prove nothing without a chain or a thumbprint, in APIM as here. A document
//! that judges certificates without a [guard](#guards) is an error at load, unless
//! [`allow_unanchored`](DocumentBuilder::allow_unanchored) is called; then [`verification`](crate::verification) reports
//! its certificates as unproven. [`Document::warnings`] lists conditions that are never true, and expressions that fail
//! without a certificate. Place the layer where [`RequireCertificateLayer`](crate::RequireCertificateLayer) would be; TLS
//! must end in this process.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (partner, stranger) = (rcgen::generate_simple_self_signed(vec![])?, rcgen::generate_simple_self_signed(vec![])?);
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_mtls::{Certificate, admitted, apim::{ApimPolicyLayer, Document}, danger::AssumePresentedLayer};
//!
//! let partner = Certificate::from_der(partner.cert.der())?;
//! let stranger = Certificate::from_der(stranger.cert.der())?;
//!
//! // As in Microsoft's articles, unescaped quotes included.
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
//!     let caller = admitted(request.extensions()).expect("the document has judged it");
//!     Ok::<_, std::convert::Infallible>(Response::new(format!("hello {}", caller.subject())))
//! });
//! let service = ApimPolicyLayer::new(document).layer(greet);
//!
//! let accepted = AssumePresentedLayer::new(partner).layer(service.clone());
//! assert_eq!(accepted.oneshot(Request::new(String::new())).await?.status(), StatusCode::OK);
//!
//! let rejected = AssumePresentedLayer::new(stranger).layer(service);
//! assert_eq!(rejected.oneshot(Request::new(String::new())).await?.status(), StatusCode::FORBIDDEN);
//!
//! // A document that would not be enforced as written is an error.
//! let errors = Document::parse("<choose>\n  <when condition=\"@(context.User.Id == \"1\")\" />\n</choose>").unwrap_err();
//! assert!(errors.to_string().starts_with("2:30: context.User"));
//! # Ok(())
//! # }
//! ```
//!
//! # Elements
//!
//! | element | section | supported |
//! |---|---|---|
//! | `policies` with `inbound`, `backend`, `outbound`, `on-error` | root | each at most once; a missing one is inherited. Without `policies`, or with a root `fragment`, the elements are those of `inbound` |
//! | `base` | sections | the base document ([`DocumentBuilder::base`]) |
//! | `forward-request` | `backend` | without attributes; `backend` contains either it or `base` |
//! | `choose`, `when`, `otherwise` | inbound, outbound, on-error | |
//! | `return-response` | inbound, on-error | `set-status` (200 to 599), `set-header`, `set-body` |
//! | `validate-client-certificate` | inbound | all attributes and claims; dates before trust, trust before identity |
//! | `authentication-certificate` | inbound | `certificate-id`, `thumbprint`, `body` as a constant (feature `identity`); the last one that runs applies |
//! | `set-backend-service` | inbound | `base-url`, or `backend-id` of a configured backend ([`DocumentBuilder::add_backend`]), as a literal; the last one that runs applies |
//! | `set-header` | inbound (request), outbound and on-error (response) | all `exists-action`s; null values are omitted. Not `Host` of requests, nor fields of message framing |
//! | `set-variable` | inbound, outbound, on-error | |
//! | `set-status`, `set-body` | return-response, on-error | |
//!
//! A backend named by `backend-id` can have an identity ([`Backend::with_identity`]), which applies to requests to that
//! backend. An `authentication-certificate` that runs takes precedence, before or after it, in this document or its base.
//!
//! Every element can have an `id`. Everything else is an error, named values (`{{...}}`) included.
//!
//! # Expressions
//!
//! `@(...)`, and `@{...}` of `var`, assignments, `if`, `else` and `return`: the C# of certificate policies,
//! type-checked at load. Not supported: loops (`for`, `foreach`, `while`), `switch`, `try`, `throw`, calls as statements,
//! other classes than those below (`Regex`, `JObject`, `Guid`, `Math`), `Where` and `Select`.
//!
//! | | |
//! |---|---|
//! | types | `bool`, `int`, `double`, `char`, `string`, `string[]`, `byte[]`, `DateTime`, `TimeSpan`, `X509Certificate2`, `object`, each value type also as `T?` |
//! | operators | `==` `!=` `<` `<=` `>` `>=` `&&` <code>&#124;&#124;</code> `!` `?:` `??` `?.` `+` `-`, casts, `$"..."`, `@"..."` |
//! | certificate | `Thumbprint`, `Subject`, `SubjectName(.Name)`, `Issuer`, `IssuerName(.Name)`, `SerialNumber`, `NotBefore`, `NotAfter`, `HasPrivateKey`, `Version`, `RawData`, `SignatureAlgorithm`, `Verify()`, `VerifyNoRevocation()`, `GetNameInfo()`, `GetCertHash(String)()`, `GetSerialNumber(String)()`, `GetRawCertData(String)()`, `Export(X509ContentType.Cert)` |
//! | `context.Deployment.Certificates` | `[thumbprint]`, `ContainsKey`, `Count`, and with a lambda `Any`, `All`, `First`; `Values` and `Keys` with these and `FirstOrDefault`. `Any` over thumbprints is a lookup |
//! | `context.Request` | `Certificate`, `Method`, `IpAddress`, `Headers` and `Url.Query` (`[..]`, `ContainsKey`, `GetValueOrDefault`), `Url` and `OriginalUrl` (`Path`, `Host`, `Port`, `Scheme`, `QueryString`) |
//! | `context.Variables` | `[..]` with a cast, `ContainsKey`, `GetValueOrDefault<T>` |
//! | `context.LastError` | in `on-error`: `Source`, `Reason`, `Message`, `Scope`, `Section`, `Path`, `PolicyId` |
//! | lists of strings | `new[] {...}`, `new string[] {...}`, `new List<string> {...}` and `new HashSet<string> {...}` with their entries, and the result of `Split`: `[..]`, `Length`, `Count`, `Contains`, `Any`, `All`, `First(OrDefault)`, `Last` |
//! | `string` | `Contains`, `StartsWith`, `EndsWith`, `Equals`, `IndexOf`, `LastIndexOf`, `Substring`, `Replace`, `Split`, `Trim(Start, End)`, `ToUpper`, `ToLower`, `Length`; `IsNullOrEmpty`, `IsNullOrWhiteSpace`, `Equals`, `Join`, `Concat`, `Format` |
//! | `DateTime`, `TimeSpan` | `Now`, `UtcNow`, `Today`, `Parse` and `new` of constants, `Add*`, `Subtract`, parts, `ToString(format)` without a culture; `From*`, `Total*` |
//! | `Convert`, `int`, `bool` | `ToBase64String`, `FromBase64String`, `ToInt32`, `ToBoolean`, `Parse` |
//!
//! `Url.Path` and `Url.QueryString` are as sent: `%61dmin`, `//` and `..` are neither decoded nor resolved, and a backend may
//! interpret them differently than a rule. Let the server reject or resolve them before the document runs, and prefer
//! rules that list allowed paths.
//!
//! Headers with certificates (`X-ARR-ClientCert` and similar) are not read, and certificates are not built from bytes,
//! since callers could forge them.
//!
//! One request takes at most 200,000 steps and 256 KiB of new strings; a document has at most 256 KiB and 64 levels, an
//! expression 16 KiB.
//!
//! # Guards
//!
//! After a guard, every request has a certificate with a verified chain, a listed thumbprint, or membership of the
//! deployment. A guard is at the top level of `<inbound>`, with the base document in place of `<base />`:
//!
//! ```xml
//! <choose>
//!   <when condition="@(context.Request.Certificate == null || !context.Request.Certificate.VerifyNoRevocation())">
//!     <return-response><set-status code="403" reason="Invalid client certificate" /></return-response>
//!   </when>
//! </choose>
//! ```
//!
//! 1. The `when` contains one `return-response` with a status of 400 or above, and so does each `when` before it.
//! 2. Its condition is a list of operands of `||`: `context.Request.Certificate == null`; one of `!...Verify()`,
//!    `!...VerifyNoRevocation()`, `...Thumbprint != "..."` (several with `&&`),
//!    `!context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint)` and
//!    `!context.Deployment.Certificates.ContainsKey(context.Request.Certificate.Thumbprint)`; and any others.
//!    `context.Request.Certificate?.Thumbprint != "..."` is sufficient alone.
//! 3. `validate-client-certificate` is a guard without `ignore-error`, with `validate-trust` or a thumbprint in each
//!    `identity`.
//!
//! An equivalent condition in another form is not a guard. A document with a guard
//! [proves certificates](DocumentSummary::proves_certificate). An expression in `certificate-id`, `thumbprint` or `base-url`
//! must be one of
//! - a choice among literals: through `?:`, `??`, blocks, and variables whose values are all literals. A warning if the
//!   caller's request or certificate selects before a guard;
//! - an expression over `context.Request.Certificate` and literals, after a guard.
//!
//! Headers, URL, method and address, and variables set from them, are an error there. A `choose` among elements with
//! literals is always allowed.
//!
//! # Chains and revocation
//!
//! `Verify()`, `VerifyNoRevocation()` and `validate-trust` judge a chain as [`TrustAnchors::judge`] does. `Verify()` and
//! `validate-revocation` (with `validate-trust`) apply the roots' [revocation lists](crate::guide::revocation);
//! `VerifyNoRevocation()` and `validate-revocation="false"` do not. Roots without lists must be declared as such
//! ([`TrustAnchors::without_revocation`]) for documents that check revocation. `validate-revocation` without
//! `validate-trust` is an error unless they are: a list is verified by a chain.
//!
//! | | .NET | here |
//! |---|---|---|
//! | an intermediate CA as root | rejected: `PartialChain` | admitted |
//! | extended key usage without clientAuth | admitted | rejected |
//! | extended key usage anyExtendedKeyUsage, or none | admitted | admitted |
//! | key usage of the client without digitalSignature and keyAgreement | admitted | rejected |
//! | a client certificate that is itself a root | admitted within its dates | admitted if it satisfies the requirements for others too |
//! | short RSA keys, old signature algorithms | depends on the platform | [`ChainRequirements`](crate::policy::ChainRequirements) |
//! | intermediates that the client does not send | from the machine's store, or downloaded | not found |
//! | revocation | CRLs and OCSP, from the URLs in certificates; an unknown status rejects | the roots' lists; an unknown status rejects in [`RevocationMode::Strict`](crate::policy::RevocationMode::Strict) |
//!
//! # Compatibility with .NET and APIM
//!
//! Tested against values printed by .NET: the forms of `Subject` and `Issuer` (order, keywords, quoting), of `Thumbprint`
//! and `SerialNumber`, and ordinal comparison of strings; tested against responses of live gateways: status and reason
//! codes of `validate-client-certificate`.
//!
//! Not verified, because APIM does not document it or it depends on the platform:
//! - the messages of reason codes other than `NotTrusted` and `IdentityNotMatched`, `LastError.Path`, and the body of a `500`;
//! - the reason codes for a revoked certificate and an unknown status: here `ClientCertificateRevoked` and
//!   `ClientCertificateRevocationUnknown`, with .NET's messages;
//! - the comparison of identities: here distinguished names by attribute and from either end, thumbprints and serial
//!   numbers in any form, common and DNS names ignoring case, and a `*` in `dns-name` only literally;
//! - attribute types beyond `CN SN SERIALNUMBER C L S STREET O OU T G DC E`: here `OID.1.2.3=`, as Windows prints them;
//! - `SimpleName` of names without exactly one common name, and names with values in T.61: here an error;
//! - the key of `context.Deployment.Certificates`: here the upper-case thumbprint, compared ordinally;
//! - `Url` before and after the route's rewriting: here the original one, its scheme always `https`;
//! - header values outside ASCII: here Latin-1.
//!
//! Known differences beside those of [chains](#chains-and-revocation), each on the safe side:
//! - `validate-trust` checks the dates of the chain regardless of `validate-not-after`;
//! - culture-sensitive comparisons (`StartsWith("...")` without a `StringComparison`) are decided for ASCII strings, and
//!   fail for others; the time zone is UTC, and time has whole seconds;
//! - `Url.Host` is in lower case, as in .NET, without one trailing dot;
//! - the caller's values of headers with client identity or address (`X-Forwarded-*`, `X-SSL-*` and others) are removed
//!   before a document skips or appends to them;
//! - `<outbound>` is evaluated before the request is sent, so a failing expression there prevents the call of the backend;
//! - missing sections are inherited, so that no rule of the base document is lost.
//!
//! [`TrustAnchors::judge`]: crate::TrustAnchors::judge
//! [`TrustAnchors::without_revocation`]: crate::TrustAnchors::without_revocation

mod backend;
mod builder;
mod decision;
mod deployment;
mod document;
mod dotnet;
mod elements;
mod error;
mod explain;
mod expression;
mod facts;
#[cfg(feature = "proxy")]
mod forwarding_layer;
mod future;
mod guard;
mod headers;
mod layer;
mod lexer;
mod program;
mod reader;
mod run;
mod service;
mod summary;
mod trust;
mod validation;

#[cfg(feature = "proxy")]
pub use self::forwarding_layer::{ForwardingLayer, ForwardingService};
pub use self::{
    backend::{Backend, BackendError, ChosenIdentity},
    builder::DocumentBuilder,
    decision::{DocumentDecision, DocumentResponse, Forward, Forwarding},
    deployment::{DeployedCertificate, Deployment, DeploymentCertificates},
    document::{Document, DocumentScope},
    dotnet::dotnet_name,
    error::{DocumentErrors, Finding, FindingKind, Position},
    explain::DocumentExplanation,
    facts::RequestFacts,
    future::ResponseFuture,
    layer::ApimPolicyLayer,
    reader::Format,
    service::ApimPolicy,
    summary::DocumentSummary,
};
