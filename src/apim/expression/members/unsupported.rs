//! Members, classes and constructors of .NET and APIM that are rejected, with their remedies.

use super::Base::{self, Path};

/// Receivers of classes and of constructors.
pub(crate) const CLASS: Base = Path("class");
pub(crate) const CONSTRUCTOR: Base = Path("new");

/// Receiver, names (`*` for all others), and the remedy with its separator.
pub(super) static MEMBERS: &[(Base, &str, &str)] = &[
    (Path("context"), "Response", ": documents apply to requests"),
    (Path("context"), "Api|Operation", "; use a document per route, or context.Request.Url.Path"),
    (Path("context"), "RequestId|Timestamp|Elapsed|Tracing|Trace", "; use the server's log"),
    (
        Path("context"),
        "User|Subscription|Product|Workspace|GraphQL",
        "; decide by context.Request.Certificate",
    ),
    (Path("context"), "*", "; use Request, Deployment, Variables or LastError"),
    (Path("context.Request"), "Body", ": bodies are streamed"),
    (Path("context.Request"), "*", "; use Certificate, Headers, Url, OriginalUrl, Method or IpAddress"),
    // In .NET a missing pair is default(KeyValuePair), not null.
    (Base::ENTRIES, "FirstOrDefault", "; use context.Deployment.Certificates.Values.FirstOrDefault(...)"),
    (
        Base::ENTRIES,
        "*",
        "; use Any, All, First or FirstOrDefault with a condition, ContainsKey, Count, Keys, Values or [thumbprint]",
    ),
    (Base::ENTRY_KEYS, "*", "; use Any, All, First or FirstOrDefault with a condition, Contains or Count()"),
    (Base::ENTRY_VALUES, "*", "; use Any, All, First or FirstOrDefault with a condition, or Count()"),
    (Base::Certificate, "FriendlyName", ": it belongs to a certificate store, not to the certificate"),
    (Base::Certificate, "ToString", "; use a property"),
    (
        Base::Certificate,
        "*",
        "; use Thumbprint, Subject, SubjectName.Name, Issuer, IssuerName.Name, SerialNumber, NotBefore, NotAfter or another \
         supported member",
    ),
    (Base::Object, "*", "; cast it, as in ((string)context.Variables[\"name\"]).Length"),
    (Path("X509NameType"), "*", "; use SimpleName, DnsName or DnsFromAlternativeName"),
    (Path("X509ContentType"), "*", "; only X509ContentType.Cert can be exported"),
    (CLASS, "Regex|Match", "; use Contains, StartsWith, EndsWith or Split"),
    (CLASS, "JObject|JToken|JArray|JProperty|JsonConvert", "; concatenate strings to write JSON"),
    (CLASS, "Guid|Random", "; let the backend generate the value"),
    (CLASS, "Math|Enumerable|Environment|Encoding|StringBuilder|Array", ""),
    (CLASS, "WebUtility|HttpUtility|Uri", "; query parameters are decoded already"),
    (CONSTRUCTOR, "DateTime", " with these arguments; write number literals"),
    (
        CONSTRUCTOR,
        "X509Certificate2|X509Certificate",
        ": a certificate from a header or variable proves nothing: possession of its key was not shown; let callers connect \
         to this listener directly and use context.Request.Certificate",
    ),
    (CONSTRUCTOR, "Regex", "; use StartsWith, Contains or Split"),
];
