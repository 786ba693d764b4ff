//! Upstreams that are known by their certificate, key or SPIFFE ID.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use sha2::{Digest, Sha256};
use tower::Layer;
use tower_mtls::{
    Certificate, IdentityLayer, UpstreamTrust,
    danger::UpstreamVerification,
    outbound::{ClientErrorKind, UpstreamPin, UpstreamTrustBuilder, UpstreamTrustError},
};

use crate::support::{
    every_version,
    pki::{self, Authority, Issued, Leaf},
    upstream::Upstream,
    world::{Route, World, ask, kind_of_failure},
};

/// Pins of the certificate and of its key.
fn pins(issued: &Issued) -> [UpstreamPin; 2] {
    let certificate = Certificate::from_der(&issued.der).unwrap();
    let key = certificate.spki_sha256();
    [UpstreamPin::certificate(Sha256::digest(&issued.der).into()), UpstreamPin::public_key(key)]
}

fn route(world: &World, trust: UpstreamTrustBuilder) -> Route {
    route_with(world, trust.build().unwrap())
}

fn full_verification(world: &World) -> UpstreamTrustBuilder {
    UpstreamTrust::builder().add_roots_pem(world.servers.pem().as_bytes())
}

/// Both ways in which the pin alone decides.
fn only(pin: UpstreamPin) -> [UpstreamTrust; 2] {
    let dangerous = UpstreamTrust::builder().dangerous(UpstreamVerification::Nothing).pin(pin);
    [UpstreamTrust::pinned([pin]).unwrap(), dangerous.build().unwrap()]
}

fn route_with(world: &World, trust: UpstreamTrust) -> Route {
    IdentityLayer::new(world.identity("orders")).with_trust(trust).layer(world.client())
}

#[tokio::test]
async fn pin_is_demanded_in_addition_to_chain_and_name() {
    let world = World::new();
    let other = world.servers.issue(&Leaf::server());
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        for (right, wrong) in pins(&world.server).into_iter().zip(pins(&other)) {
            ask(&route(&world, full_verification(&world).pin(right)), &upstream.uri("/")).await;
            ask(&route(&world, full_verification(&world).pin(wrong).pin(right)), &upstream.uri("/")).await;
            let refused = route(&world, full_verification(&world).pin(wrong));
            let kind = kind_of_failure(&refused, &upstream.uri("/")).await;
            assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?} {wrong}");
        }
        assert_eq!(upstream.requests(), 4);
    }
}

#[tokio::test]
async fn pin_does_not_replace_authority_or_name() {
    let world = World::new();
    let mut elsewhere = Leaf::server();
    elsewhere.dns = vec!["elsewhere.example.com".into()];
    let impostors = Authority::root("Server Root");
    for certificate in [impostors.issue(&Leaf::server()), world.servers.issue(&elsewhere)] {
        let upstream = Upstream::builder(&certificate).start();
        for pin in pins(&certificate) {
            let refused = route(&world, full_verification(&world).pin(pin));
            let kind = kind_of_failure(&refused, &upstream.uri("/")).await;
            assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{pin}");
        }
        assert_eq!(upstream.requests(), 0);
    }
}

#[tokio::test]
async fn pin_alone_decides_without_verification() {
    let world = World::new();
    // As `openssl req -x509` creates them: not an end-entity certificate, and without the requested name.
    let mut leaf = Leaf::server().ca();
    leaf.dns.clear();
    let certificate = leaf.self_signed();
    let other = leaf.self_signed();
    for (tls, http) in every_version() {
        let upstream = Upstream::builder(&certificate).tls(tls).http(http).start();
        for (right, wrong) in pins(&certificate).into_iter().zip(pins(&other)) {
            for accepted in only(right).map(|trust| route_with(&world, trust)) {
                assert_eq!(ask(&accepted, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso");
            }
            for refused in only(wrong).map(|trust| route_with(&world, trust)) {
                let kind = kind_of_failure(&refused, &upstream.uri("/")).await;
                assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?} {wrong}");
            }
        }
        assert_eq!(upstream.requests(), 4);
    }
}

#[tokio::test]
async fn pinned_certificate_is_useless_without_its_key() {
    let world = World::new();
    let thief = world.servers.issue(&Leaf::server());
    for (tls, http) in every_version() {
        let stolen = Issued { der: world.server.der.clone(), chain: Vec::new(), key: copy(&thief) };
        let upstream = Upstream::builder(&stolen).tls(tls).http(http).start();
        for pin in pins(&world.server) {
            for refused in only(pin).map(|trust| route_with(&world, trust)) {
                let kind = kind_of_failure(&refused, &upstream.uri("/")).await;
                assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?} {pin}");
            }
        }
        assert_eq!(upstream.requests(), 0);
    }
}

fn copy(issued: &Issued) -> rcgen::KeyPair {
    rcgen::KeyPair::from_pem(&issued.key_pem()).unwrap()
}

#[tokio::test]
async fn pinned_key_survives_the_renewal_of_its_certificate() {
    let world = World::new();
    let [certificate, key] = pins(&world.server);
    let renewed = world.servers.issue_for(&Leaf::server().serial(8), copy(&world.server));
    let upstream = Upstream::builder(&renewed).start();
    ask(&route(&world, full_verification(&world).pin(key)), &upstream.uri("/")).await;
    let refused = route(&world, full_verification(&world).pin(certificate));
    assert_eq!(kind_of_failure(&refused, &upstream.uri("/")).await, ClientErrorKind::UpstreamNotTrusted);
}

#[test]
fn pinned_trust_needs_a_pin() {
    assert_eq!(UpstreamTrust::pinned([]).unwrap_err(), UpstreamTrustError::NoPins);
    assert_eq!(UpstreamTrust::builder().only_pins().build().unwrap_err(), UpstreamTrustError::NoPins);
}

#[tokio::test]
async fn spiffe_id_is_required_in_place_of_the_host_name() {
    const ORDERS: &str = "spiffe://contoso.com/orders";
    let world = World::new();
    let strangers = Authority::root("Server Root");
    let mut nameless = Leaf::server();
    nameless.dns.clear();
    let svid = nameless.clone().uri(ORDERS);
    for (name, certificate, expected) in [
        ("no host name", world.servers.issue(&svid), true),
        ("a host name beside it", world.servers.issue(&Leaf::server().uri(ORDERS)), true),
        ("another id", world.servers.issue(&nameless.clone().uri("spiffe://contoso.com/billing")), false),
        (
            "another trust domain",
            world.servers.issue(&nameless.clone().uri("spiffe://fabrikam.com/orders")),
            false,
        ),
        ("two URIs", world.servers.issue(&svid.clone().uri("https://contoso.com")), false),
        ("the host name alone", world.servers.issue(&Leaf::server()), false),
        ("another CA", strangers.issue(&svid), false),
        ("a client's certificate", world.servers.issue(&Leaf::client("orders").uri(ORDERS)), false),
        ("expired", world.servers.issue(&svid.clone().until(pki::now() - 60)), false),
        ("self-signed", svid.self_signed(), false),
    ] {
        for (tls, http) in every_version() {
            let upstream = Upstream::builder(&certificate).tls(tls).http(http).start();
            let trust = UpstreamTrust::spiffe_id(world.servers.pem(), ORDERS.parse().unwrap()).unwrap();
            let route = route_with(&world, trust);
            if expected {
                assert_eq!(ask(&route, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso", "{name}");
            } else {
                let kind = kind_of_failure(&route, &upstream.uri("/")).await;
                assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{name} {tls:?} {http:?}");
                assert_eq!(upstream.requests(), 0, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn pin_is_required_beside_the_spiffe_id() {
    let world = World::new();
    let upstream = world.servers.issue(&Leaf::server().uri("spiffe://contoso.com/orders"));
    let other = world.servers.issue(&Leaf::server());
    let trust = |pin| {
        let builder = full_verification(&world).spiffe_id("spiffe://contoso.com/orders".parse().unwrap());
        builder.pin(pin)
    };
    let ([_, right], [_, wrong]) = (pins(&upstream), pins(&other));
    let upstream = Upstream::builder(&upstream).start();
    ask(&route(&world, trust(right)), &upstream.uri("/")).await;
    let refused = route(&world, trust(wrong));
    assert_eq!(kind_of_failure(&refused, &upstream.uri("/")).await, ClientErrorKind::UpstreamNotTrusted);
}
