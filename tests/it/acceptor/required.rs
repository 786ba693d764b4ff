//! Listeners that require a certificate, and a chain, in the handshake.

use std::{io, net::SocketAddr, time::Duration};

use rcgen::ExtendedKeyUsagePurpose;
use rustls::{
    AlertDescription, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime},
    time_provider::TimeProvider,
};
use tower_mtls::{
    Shared,
    acceptor::{ServerTlsBuilder, TlsVersion},
};

use super::*;
use crate::support::{pki, provider};

impl World {
    /// Requires certificates.
    fn requiring(&self) -> ServerTlsBuilder {
        let builder = ServerTls::builder().certificate_pem(self.server.chain_pem(), self.server.key_pem());
        builder.client_certificate(ClientCertificateRequest::Require)
    }

    /// Requires chains to one of these roots.
    fn trusting(&self, roots: &[&Authority]) -> ServerTls {
        let roots = TrustAnchors::from_der(roots.iter().map(|root| root.der())).unwrap();
        self.requiring().client_trust(roots).build().unwrap()
    }

    fn serve_shared(&self, tls: Shared<ServerTls>, app: Router) -> Server {
        Server::start(async move |socket: TcpListener| {
            let listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
            axum::serve(listener, capture(app)).await.unwrap();
        })
    }
}

/// The alert by which the server ends the handshake. On TLS 1.3 the caller reads it after its own handshake.
async fn alert(caller: &Caller, address: SocketAddr) -> AlertDescription {
    let handshake = async {
        let mut stream = caller.handshake(address).await?;
        stream.read_exact(&mut [0; 1]).await.map(drop)
    };
    let error: io::Error = in_time("an alert", handshake).await.expect_err("rejected");
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        other => panic!("{error}: {other:?}"),
    }
}

#[tokio::test]
async fn required_certificate_ends_other_handshakes_and_proves_no_chain() {
    let world = World::new();
    let server = world.serve_with(
        world.requiring().build().unwrap(),
        app(world.partners_only()).0,
        ListenerLimits::default(),
    );
    let self_made = certified(&Leaf::client("partner").self_signed());
    for (version, http) in every_version() {
        let anonymous = world.caller(None, version, http);
        assert_eq!(
            alert(&anonymous, server.address()).await,
            AlertDescription::CertificateRequired,
            "{version:?} {http:?}"
        );
        let stranger = world.caller(Some(self_made.clone()), version, http);
        let mut stranger = stranger.connect(server.address()).await;
        assert_eq!(stranger.get("/open").await.body, "open", "{version:?} {http:?}");
        assert_refused(&stranger.get("/guarded").await, http, "self-made");
        let partner = world.caller(Some(world.partner()), version, http);
        assert_greeted(&partner.get(server.address(), "/guarded").await, "CN=partner,O=Contoso");
    }
}

#[tokio::test]
async fn key_of_another_certificate_ends_the_handshake_of_a_trusted_one() {
    let world = World::new();
    let (app, _) = app(world.partners_only());
    let server = world.serve_with(world.trusting(&[&world.partners]), app, ListenerLimits::default());
    let partner = world.partners.issue(&Leaf::client("partner"));
    let thief = world.partners.issue(&Leaf::client("thief"));
    for version in Tls::BOTH {
        let caller = world.caller(Some(with_key_of(&partner, &thief)), version, Http::One);
        assert_eq!(alert(&caller, server.address()).await, AlertDescription::DecryptError, "{version:?}");
    }
}

#[tokio::test]
async fn untrusted_chain_ends_the_handshake_with_its_alert() {
    let world = World::new();
    let (app, _) = app(world.partners_only());
    let server = world.serve_with(world.trusting(&[&world.partners]), app, ListenerLimits::default());
    let (strangers, now) = (Authority::root("Partner CA"), pki::now());
    let partner = || Leaf::client("partner");
    let below = world.partners.intermediate("Issuing CA");
    let cases = [
        ("partner", Some(world.partners.issue(&partner())), None),
        ("partner below an intermediate", Some(below.issue(&partner())), None),
        ("nothing", None, Some(AlertDescription::CertificateRequired)),
        ("self-made", Some(partner().self_signed()), Some(AlertDescription::UnknownCA)),
        ("self-made CA", Some(partner().ca().self_signed()), Some(AlertDescription::UnknownCA)),
        ("CA of the same name", Some(strangers.issue(&partner())), Some(AlertDescription::UnknownCA)),
        (
            "expired",
            Some(world.partners.issue(&partner().until(now - 60))),
            Some(AlertDescription::CertificateExpired),
        ),
        (
            "not valid yet",
            Some(world.partners.issue(&partner().from(now + 3_600))),
            Some(AlertDescription::CertificateExpired),
        ),
        (
            "for servers",
            Some(world.partners.issue(&partner().usages(&[ExtendedKeyUsagePurpose::ServerAuth]))),
            Some(AlertDescription::UnsupportedCertificate),
        ),
    ];
    for (name, issued, expected) in &cases {
        for (version, http) in every_version() {
            let caller = world.caller(issued.as_ref().map(certified), version, http);
            match expected {
                None => {
                    assert_greeted(&caller.get(server.address(), "/guarded").await, "CN=partner,O=Contoso")
                }
                Some(expected) => {
                    let alert = alert(&caller, server.address()).await;
                    assert_eq!(alert, *expected, "{name} {version:?} {http:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn resumed_session_is_judged_by_the_layer_only() {
    let world = World::new();
    for (version, http) in every_version() {
        let until = pki::now() + 3_600;
        let partner = certified(&world.partners.issue(&Leaf::client("partner").until(until)));
        let (app, clock) = app(world.partners_only());
        let server = world.serve_with(world.trusting(&[&world.partners]), app, ListenerLimits::default());
        let caller = world.caller(Some(partner), version, http);
        let mut open = caller.connect(server.address()).await;
        assert_greeted(&open.get("/guarded").await, "CN=partner,O=Contoso");

        clock.set(Timestamp::from_unix(until + 1));
        let mut resumed = caller.connect(server.address()).await;
        assert!(resumed.is_resumed(), "{version:?} {http:?}");
        assert_refused(&resumed.get("/guarded").await, http, "resumed");
        assert_refused(&open.get("/guarded").await, http, "open");
    }
}

#[tokio::test]
async fn changed_roots_resume_no_earlier_session() {
    let world = World::new();
    let others = Authority::root("Other CA");
    for (version, http) in every_version() {
        let shared = Shared::new(world.trusting(&[&world.partners]));
        let server = world.serve_shared(shared.clone(), app(world.partners_only()).0);
        let caller = world.caller(Some(world.partner()), version, http);
        for is_resumed in [false, true] {
            let mut connection = caller.connect(server.address()).await;
            assert_eq!(connection.is_resumed(), is_resumed, "{version:?} {http:?}");
            assert_greeted(&connection.get("/guarded").await, "CN=partner,O=Contoso");
        }
        shared.replace(world.trusting(&[&world.partners, &others]));
        let mut connection = caller.connect(server.address()).await;
        assert!(!connection.is_resumed(), "{version:?} {http:?}");
        assert_greeted(&connection.get("/guarded").await, "CN=partner,O=Contoso");
        drop(connection);

        shared.replace(world.trusting(&[&others]));
        assert_eq!(
            alert(&caller, server.address()).await,
            AlertDescription::UnknownCA,
            "{version:?} {http:?}"
        );
    }
}

#[derive(Debug)]
struct Fixed(i64);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0 as u64)))
    }
}

#[tokio::test]
async fn chain_is_judged_at_the_time_of_the_rustls_configuration() {
    let world = World::new();
    let partner = certified(&world.partners.issue(&Leaf::client("partner").until(NOON)));
    let chain = vec![CertificateDer::from(world.server.der.clone())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(world.server.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
    for (now, is_accepted) in [(NOON, true), (NOON + 1, false)] {
        config.time_provider = Arc::new(Fixed(now));
        let tls = ServerTls::builder()
            .with_config(config.clone())
            .min_version(TlsVersion::V1_2)
            .client_certificate(ClientCertificateRequest::Require)
            .client_trust(TrustAnchors::from_der([world.partners.der()]).unwrap());
        let (app, _) = app(world.partners_only());
        let server = world.serve_with(tls.build().unwrap(), app, ListenerLimits::default());
        let caller = world.caller(Some(partner.clone()), Tls::V13, Http::Two);
        if is_accepted {
            assert_greeted(&caller.get(server.address(), "/guarded").await, "CN=partner,O=Contoso");
        } else {
            assert_eq!(alert(&caller, server.address()).await, AlertDescription::CertificateExpired);
        }
    }
}
