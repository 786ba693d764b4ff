//! `[routes.upstream_tls] spiffe_id`: an upstream that is known by its SPIFFE ID.

use std::{fs, path::Path};

use crate::support::{
    Demo, fronted, get, soon,
    upstream::{Connection, Upstream},
    whole,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Replaces the upstream's certificate by one with this URI alone, and writes its CA to `spiffe-ca.pem`.
fn issue(dir: &Path, uri: &str) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(dir.join("spiffe-ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);

    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    fs::write(dir.join("backend.pem"), leaf.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    fs::write(dir.join("backend.key"), key.serialize_pem()).unwrap();
}

async fn respond(mut stream: Connection) {
    let mut request = [0; 4_096];
    // The connection may be closed without a request.
    if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    }
}

async fn status_with(spiffe_id: &str) -> (u16, String) {
    let demo = Demo::start();
    issue(&demo.dir(), "spiffe://contoso.com/orders");
    let upstream = Upstream::start(&demo.dir(), &["http/1.1"], respond).await;
    let route = format!("upstream_tls = {{ ca = [\"spiffe-ca.pem\"], spiffe_id = \"{spiffe_id}\" }}");
    let (_running, demo) = fronted::start_with(demo, upstream.address, "", &route);
    let mut sender = demo.http1(Some("client")).await;
    let (status, _, body) = whole(soon(sender.send_request(get("/"))).await.unwrap()).await;
    (status, body)
}

#[tokio::test]
async fn upstream_with_the_spiffe_id_is_called() {
    assert_eq!(status_with("spiffe://contoso.com/orders").await.0, 204);
}

#[tokio::test]
async fn upstream_with_another_spiffe_id_gets_no_request() {
    let (status, body) = status_with("spiffe://contoso.com/billing").await;
    assert_eq!(status, 502);
    assert!(body.contains("\"code\":\"back_end_not_trusted\""), "{body}");
}
