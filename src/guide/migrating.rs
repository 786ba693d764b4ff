//! Migrating from nginx, Envoy or ASP.NET: their directives beside the lines of this crate.
//!
//! Each section has a table, with a line of Rust and the key of `gateway.toml` (of the gateway in this crate's
//! repository) for each directive, and then the differences. Four differences are common to all three:
//!
//! 1. **The handshake proves possession, the policy decides trust.** The acceptor accepts any caller that owns the key
//!    of *some* certificate, including expired and self-signed ones. Extractors return only certificates that a layer
//!    admitted.
//! 2. **The decision is made on every request**, after routing. So each route has its own rules, a rejection is an
//!    HTTP response (403, for gRPC `PERMISSION_DENIED`) and not a failed handshake, and an expiry or a replaced policy
//!    takes effect on open connections.
//! 3. **Names are compared attribute by attribute** ([`DistinguishedName`](crate::certificate::DistinguishedName)), not
//!    as text, and a policy of names alone does not build: the creator of a certificate chooses its names.
//! 4. **Revocation is checked by lists of the operator** ([`revocation`](super::revocation)), never by OCSP or by URLs in
//!    certificates.
//!
//! # nginx
//!
//! | nginx | Rust | `gateway.toml` |
//! |---|---|---|
//! | `ssl_verify_client optional_no_ca` | the default of [`ServerTls`](crate::ServerTls) | `[listener] client_certificate = "request"`, the default |
//! | `ssl_verify_client off` | `.client_certificate(ClientCertificateRequest::Off)` | `client_certificate = "off"` |
//! | `ssl_verify_client on` | [`RequireCertificateLayer::new(policy)`](crate::RequireCertificateLayer::new) | `[routes.client_certificate]` |
//! | `ssl_verify_client optional` | [`.allow_missing()`](crate::RequireCertificateLayer::allow_missing) | |
//! | `ssl_client_certificate`, `ssl_trusted_certificate` | [`.trust(TrustAnchors::from_pem(ca)?)`](crate::policy::PolicyBuilder::trust) | `[trust.NAME] ca`, and `trust = "NAME"` in the route |
//! | `ssl_crl` | [`.with_revocation(..)`](crate::TrustAnchors::with_revocation) | `[trust.NAME] crl`, `crl_url`, `revocation` |
//! | `ssl_ocsp` | not supported | |
//! | `if ($ssl_client_s_dn != "...") { return 403; }` | [`.subject("CN=orders,O=Contoso".parse()?)`](crate::policy::PolicyBuilder::subject) | `subject = ["CN=orders,O=Contoso"]` |
//! | `$ssl_client_i_dn` | [`.issuer(..)`](crate::policy::PolicyBuilder::issuer) | `issuer = ["..."]` |
//! | `$ssl_client_fingerprint` | [`.thumbprint("ab12...".parse()?)`](crate::policy::PolicyBuilder::thumbprint) | `thumbprint`, `thumbprint_file` |
//! | `$ssl_client_serial` | [`Rule::serial(["01AB".parse()?])`](crate::Rule::serial) | `serial` |
//! | `map $ssl_client_s_dn $ok { ... }` | several calls of `.subject(..)`: one match is enough | several entries in the list |
//! | `proxy_ssl_certificate`, `proxy_ssl_certificate_key` | [`ClientIdentity::from_pem(chain, key)?`](crate::ClientIdentity::from_pem) | `[identities.NAME] certificate`, `private_key`; `identity = "NAME"` in the route |
//! | `proxy_ssl_trusted_certificate` | [`UpstreamTrust::from_pem(ca)?`](crate::UpstreamTrust::from_pem) | `[upstream_tls] ca`, `[routes.upstream_tls] ca` |
//! | `proxy_ssl_verify on` | always, unless [`danger::UpstreamVerification`](crate::danger::UpstreamVerification) is used | `verify = "full"`, the default |
//! | `proxy_ssl_name`, `proxy_ssl_server_name on` | [`.with_server_name("orders.internal")`](crate::outbound::UpstreamTrustBuilder::with_server_name) | `server_name = "orders.internal"` |
//!
//! ```
//! # #[cfg(all(feature = "trust", feature = "inbound"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
//! # let mut params = CertificateParams::default();
//! # params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
//! # let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
//! # let (partners, ca_pem) = (&ca, ca.pem());
//! # let issue = |common_name: &str| -> Result<tower_mtls::certificate::Presented, Box<dyn std::error::Error>> {
//! #     let mut params = CertificateParams::default();
//! #     params.distinguished_name = rcgen::DistinguishedName::new();
//! #     params.distinguished_name.push(DnType::OrganizationName, "Contoso");
//! #     params.distinguished_name.push(DnType::CommonName, common_name);
//! #     let der = params.signed_by(&KeyPair::generate()?, partners)?;
//! #     Ok(tower_mtls::Certificate::from_der(der.der())?.into())
//! # };
//! use tower_mtls::{Policy, RequireCertificateLayer, TrustAnchors, certificate::{Clock, SystemClock}};
//!
//! // ssl_client_certificate ca.pem;   if ($ssl_client_s_dn !~ "CN=orders") { return 403; }
//! let policy = Policy::builder()
//!     .trust(TrustAnchors::from_pem(ca_pem.as_bytes())?)
//!     .subject("CN=orders,O=Contoso".parse()?)
//!     .build()?;
//!
//! let now = SystemClock.now();
//! assert!(policy.judge(&issue("orders")?, now).is_ok());
//! // A text that contains the name, which the regular expression above accepts, is another name.
//! assert!(policy.judge(&issue("orders-test")?, now).is_err());
//! assert!(policy.judge(&issue("x,CN=orders")?, now).is_err());
//!
//! // ssl_verify_client on, for the routes inside.
//! let guard = RequireCertificateLayer::new(policy);
//! # drop(guard);
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "trust", feature = "inbound")))]
//! # fn main() {}
//! ```
//!
//! Differences:
//!
//! 1. nginx verifies in the handshake, per `server`, and keeps the result for the connection and its resumed
//!    sessions. Here a route judges, on every request.
//! 2. `optional_no_ca` ignores an unknown issuer only; an expired certificate is answered with 400 before any
//!    location is selected. Here it reaches the policy, is rejected there (`expired`), and does not affect routes
//!    without rules.
//! 3. A missing or wrong certificate is 403 here; nginx responds with 400 (495 and 496 internally).
//! 4. `$ssl_client_s_dn` is a text as in RFC 2253, and the text that it is compared with may be copied: a
//!    [`NamePattern`](crate::policy::NamePattern) matches the whole name, read from either end. Names with slashes
//!    (`$ssl_client_s_dn_legacy`) are not read.
//! 5. `$ssl_client_fingerprint` is SHA-1. SHA-256 is accepted as well, and recognized by its length.
//! 6. The issuer that `ssl_client_certificate` proves need not be named again: `.issuer(..)` narrows a chain to one
//!    CA among several, and proves nothing alone.
//! 7. nginx sends the names of `ssl_client_certificate` to the caller, whose browser then offers matching
//!    certificates only. Here no names are sent: routes trust different CAs, and the route is not known yet.
//! 8. `proxy_ssl_verify` is off by default. Here the upstream's chain and name are verified by default, and without
//!    `ca` the system's roots are trusted.
//! 9. `proxy_ssl_name` is the name to verify, and SNI is sent only with `proxy_ssl_server_name on`. Here one name
//!    serves both, and SNI is always sent (except for an IP address).
//! 10. An encrypted PEM key (`proxy_ssl_password_file`) is read with its password: see
//!     [`ClientIdentity`](crate::ClientIdentity), and in `gateway.toml` `password_file` beside `private_key`.
//!
//! # Envoy
//!
//! | Envoy | Rust | `gateway.toml` |
//! |---|---|---|
//! | `trust_chain_verification: ACCEPT_UNTRUSTED` | the default of [`ServerTls`](crate::ServerTls) | `[listener] client_certificate = "request"`, the default |
//! | `require_client_certificate: true` | [`RequireCertificateLayer::new(policy)`](crate::RequireCertificateLayer::new) | `[routes.client_certificate]` |
//! | `trusted_ca` | [`.trust(TrustAnchors::from_pem(ca)?)`](crate::policy::PolicyBuilder::trust) | `[trust.NAME] ca`, and `trust = "NAME"` in the route |
//! | `match_typed_subject_alt_names`, `san_type: DNS` | [`Rule::dns_name(["orders.example.com".parse()?])`](crate::Rule::dns_name) | `dns_name = ["orders.example.com"]` |
//! | the same, `URI` | [`Rule::uri(..)`](crate::Rule::uri), [`Rule::spiffe_id(..)`](crate::Rule::spiffe_id) | `uri`, `spiffe_id` |
//! | the same, `URI` with `prefix: spiffe://contoso.example/` | [`Rule::spiffe_trust_domain(..)`](crate::Rule::spiffe_trust_domain) | `spiffe_trust_domain` |
//! | the same, `EMAIL`, `IP_ADDRESS` | [`Rule::email(..)`](crate::Rule::email), [`Rule::ip_address(..)`](crate::Rule::ip_address) | `email`, `ip_address` |
//! | `verify_certificate_hash` | [`.thumbprint("DF6F...".parse()?)`](crate::policy::PolicyBuilder::thumbprint) | `thumbprint`, `thumbprint_file` |
//! | `verify_certificate_spki` | [`Rule::spki_sha256([hash])`](crate::Rule::spki_sha256) | `spki_pin` |
//! | `allow_expired_certificate` | [`.allow_outside_validity()`](crate::policy::PolicyBuilder::allow_outside_validity), but see 4 below | `validity = false` |
//! | `crl` | [`.with_revocation(..)`](crate::TrustAnchors::with_revocation) | `[trust.NAME] crl`, `crl_url`, `revocation` |
//! | RBAC `rules`, `authenticated.principal_name` | the rule for the field that is meant | the keys of `[routes.client_certificate]` |
//! | RBAC `and_ids`, `or_ids`, `not_id` | [`Rule::all`](crate::Rule::all), [`any`](crate::Rule::any), [`not`](crate::Rule::not) | all keys must hold, one entry of each list; `any_of` |
//! | RBAC `shadow_rules` | [`RequireCertificateLayer::new(policy).shadow()`](crate::RequireCertificateLayer::shadow) | `mode = "shadow"` |
//! | a cluster's `transport_socket`: `tls_certificates` | [`IdentityLayer::new(identity)`](crate::IdentityLayer::new), around [`MtlsClient`](crate::MtlsClient) | `[identities.NAME]`, and `identity = "NAME"` in the route |
//! | there, `pkcs12` and `password` | [`ClientIdentity::from_pfx(pfx, password)?`](crate::ClientIdentity::from_pfx) | `pfx`, `password_file` |
//! | there, `validation_context.trusted_ca` | [`.with_trust(UpstreamTrust::from_pem(ca)?)`](crate::IdentityLayer::with_trust) | `[routes.upstream_tls] ca` |
//! | there, `sni` and a DNS matcher | [`.with_server_name(..)`](crate::outbound::UpstreamTrustBuilder::with_server_name) | `server_name` |
//! | a certificate from SDS | [`Shared::replace`](crate::Shared::replace) | |
//!
//! ```
//! # #[cfg(feature = "inbound")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let hash = "df6ff72fe9116521268f6f2dd4966f51df479883fe7037b39f75916ac3049d1a";
//! # let spki = [0; 32];
//! use tower_mtls::{Policy, RequireCertificateLayer, Rule};
//!
//! // verify_certificate_hash and verify_certificate_spki: Envoy requires one of them, hence `any`.
//! let pinned = Rule::any([Rule::thumbprint([hash.parse()?]), Rule::spki_sha256([spki])]);
//! // match_typed_subject_alt_names: [{ san_type: URI, matcher: { prefix: "spiffe://contoso.example/" } }]
//! let domain = Rule::spiffe_trust_domain(["contoso.example".parse()?]);
//! let policy = Policy::builder().require(pinned).require(domain).build()?;
//!
//! // RBAC with rules and shadow_rules: the candidate is inside of the enforced policy.
//! # let (candidate, app) = (policy.clone(), tower::service_fn(|_: http::Request<()>| async { Ok::<_, std::convert::Infallible>(http::Response::new(())) }));
//! use tower::Layer;
//! let tried = RequireCertificateLayer::new(candidate).shadow().layer(app);
//! let service = RequireCertificateLayer::new(policy).layer(tried);
//! # drop(service);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "inbound"))]
//! # fn main() {}
//! ```
//!
//! Differences:
//!
//! 1. A validation context belongs to a listener's filter chain, and its failure ends the handshake. RBAC decides
//!    on requests, by the result of the handshake. Here there is one place, after routing.
//! 2. `verify_certificate_hash` *or* `verify_certificate_spki` suffices in Envoy; rules of different kinds must *all*
//!    hold here.
//! 3. Subject alternative names without `trusted_ca` are a warning in Envoy's manual; here
//!    [`build`](crate::policy::PolicyBuilder::build) fails ([`Unanchored`](crate::PolicyError::Unanchored)).
//! 4. A required chain ends with its certificates' dates, also with `allow_outside_validity`, which is for pinned
//!    certificates.
//! 5. `principal_name` matches the URI entry, or else the DNS name, or else the subject, whichever is present. Rules
//!    here examine the field that they name: a certificate without a URI does not satisfy `Rule::uri` by a subject that
//!    looks like one.
//! 6. There are no prefixes, suffixes and regular expressions over names. A wildcard matches one label of a DNS
//!    name, a trust domain all of its IDs; [`Rule::custom`](crate::Rule::custom) does the rest.
//! 7. Behind [`shadow`](crate::RequireCertificateLayer::shadow) a caller that would be rejected passes *without* being
//!    admitted (unless an outer layer admitted it): [`admitted`](crate::admitted) is None.
//! 8. A cluster without `trusted_ca` accepts any certificate of the upstream, and without `sni` sends none. Here the
//!    system's roots and the name in the URI are the default.
//! 9. `X-Forwarded-Client-Cert` is not read, and [`ReverseProxyLayer`](crate::ReverseProxyLayer) removes it.
//!
//! # ASP.NET
//!
//! | ASP.NET and .NET | Rust | `gateway.toml` |
//! |---|---|---|
//! | Kestrel's `ClientCertificateMode.AllowCertificate` with `AllowAnyClientCertificate()` | the default of [`ServerTls`](crate::ServerTls) | `[listener] client_certificate = "request"`, the default |
//! | `AddCertificate(..)` and `[Authorize]` | [`RequireCertificateLayer::new(policy)`](crate::RequireCertificateLayer::new) | `[routes.client_certificate]` |
//! | `AllowedCertificateTypes = Chained` with `ChainTrustValidationMode = CustomRootTrust` and `CustomTrustStore` | [`.trust(TrustAnchors::from_pem(ca)?)`](crate::policy::PolicyBuilder::trust) | `[trust.NAME] ca`, and `trust = "NAME"` in the route |
//! | `AllowedCertificateTypes = SelfSigned` | [`.thumbprints(list)`](crate::policy::PolicyBuilder::thumbprints), no `.trust(..)` | `thumbprint`, `thumbprint_file` |
//! | `ValidateCertificateUse` | part of `.trust(..)`; to require it, [`Rule::extended_key_usage([ClientAuth])`](crate::Rule::extended_key_usage) | part of `trust`; `extended_key_usage` |
//! | `ValidateValidityPeriod = false` | [`.allow_outside_validity()`](crate::policy::PolicyBuilder::allow_outside_validity) | `validity = false` |
//! | `RevocationMode` | [`.with_revocation(..)`](crate::TrustAnchors::with_revocation), none: `NoCheck` | `[trust.NAME] revocation`, `crl`, `crl_url` |
//! | `OnCertificateValidated`, `context.Fail(..)` | [`Rule::custom("name", \|certificate, now\| ..)`](crate::Rule::custom), [`Rule::member_of(set)`](crate::Rule::member_of); asynchronous: see [`authorization`](super::authorization) | |
//! | `OnChallenge` | [`.with_refusal(..)`](crate::RequireCertificateLayer::with_refusal) | |
//! | `ClientCertificate.Thumbprint == "..."` | [`.thumbprint("...".parse()?)`](crate::policy::PolicyBuilder::thumbprint) | `thumbprint` |
//! | `ClientCertificate.Subject`, `.Issuer` | [`.subject("CN=orders, O=Contoso".parse()?)`](crate::policy::PolicyBuilder::subject), `.issuer(..)` | `subject`, `issuer` |
//! | `HttpContext.User` | [`ClientCertificate`](crate::ClientCertificate) as an extractor, [`admitted`](crate::admitted) | |
//! | `HttpContext.Connection.ClientCertificate` | [`danger::presented`](crate::danger::presented), to log | |
//! | `AddCertificateForwarding`, `X-ARR-ClientCert` | none, on purpose | the header is removed |
//! | `HttpClientHandler.ClientCertificates.Add(..)` | [`IdentityLayer::new(ClientIdentity::from_pfx(pfx, password)?)`](crate::IdentityLayer::new) | `[identities.NAME] pfx`, `password_file`; `identity = "NAME"` in the route |
//! | `ServerCertificateCustomValidationCallback` | [`UpstreamTrust`](crate::UpstreamTrust) | `[routes.upstream_tls]` |
//!
//! ```
//! # #[cfg(feature = "inbound")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(vec![])?;
//! # let certificate = tower_mtls::Certificate::from_der(made.cert.der())?;
//! # let copied = certificate.sha1_thumbprint().to_string();
//! use std::{collections::HashSet, sync::{Arc, Mutex}};
//! use tower_mtls::{Certificate, Policy, Rule, certificate::{Clock, Presented, SystemClock}, policy::{Answer, RejectionKind}};
//!
//! # let suspended = Arc::new(Mutex::new(HashSet::new()));
//! // AllowedCertificateTypes = SelfSigned, and OnCertificateValidated with a custom lookup.
//! let lookup = suspended.clone();
//! let policy = Policy::builder()
//!     .thumbprint(copied.parse()?)
//!     .require(Rule::custom("not suspended", move |certificate: &Certificate, _| match lookup.lock() {
//!         Ok(suspended) => Answer::from(!suspended.contains(&certificate.spki_sha256())),
//!         Err(_) => Answer::CannotTell,
//!     }))
//!     .build()?;
//!
//! let caller = Presented::from(certificate.clone());
//! assert!(policy.judge(&caller, SystemClock.now()).is_ok());
//! // The condition is evaluated on every request.
//! suspended.lock().unwrap().insert(certificate.spki_sha256());
//! assert_eq!(policy.judge(&caller, SystemClock.now()).unwrap_err().kind(), RejectionKind::Custom);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "inbound"))]
//! # fn main() {}
//! ```
//!
//! ```no_run
//! # #[cfg(feature = "outbound")]
//! # async fn call(pfx: &[u8], renewed_pfx: &[u8], ca: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! # use tower::{Layer, Service, ServiceExt};
//! use tower_mtls::{UpstreamTrust, ClientIdentity, IdentityLayer, MtlsClient, Shared};
//!
//! // handler.ClientCertificates.Add(new X509Certificate2("orders.pfx", password));
//! let identity = Shared::new(ClientIdentity::from_pfx(pfx, "password")?);
//! let client = MtlsClient::builder().trust(UpstreamTrust::from_pem(ca)?).build();
//! let mut orders = IdentityLayer::new(identity.clone()).layer(client);
//! # let request = http::Request::get("https://orders.internal/42").body(http_body_util::Empty::<bytes::Bytes>::new())?;
//! let response = orders.ready().await?.call(request).await?;
//!
//! // In .NET: another handler. Here the next request presents it, on a new connection.
//! identity.replace(ClientIdentity::from_pfx(renewed_pfx, "password")?);
//! # drop(response);
//! # Ok(())
//! # }
//! ```
//!
//! Differences:
//!
//! 1. Kestrel validates the chain in the handshake, and ends it, unless `AllowAnyClientCertificate()` is called; the
//!    authentication handler then validates again. Here the handshake never judges.
//! 2. `Chained` means the system's roots unless the mode is `CustomRootTrust`. For callers the system's roots are never
//!    trusted here: any public CA would suffice.
//! 3. `SelfSigned` accepts *every* self-signed certificate unless `OnCertificateValidated` examines it. Here a policy
//!    without a chain needs a thumbprint, a public key or a set, or it does not build.
//! 4. `ValidateCertificateUse` accepts a certificate without an extended key usage; so does `.trust(..)`, where it cannot
//!    be switched off. `Rule::extended_key_usage` requires that the purpose is named.
//! 5. `ValidateValidityPeriod = false` ignores the dates of the chain too; `allow_outside_validity` does not: a required
//!    chain ends with its certificates' dates.
//! 6. `RevocationMode` is `Online` by default: lists and OCSP at the URLs of certificates, and an unknown status rejects.
//!    Here lists are configured, and [`RevocationMode`](crate::policy::RevocationMode) decides about an unknown status.
//! 7. `OnCertificateValidated` may await. A rule must not block: keep the list in memory, or
//!    [authorize](super::authorization) after the rules.
//! 8. `Subject` and `Issuer` are texts in .NET, compared as texts. The same text is accepted here, and compared
//!    attribute by attribute, ignoring case and white space.
//! 9. `HttpClientHandler` chooses among `ClientCertificates` by what the server requests, and may choose none. Here the
//!    route has one identity, which is presented whenever the upstream requests a certificate.
