//! `ServerTls` in real handshakes: certificates by server name, TLS versions, own rustls configurations.
#![cfg(all(feature = "acceptor", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use http::Request;
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, ServerName},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::SingleCertAndKey,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::{Service, service_fn};
use tower_mtls::{
    MtlsListener, ServerTls,
    acceptor::{ServerTlsBuilder, ServerTlsError, TlsVersion},
    certificate::Presented,
    danger::presented,
    keys::KeyPairError,
};

use crate::support::{
    Tls, certified, in_time,
    pki::{Authority, Issued, Leaf},
    provider,
};

struct World {
    servers: Authority,
    clients: Authority,
    /// Valid for the names of all tests.
    default: Issued,
}

const NAMES: [&str; 4] =
    ["localhost", "orders.example.com", "deep.orders.example.com", "unknown.example.org"];

impl World {
    fn new() -> Self {
        let servers = Authority::root("Server Root");
        let default = servers.issue(&leaf_for(&NAMES));
        Self { servers, clients: Authority::root("Client CA"), default }
    }

    fn issue(&self, names: &[&str]) -> Issued {
        self.servers.issue(&leaf_for(names))
    }

    fn builder(&self) -> ServerTlsBuilder {
        ServerTls::builder().certificate_pem(self.default.chain_pem(), self.default.key_pem())
    }

    /// A caller with a certificate, and a session store of its own.
    fn caller(&self, tls: Tls) -> ClientConfig {
        let identity = certified(&self.clients.issue(&Leaf::client("orders")));
        let mut config = self.anonymous(tls);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity));
        config
    }

    fn anonymous(&self, tls: Tls) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.servers.der().to_vec())).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(tls.versions())
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

fn leaf_for(names: &[&str]) -> Leaf {
    let mut leaf = Leaf::server();
    leaf.dns = names.iter().map(|name| (*name).to_owned()).collect();
    leaf
}

/// Writes the subject that each caller presented, `-` without a certificate.
async fn serve(tls: ServerTls) -> SocketAddr {
    let mut listener = MtlsListener::bind("127.0.0.1:0", tls).await.unwrap();
    let address = listener.local_addr();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await;
            let mut service = stream.capture(service_fn(async |request: Request<()>| {
                Ok::<_, Infallible>(match presented(request.extensions()) {
                    Some(Presented::Certificate(certificate)) => certificate.subject().to_string(),
                    _ => "-".to_owned(),
                })
            }));
            let subject = service.call(Request::new(())).await.unwrap();
            // The caller may be gone.
            let _ = stream.write_all(subject.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

async fn connect(config: &Arc<ClientConfig>, address: SocketAddr, name: &str) -> io::Result<(Seen, String)> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(config.clone()).connect(name, tcp);
    let mut stream = in_time("a handshake", connecting).await?;
    let mut subject = String::new();
    in_time("a subject", stream.read_to_string(&mut subject)).await?;
    Ok((Seen::of(&stream), subject))
}

struct Seen {
    certificate: Vec<u8>,
    is_resumed: bool,
    alpn: Vec<u8>,
}

impl Seen {
    fn of(stream: &TlsStream<TcpStream>) -> Self {
        let tls = stream.get_ref().1;
        Self {
            certificate: tls.peer_certificates().unwrap()[0].to_vec(),
            is_resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
            alpn: tls.alpn_protocol().unwrap_or_default().to_vec(),
        }
    }
}

#[tokio::test]
async fn certificate_is_chosen_by_server_name() {
    let world = World::new();
    let orders = world.issue(&["orders.example.com"]);
    let any = world.issue(&["*.example.com", "*.orders.example.com"]);
    let tls = world
        .builder()
        .add_certificate_for("*.example.com", any.chain_pem(), any.key_pem())
        .add_certificate_for("Orders.Example.com", orders.chain_pem(), orders.key_pem())
        .add_certified_key_for("*.orders.example.com", certified(&any));
    let address = serve(tls.build().unwrap()).await;
    for version in Tls::BOTH {
        let (sni, mut no_sni) = (world.caller(version), world.caller(version));
        no_sni.enable_sni = false;
        let (sni, no_sni) = (Arc::new(sni), Arc::new(no_sni));
        for (name, config, expected) in [
            ("orders.example.com", &sni, &orders),
            ("billing.example.com", &sni, &any),
            ("deep.orders.example.com", &sni, &any),
            ("unknown.example.org", &sni, &world.default),
            ("localhost", &sni, &world.default),
            ("orders.example.com", &no_sni, &world.default),
        ] {
            let (seen, subject) = connect(config, address, name).await.unwrap();
            assert_eq!(seen.certificate, expected.der, "{name} {version:?}");
            assert_eq!(subject, "CN=orders,O=Contoso", "{name} {version:?}");
            assert_eq!(seen.alpn, b"h2", "{name} {version:?}");
        }
    }
}

#[test]
fn certificate_must_be_valid_for_its_server_name() {
    let world = World::new();
    let orders = world.issue(&["orders.example.com"]);
    let add = |name: &str, key: String| {
        let built = world.builder().add_certificate_for(name, orders.chain_pem(), key).build();
        built.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(add("orders.example.com", orders.key_pem()), Ok(()));
    for (name, key, message) in [
        (
            "billing.example.com",
            orders.key_pem(),
            "certificate for billing.example.com: the name is not among",
        ),
        ("*.example.com", orders.key_pem(), "certificate for *.example.com: the name is not among"),
        ("127.0.0.1", orders.key_pem(), "\"127.0.0.1\" is not a server name"),
        ("orders example", orders.key_pem(), "\"orders example\" is not a server name"),
        (
            "orders.example.com",
            world.default.key_pem(),
            "certificate for orders.example.com: the private key does not",
        ),
    ] {
        let error = add(name, key).unwrap_err();
        assert!(error.starts_with(message), "{name}: {error}");
    }
    let missing = ServerTls::builder().build().unwrap_err();
    assert!(matches!(missing, ServerTlsError::KeyPair(KeyPairError::CertificatePem(_))), "{missing}");
}

#[tokio::test]
async fn callers_below_the_minimum_tls_version_are_rejected() {
    let world = World::new();
    for (minimum, expected) in [
        (None, [true, true]),
        (Some(TlsVersion::V1_2), [true, true]),
        (Some(TlsVersion::V1_3), [false, true]),
    ] {
        let builder = world.builder();
        let builder = minimum.into_iter().fold(builder, ServerTlsBuilder::min_version);
        let address = serve(builder.build().unwrap()).await;
        for (version, expected) in [Tls::V12, Tls::V13].into_iter().zip(expected) {
            let connected = connect(&Arc::new(world.caller(version)), address, "localhost").await;
            assert_eq!(connected.is_ok(), expected, "{minimum:?} {version:?}");
        }
    }
}

/// A configuration that demands certificates of the server's own CA, without ALPN.
fn base(world: &World) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(world.servers.der().to_vec())).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(&world.default))))
}

#[tokio::test]
async fn own_configuration_keeps_its_certificate_and_verifies_possession_only() {
    let world = World::new();
    let orders = world.issue(&["orders.example.com"]);
    let own = ServerTls::builder().with_config(base(&world)).min_version(TlsVersion::V1_2);
    let own = own.add_certificate_for("orders.example.com", orders.chain_pem(), orders.key_pem());
    let address = serve(own.build().unwrap()).await;
    for version in Tls::BOTH {
        let caller = world.caller(version);
        let (_, subject) = connect(&Arc::new(world.anonymous(version)), address, "localhost").await.unwrap();
        assert_eq!(subject, "-", "{version:?}");
        for (name, expected) in [("localhost", &world.default), ("orders.example.com", &orders)] {
            let (seen, subject) = connect(&Arc::new(caller.clone()), address, name).await.unwrap();
            assert_eq!((&seen.certificate, &*subject), (&expected.der, "CN=orders,O=Contoso"), "{version:?}");
            assert_eq!(seen.alpn, b"h2", "{version:?}");
        }
    }
    let replaced = world.issue(&["localhost"]);
    let replaced_tls = ServerTls::builder()
        .with_config(base(&world))
        .min_version(TlsVersion::V1_3)
        .certificate_pem(replaced.chain_pem(), replaced.key_pem())
        .only_http1();
    let address = serve(replaced_tls.build().unwrap()).await;
    let (seen, _) = connect(&Arc::new(world.caller(Tls::V13)), address, "localhost").await.unwrap();
    assert_eq!((seen.certificate, &*seen.alpn), (replaced.der, &b"http/1.1"[..]));
    assert!(connect(&Arc::new(world.caller(Tls::V12)), address, "localhost").await.is_err());
}

#[test]
fn own_configuration_needs_a_minimum_tls_version() {
    let error = ServerTls::builder().with_config(base(&World::new())).build().unwrap_err();
    assert_eq!(error, ServerTlsError::MissingMinVersion);
}

#[cfg(feature = "aws-lc-rs")]
#[tokio::test]
async fn own_configurations_share_no_sessions() {
    let world = World::new();
    let mut shared = base(&world);
    shared.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    let mut without = base(&world);
    without.session_storage = Arc::new(NoServerSessionStorage {});
    for version in Tls::BOTH {
        let serve = async |config: &ServerConfig| {
            let tls = ServerTls::builder().with_config(config.clone()).min_version(TlsVersion::V1_2);
            serve(tls.build().unwrap()).await
        };
        let (one, other, never) = (serve(&shared).await, serve(&shared).await, serve(&without).await);
        // The client keeps sessions by name, whatever the address.
        for (name, addresses, expected) in [
            ("the same", [one, one], true),
            ("another of the same base", [one, other], false),
            ("resumption switched off", [never, never], false),
        ] {
            let caller = Arc::new(world.caller(version));
            let (first, _) = connect(&caller, addresses[0], "localhost").await.unwrap();
            assert!(!first.is_resumed);
            let (second, subject) = connect(&caller, addresses[1], "localhost").await.unwrap();
            assert_eq!(second.is_resumed, expected, "{name} {version:?}");
            assert_eq!(subject, "CN=orders,O=Contoso");
        }
    }
}
