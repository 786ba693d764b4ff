//! Revocation lists from files and URLs.
#![cfg(unix)]

mod check;
mod crl_server;
mod downloads;
mod files;
mod invalid_configuration;

use std::{fs, path::PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::support::{
    Demo, Running, get, metrics,
    pki::{Authority, Leaf, now},
    value, whole,
};

const NOT_RELOADED: &str = "ERROR gateway::server::follow: configuration not reloaded: ";
const RELOADED: &str = "INFO gateway::server::follow: reloaded";
const DOWNLOADED: &str = "INFO gateway::crl::fetcher: crl downloaded";
const NOT_DOWNLOADED: &str = "ERROR gateway::crl::fetcher: crl not downloaded";

/// Serial numbers of the certificates of `good` and `listed`.
const GOOD: u64 = 7;
const LISTED: u64 = 8;

const DAY: i64 = 86_400;

/// The gateway's folder: `own-ca.pem`, and the certificates `good` and `listed` of that CA.
struct World {
    demo: Demo,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        let demo = Demo::start();
        let authority = Authority::root("Own CA");
        let world = Self { demo, authority };
        fs::write(world.file("own-ca.pem"), world.authority.pem()).unwrap();
        for (name, serial) in [("good", GOOD), ("listed", LISTED)] {
            let issued = world.authority.issue(&Leaf::client(name).serial(serial));
            fs::write(world.file(&format!("{name}.pem")), issued.chain_pem()).unwrap();
            fs::write(world.file(&format!("{name}.key")), issued.key_pem()).unwrap();
        }
        world
    }

    fn file(&self, name: &str) -> PathBuf {
        self.demo.dir().join(name)
    }

    /// A list of the CA with this number and these serial numbers.
    fn list(&self, number: u64, serials: &[u64]) -> Vec<u8> {
        self.authority.crl(number, serials, (now() - DAY, now() + DAY))
    }

    /// Writes the configuration, with these keys of the set of CAs.
    fn configure(&self, keys: &str) -> PathBuf {
        let toml = fs::read_to_string(self.file("gateway.toml")).unwrap();
        let upstream = toml.split('"').find(|text| text.starts_with("https://localhost:")).unwrap();
        let text = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
             [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"management.token\"\n\
             [trust.own]\nca = [\"own-ca.pem\"]\n{keys}\n\
             [identities.orders]\npfx = \"orders.pfx\"\npassword_file = \"orders.password\"\n\
             [upstream_tls]\nca = [\"backend-ca.pem\"]\n\
             [[routes]]\npath = \"/\"\nupstream = \"{upstream}\"\nidentity = \"orders\"\n\
             client_certificate = {{ trust = \"own\" }}\n"
        );
        let config = self.file("revocation.toml");
        fs::write(&config, text).unwrap();
        config
    }

    /// Starts the gateway with these keys.
    fn start(&mut self, keys: &str) -> Running {
        let (running, port) = Running::start(&self.configure(keys));
        self.demo.port = port;
        running
    }

    /// The status of a request on a new connection.
    async fn status(&self, certificate: &str) -> u16 {
        let response = self.demo.http1(Some(certificate)).await.send_request(get("/")).await.unwrap();
        whole(response).await.0
    }

    /// The statuses of both callers.
    async fn statuses(&self) -> [u16; 2] {
        [self.status("good").await, self.status("listed").await]
    }

    async fn is_ready(&self, running: &Running) -> u16 {
        let socket = TcpStream::connect(("127.0.0.1", running.management_port())).await.unwrap();
        let stream = TokioIo::new(self.demo.handshake(socket, None, b"http/1.1").await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        whole(sender.send_request(get("/readyz")).await.unwrap()).await.0
    }

    /// A gauge or counter of the set.
    async fn metric(&self, running: &Running, name: &str, labels: &str) -> Option<f64> {
        let metrics = metrics(&self.demo, running.management_port()).await;
        value(&metrics, &format!("{name}{{trust=\"own\"{labels}}}"))
    }
}

/// Label of the lists of the CA.
const ISSUER: &str = ",issuer=\"CN=Own CA,O=Contoso\"";
