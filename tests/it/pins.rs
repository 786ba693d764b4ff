//! Upstreams that are pinned by certificate or key.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use sha2::{Digest, Sha256};
use tower::Layer;
use tower_mtls::{
    Certificate, ClientErrorKind, IdentityLayer, UpstreamTrust,
    danger::UpstreamVerification,
    outbound::{UpstreamPin, UpstreamTrustBuilder},
};

use crate::support::{
    every_version,
    pki::{Authority, Issued, Leaf},
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
    IdentityLayer::new(world.identity("orders")).with_trust(trust.build().unwrap()).layer(world.client())
}

fn full_verification(world: &World) -> UpstreamTrustBuilder {
    UpstreamTrust::builder().add_roots_pem(world.servers.pem().as_bytes())
}

fn no_verification() -> UpstreamTrustBuilder {
    UpstreamTrust::builder().dangerous(UpstreamVerification::Nothing)
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
            let accepted = route(&world, no_verification().pin(right));
            assert_eq!(ask(&accepted, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso");
            let refused = route(&world, no_verification().pin(wrong));
            let kind = kind_of_failure(&refused, &upstream.uri("/")).await;
            assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?} {wrong}");
        }
        assert_eq!(upstream.requests(), 2);
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
            let refused = route(&world, no_verification().pin(pin));
            let kind = kind_of_failure(&refused, &upstream.uri("/")).await;
            assert_eq!(kind, ClientErrorKind::UpstreamNotTrusted, "{tls:?} {http:?} {pin}");
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
