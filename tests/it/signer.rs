//! Identities whose key is not exportable.
#![cfg(all(feature = "outbound", any(feature = "aws-lc-rs", feature = "ring")))]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rustls::{
    SignatureAlgorithm, SignatureScheme,
    pki_types::SubjectPublicKeyInfoDer,
    sign::{Signer, SigningKey},
};
use tower::Layer;
use tower_mtls::{
    ClientIdentity, IdentityLayer, identity::IdentityError, keys::KeyPairError, outbound::ClientErrorKind,
};

use crate::support::{
    certified, every_version,
    pki::{Issued, Leaf},
    world::{World, ask, kind_of_failure},
};

/// Delegates signatures to another key, and counts them.
#[derive(Debug, Clone)]
struct Delegating {
    key: Arc<dyn SigningKey>,
    signatures: Arc<AtomicUsize>,
    tells_its_public_key: bool,
}

impl Delegating {
    fn to(issued: &Issued) -> Self {
        let key = certified(issued).key.clone();
        Self { key, signatures: Arc::default(), tells_its_public_key: true }
    }
}

impl SigningKey for Delegating {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        Some(Box::new(Counting { signer, signatures: self.signatures.clone() }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key().filter(|_| self.tells_its_public_key)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

#[derive(Debug)]
struct Counting {
    signer: Box<dyn Signer>,
    signatures: Arc<AtomicUsize>,
}

impl Signer for Counting {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.signatures.fetch_add(1, Ordering::Relaxed);
        self.signer.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.signer.scheme()
    }
}

#[tokio::test]
async fn identity_of_a_signing_key_authenticates_at_the_upstream() {
    let world = World::new();
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).only_for(&world.clients).start();
        for tells_its_public_key in [true, false] {
            let issued = world.clients.issue(&Leaf::client("orders"));
            let signer = Delegating { tells_its_public_key, ..Delegating::to(&issued) };
            let signatures = signer.signatures.clone();
            let identity = ClientIdentity::from_signer([issued.der.clone()], Arc::new(signer)).unwrap();
            assert_eq!(signatures.load(Ordering::Relaxed), 0);
            let route = IdentityLayer::new(identity).layer(world.client());
            for _ in 0..3 {
                assert_eq!(ask(&route, &upstream.uri("/")).await.subject, "CN=orders,O=Contoso");
            }
            assert_eq!(signatures.load(Ordering::Relaxed), 1, "{tls:?} {http:?}: once for a connection");
        }
    }
}

#[test]
fn signer_of_another_certificate_is_refused() {
    let world = World::new();
    let [orders, billing] = ["orders", "billing"].map(|name| world.clients.issue(&Leaf::client(name)));
    let mismatch = ClientIdentity::from_signer([orders.der], Arc::new(Delegating::to(&billing)));
    assert_eq!(mismatch.unwrap_err(), IdentityError::KeyPair(KeyPairError::Mismatch));
}

#[test]
fn signer_needs_a_readable_certificate() {
    let world = World::new();
    let signer: Arc<dyn SigningKey> = Arc::new(Delegating::to(&world.clients.issue(&Leaf::client("orders"))));
    let nothing = ClientIdentity::from_signer(Vec::<Vec<u8>>::new(), signer.clone());
    assert_eq!(nothing.unwrap_err(), IdentityError::NoCertificate);
    assert!(ClientIdentity::from_signer([b"no certificate".to_vec()], signer).is_err());
}

#[tokio::test]
async fn signer_with_an_undisclosed_wrong_key_is_refused_by_the_upstream() {
    let world = World::new();
    let [orders, billing] = ["orders", "billing"].map(|name| world.clients.issue(&Leaf::client(name)));
    for (tls, http) in every_version() {
        let upstream = world.upstream().tls(tls).http(http).start();
        let signer = Delegating { tells_its_public_key: false, ..Delegating::to(&billing) };
        let identity = ClientIdentity::from_signer([orders.der.clone()], Arc::new(signer)).unwrap();
        let route = IdentityLayer::new(identity).layer(world.client());
        let kind = kind_of_failure(&route, &upstream.uri("/")).await;
        assert_eq!(
            kind,
            ClientErrorKind::Tls,
            "{tls:?} {http:?}: decrypt_error is no word on the certificate"
        );
        assert_eq!(upstream.requests(), 0);
    }
}
