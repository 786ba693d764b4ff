//! Backends that documents name by id.

use tower_mtls::{
    Shared,
    apim::{Backend, ChosenIdentity, Document, DocumentBuilder, RequestFacts},
};

use super::world::{NOW, WORLD, evaluate, request};
use crate::support::pki::Authority;

const EAST: &str = "<set-backend-service backend-id='east' />";
const WEST: &str = "<set-backend-service backend-id='west' />";
const URL: &str = "<set-backend-service base-url='https://north.internal' />";
const ORDERS: &str = "<authentication-certificate certificate-id='orders' />";

/// `url, id of the backend, id of the identity`
fn chosen(document: &Document) -> String {
    let outcome = evaluate(document, &WORLD.certificate("none"));
    let forwarding = outcome.forward().unwrap().forwarding();
    let url = forwarding.base_url().map_or_else(|| "-".into(), ToString::to_string);
    let identity = match forwarding.identity() {
        Some(ChosenIdentity::Id(id)) => id.to_string(),
        Some(other) => other.to_string(),
        None => "-".into(),
    };
    format!("{url}, {}, {identity}", forwarding.backend().unwrap_or("-"))
}

fn thumbprint() -> ChosenIdentity {
    ChosenIdentity::Thumbprint(WORLD.orders.sha1_thumbprint())
}

#[test]
fn last_backend_is_effective_and_an_identity_of_the_document_always() {
    for (text, expected) in [
        (EAST.to_owned(), "https://east.internal/v2, east, -"),
        (WEST.to_owned(), "https://west.internal/, west, fabrikam"),
        (format!("{WEST}{EAST}"), "https://east.internal/v2, east, -"),
        (format!("{EAST}{WEST}"), "https://west.internal/, west, fabrikam"),
        (format!("{WEST}{URL}"), "https://north.internal/, -, -"),
        (format!("{URL}{WEST}"), "https://west.internal/, west, fabrikam"),
        (format!("{WEST}{ORDERS}"), "https://west.internal/, west, orders"),
        (format!("{ORDERS}{WEST}"), "https://west.internal/, west, orders"),
        (format!("{WEST}{ORDERS}{EAST}"), "https://east.internal/v2, east, orders"),
        (format!("{WEST}{ORDERS}{EAST}{WEST}"), "https://west.internal/, west, orders"),
        // An element that does not run chooses nothing.
        (
            format!("{WEST}<choose><when condition='false'>{EAST}{ORDERS}</when></choose>"),
            "https://west.internal/, west, fabrikam",
        ),
        (ORDERS.to_owned(), "-, -, orders"),
    ] {
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        assert_eq!(chosen(&document), expected, "{text}");
    }
}

#[test]
fn base_document_keeps_its_backends() {
    let south = Backend::new("https://south.internal").unwrap().with_identity(thumbprint());
    let above =
        Document::builder().add_backend("south", south).load("<set-backend-service backend-id='south' />");
    let above = above.unwrap();
    let load = |text: &str| WORLD.builder().base(&above).load(text).unwrap();
    let printed = WORLD.fill("the certificate with the thumbprint ORDERS-THUMBPRINT");
    for (text, expected, named) in [
        ("<base />".to_owned(), format!("https://south.internal/, south, {printed}"), vec!["south"]),
        (
            format!("{WEST}\n<base />"),
            format!("https://south.internal/, south, {printed}"),
            vec!["west", "south"],
        ),
        (format!("<base />{WEST}"), "https://west.internal/, west, fabrikam".into(), vec!["south", "west"]),
        (format!("{ORDERS}<base />"), "https://south.internal/, south, orders".into(), vec!["south"]),
        (EAST.to_owned(), "https://east.internal/v2, east, -".into(), vec!["east"]),
    ] {
        let document = load(&text);
        assert_eq!(chosen(&document), expected, "{text}");
        let ids: Vec<_> = document.summary().backends.iter().map(|(id, _)| &**id).collect();
        assert_eq!(ids, named, "{text}");
    }
    // Backends of the base document's builder are not known to this one.
    let errors = WORLD.builder().base(&above).load("<set-backend-service backend-id='south' />").unwrap_err();
    assert!(errors.to_string().contains("no backend has the id \"south\""), "{errors}");
}

#[test]
fn document_reports_the_backends_that_it_names() {
    let document = WORLD
        .load(&format!("{URL}\n  {WEST}\n<choose>\n<when condition='true'>{EAST}</when></choose>"))
        .unwrap();
    let backends = document.summary().backends.iter();
    let backends: Vec<_> = backends.map(|(id, position)| (&**id, position.line, position.column)).collect();
    assert_eq!(backends, [("west", 2, 3), ("east", 4, 24)]);
    let urls: Vec<_> =
        document.summary().base_urls.iter().map(|(uri, at)| (uri.to_string(), at.line)).collect();
    let expected =
        [("https://north.internal/", 1), ("https://west.internal/", 2), ("https://east.internal/v2", 4)];
    assert_eq!(urls, expected.map(|(url, line)| (url.to_owned(), line)));
    for (text, backend, identity, authenticates) in [
        (EAST.to_owned(), true, false, false),
        (WEST.to_owned(), true, true, false),
        (ORDERS.to_owned(), false, true, true),
        (format!("{WEST}{ORDERS}"), true, true, true),
    ] {
        let document = WORLD.load(&text).unwrap();
        assert_eq!(document.summary().chooses_backend, backend, "{text}");
        assert_eq!(document.summary().chooses_identity, identity, "{text}");
        assert_eq!(document.summary().has_authentication_certificate, authenticates, "{text}");
    }
}

#[test]
fn identity_of_a_backend_is_resolved_like_one_of_the_document() {
    let builder = |identity: ChosenIdentity| {
        let backend = Backend::new("https://north.internal").unwrap().with_identity(identity);
        WORLD.builder().add_backend("north", backend)
    };
    let text = "<base />\n<set-backend-service backend-id='north' />";
    let document = builder(thumbprint()).only_known_certificates().load(text).unwrap();
    let named: Vec<_> =
        document.summary().certificates.iter().map(|(id, at)| (id.to_string(), at.line, at.column)).collect();
    assert_eq!(named, [(thumbprint().to_string(), 2, 22)]);
    let gone = || ChosenIdentity::Id("gone".into());
    let document = builder(gone()).load(text).unwrap();
    let warnings: Vec<_> = document.warnings().iter().map(ToString::to_string).collect();
    let expected = "2:22: no certificate has the id \"gone\" (identity of the backend \"north\") at present";
    assert!(warnings.iter().any(|warning| warning == expected), "{warnings:?}");
    let errors = builder(gone()).only_known_certificates().load(text).unwrap_err();
    let expected = "2:22: no certificate has the id \"gone\" (identity of the backend \"north\"); known: ";
    assert!(errors.to_string().starts_with(expected), "{errors}");
}

#[test]
fn identity_over_http_is_warned_of() {
    let plain = || Backend::new("http://plain.internal").unwrap();
    let load = |builder: DocumentBuilder| builder.load("<set-backend-service backend-id='plain' />").unwrap();
    let is_warned = |document: &Document| {
        document.warnings().iter().any(|warning| warning.message().contains("never presented over http"))
    };
    assert!(!is_warned(&load(WORLD.builder().add_backend("plain", plain()))));
    assert!(is_warned(&load(WORLD.builder().add_backend("plain", plain().with_identity(thumbprint())))));
}

#[test]
fn many_backends_are_not_listed_in_errors() {
    let errors = |count: usize| {
        let backend = Backend::new("https://north.internal").unwrap();
        let builder = (0..count).fold(Document::builder(), |builder, number| {
            builder.add_backend(number.to_string(), backend.clone())
        });
        builder.load("<set-backend-service backend-id='x' />").unwrap_err().to_string()
    };
    for (count, reported) in [
        (0, "1:22: no backend has the id \"x\"; no backends are configured"),
        (1, "1:22: no backend has the id \"x\"; known: \"0\""),
        (5, "1:22: no backend has the id \"x\"; known: \"0\", \"1\", \"2\", \"3\", \"4\""),
        (6, "1:22: no backend has the id \"x\"; 6 others are known"),
    ] {
        assert_eq!(errors(count), reported);
    }
}

#[test]
fn backends_have_base_urls() {
    for sound in ["https://orders.internal", "http://orders.internal:8080/v2", " https://orders.internal/ "] {
        assert!(Backend::new(sound).is_ok(), "{sound}");
    }
    for odd in [
        "",
        "orders.internal",
        "/v2",
        "ftp://orders.internal",
        "https://user@orders.internal",
        "https://orders.internal/?a=b",
        "https://orders.internal/#a",
        "https://orders.internal/v1/../v2",
        "https://orders.internal/%2e%2e/v2",
    ] {
        let error = Backend::new(odd).unwrap_err().to_string();
        assert!(error.starts_with(&format!("invalid base URL {odd:?}; use http")), "{error}");
    }
}

#[cfg(feature = "proxy")]
#[tokio::test]
async fn backend_uses_its_own_trust_and_others_that_of_the_route() {
    use std::convert::Infallible;

    use http::{Request, Response};
    use tower::{Layer, ServiceExt, service_fn};
    use tower_mtls::{
        UpstreamTrust,
        apim::{ApimPolicyLayer, ForwardingLayer},
        danger::AssumePresentedLayer,
        identity::Identities,
        outbound::RequestTrust,
    };

    let trust = || UpstreamTrust::from_pem(Authority::root("Servers").pem().as_bytes()).unwrap();
    let (first, own, other) = (trust(), trust(), Shared::new(trust()));
    let layer = ForwardingLayer::new(Identities::new())
        .with_backend_trust("west", first)
        .with_backend_trust("west", own.clone())
        .with_backend_trust("south", other.clone());
    for (text, expected) in [
        (WEST, Some(&own)),
        (EAST, None),
        (URL, None),
        (ORDERS, None),
        (&format!("{WEST}{EAST}"), None),
        (&format!("{WEST}{URL}"), None),
    ] {
        let inner = service_fn(|request: Request<()>| async move {
            let trust = request.extensions().get::<RequestTrust>().map(RequestTrust::current);
            let mut response = Response::new(http_body_util::Full::<bytes::Bytes>::default());
            response.extensions_mut().insert(trust);
            Ok::<_, Infallible>(response)
        });
        let service = ApimPolicyLayer::new(WORLD.load(text).unwrap()).layer(layer.layer(inner));
        let service = AssumePresentedLayer::new(WORLD.orders.clone()).layer(service);
        let response = service.oneshot(request()).await.unwrap();
        let found = response.extensions().get::<Option<UpstreamTrust>>().unwrap();
        match (found, expected) {
            (None, None) => {}
            (Some(found), Some(expected)) => assert!(found.ptr_eq(expected), "{text}"),
            _ => panic!("{text}: {found:?}"),
        }
    }
}

#[test]
fn backends_and_their_identities_are_explained() {
    let explain = |text: &str| {
        let presented = WORLD.certificate("none");
        let document = WORLD.load(text).unwrap();
        let reported = document.explain(&RequestFacts::new(&request(), &presented), NOW).to_string();
        reported
            .lines()
            .filter(|line| !line.starts_with("forwarded"))
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    let goes_west = "line 1: backend \"west\": https://west.internal/";
    assert_eq!(
        explain(&format!("{WEST}\n{EAST}")),
        [
            goes_west,
            "  identity of the backend, unless the document chooses one: the certificate with the id fabrikam",
            "line 2: backend \"east\": https://east.internal/v2",
            "  identity of the backend \"west\": no longer applies",
        ]
    );
    assert_eq!(
        explain(&format!("{ORDERS}{WEST}")),
        [
            "line 1: backend identity: the certificate with the id orders",
            goes_west,
            "  identity of the backend: does not apply; the document has chosen one",
        ]
    );
}
