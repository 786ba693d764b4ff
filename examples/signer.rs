//! Run with: cargo run --example signer --all-features
//!
//! An identity whose private key is never in the client: an agent on its own thread owns it, like a hardware module or a
//! key service, and returns signatures only. The upstream runs in the same process.

mod support;

use std::{
    error::Error,
    fmt,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use rustls::{
    SignatureAlgorithm, SignatureScheme,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, pem::PemObject},
    sign::{Signer, SigningKey},
};
use tower::{Layer, ServiceExt};
use tower_mtls::{
    ClientCertificate, ClientIdentity, IdentityLayer, MtlsClient, MtlsListener, Policy,
    RequireCertificateLayer, ServerTls, TrustAnchors, UpstreamTrust, capture,
};

use self::support::{Authority, Issued};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let ca = Authority::new("Upstreams CA")?;
    let url = format!("https://{}/", upstream(&ca).await?);

    let Issued { certificate, key } = ca.client("orders-gateway")?;
    let agent = Agent::start(&key)?;
    drop(key);
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let orders = ClientIdentity::from_signer([certificate.to_vec()], agent.key())?;

    let client: MtlsClient<Empty<Bytes>> =
        MtlsClient::builder().trust(UpstreamTrust::from_pem(ca.pem())?).build();
    let route = IdentityLayer::new(orders).layer(client);
    for _ in 0..2 {
        let response = route.clone().oneshot(Request::get(&url).body(Empty::new())?).await?;
        let seen = response.into_body().collect().await?.to_bytes();
        println!("the upstream saw {}", String::from_utf8_lossy(&seen));
        assert_eq!(seen, "CN=orders-gateway,O=Contoso");
    }

    drop(route);
    let signatures = agent.stop()?;
    println!("the agent signed {signatures} time, for one connection");
    assert_eq!(signatures, 1);

    // The agent discloses its public key, so a mismatched certificate is an error at once.
    let other = CertificateDer::from_pem_slice(ca.client("billing-gateway")?.certificate.as_bytes())?;
    let agent = Agent::start(&ca.client("orders-gateway")?.key)?;
    let Err(mismatch) = ClientIdentity::from_signer([other.to_vec()], agent.key()) else {
        return Err("a certificate of another key was accepted".into());
    };
    println!("with another's certificate: {mismatch}");
    Ok(())
}

/// A request to the agent: sign this message with this scheme, and send the signature there.
type Task = (SignatureScheme, Vec<u8>, mpsc::Sender<Result<Vec<u8>, rustls::Error>>);

/// Owns the key, and signs.
struct Agent {
    thread: thread::JoinHandle<usize>,
    key: RemoteKey,
}

impl Agent {
    fn start(key: &str) -> Result<Self, Box<dyn Error>> {
        let key = aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(key.as_bytes())?)?;
        let (tasks, asked) = mpsc::channel::<Task>();
        let public_key = key.public_key().ok_or("the key has no public key")?.to_vec();
        let schemes = vec![SignatureScheme::ECDSA_NISTP256_SHA256];
        let remote = RemoteKey { tasks, schemes, algorithm: key.algorithm(), public_key };
        let thread = thread::spawn(move || {
            let mut signatures = 0;
            for (scheme, message, reply) in asked {
                let signer = key.choose_scheme(&[scheme]);
                let signer = signer.ok_or_else(|| rustls::Error::General("no such scheme".into()));
                signatures += 1;
                let _ = reply.send(signer.and_then(|signer| signer.sign(&message)));
            }
            signatures
        });
        Ok(Self { thread, key: remote })
    }

    fn key(&self) -> Arc<dyn SigningKey> {
        Arc::new(self.key.clone())
    }

    /// Ends once all senders are gone, and returns the number of signatures.
    fn stop(self) -> Result<usize, Box<dyn Error>> {
        drop(self.key);
        self.thread.join().map_err(|_| "the agent panicked".into())
    }
}

/// The agent's key as rustls uses it: all but the private key.
#[derive(Clone)]
struct RemoteKey {
    tasks: mpsc::Sender<Task>,
    schemes: Vec<SignatureScheme>,
    algorithm: SignatureAlgorithm,
    public_key: Vec<u8>,
}

impl SigningKey for RemoteKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.schemes.iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(RemoteSigner { tasks: self.tasks.clone(), scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.public_key.as_slice()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

impl fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKey").field("schemes", &self.schemes).finish_non_exhaustive()
    }
}

struct RemoteSigner {
    tasks: mpsc::Sender<Task>,
    scheme: SignatureScheme,
}

impl Signer for RemoteSigner {
    /// rustls waits here, within the handshake: an agent must be fast.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let gone = || rustls::Error::General("the agent is gone".into());
        let (reply, signature) = mpsc::channel();
        self.tasks.send((self.scheme, message.to_vec(), reply)).map_err(|_| gone())?;
        signature.recv().map_err(|_| gone())?
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSigner").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Serves the subject of the caller, to holders of this CA's certificates only.
async fn upstream(ca: &Authority) -> Result<SocketAddr, Box<dyn Error>> {
    let policy = Policy::builder().trust(TrustAnchors::from_pem(ca.pem().as_bytes())?).build()?;
    let app = Router::new()
        .route("/", get(|caller: ClientCertificate| async move { caller.subject().to_string() }))
        .layer(RequireCertificateLayer::new(policy));
    let server = ca.server()?;
    let tls = ServerTls::from_pem(server.certificate.as_bytes(), server.key.as_bytes())?;
    let listener = MtlsListener::bind("127.0.0.1:0", tls).await?;
    let address = listener.local_addr();
    tokio::spawn(async move { axum::serve(listener, capture(app)).await });
    Ok(address)
}
