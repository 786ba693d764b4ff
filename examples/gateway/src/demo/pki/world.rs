//! Who is who in the demo, made and written in one go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use p12_keystore::{Certificate as PfxCertificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{DistinguishedName, SanType};
use time::{Duration, OffsetDateTime};

use super::PkiError;
use super::authority::{Authority, Issued, Purpose, Validity, name};
use super::folder::{Access, MARK, MARK_TEXT, write as write_file};

/// The common name of the CA in `ca.pem`.
pub(super) const CA_COMMON_NAME: &str = "tower-mtls gateway demo CA";

/// The organization of everybody the demo trusts.
const CONTOSO: &str = "Contoso";

/// The partners CA's name as `gateway.toml` writes it.
pub(in crate::demo) const PARTNERS_CA: &str = "CN=Partners CA, O=Contoso";

/// How long certificates are valid.
const LIFETIME: Duration = Duration::days(90);

/// How far `notBefore` lies in the past, for clocks that are slow.
const BACKDATED: Duration = Duration::hours(1);

/// A password has 128 random bits: it needs no costly derivation, so this is what OpenSSL takes by default.
const PFX_ITERATIONS: u32 = 2048;

/// Makes the whole PKI and writes it into `dir`.
pub(super) fn write(dir: &Path, now: OffsetDateTime) -> Result<(), PkiError> {
    let valid = Validity { from: now - BACKDATED, until: now + LIFETIME };
    let expired = Validity { from: now - LIFETIME, until: now - Duration::days(1) };

    let ca = Authority::new(name("tower-mtls", CA_COMMON_NAME), valid)?;
    let partners = Authority::new(name(CONTOSO, "Partners CA"), valid)?;
    let strangers = Authority::new(name("Elsewhere", "Strangers CA"), valid)?;
    let impostors = partners.impostor(valid)?;
    let upstreams = Authority::new(name(CONTOSO, "Back Ends CA"), valid)?;

    let folder = Folder { dir };
    folder.public(MARK, MARK_TEXT)?;
    folder.public("ca.pem", &ca.pem())?;
    folder.public("partners-ca.pem", &partners.pem())?;
    folder.public("backend-ca.pem", &upstreams.pem())?;

    let server = ca.issue(name("tower-mtls", "localhost"), Purpose::Server(every_localhost()?), valid)?;
    folder.leaf("server", &server, None)?;
    let upstream = upstreams.issue(name(CONTOSO, "localhost"), Purpose::Server(vec![localhost()?]), valid)?;
    folder.leaf("backend", &upstream, None)?;

    // All callers have the same subject. What tells them apart is who signed, and when.
    let caller: DistinguishedName = name(CONTOSO, "orders-client");
    folder.leaf("client", &partners.issue(caller.clone(), Purpose::Client, valid)?, None)?;
    folder.leaf("expired", &partners.issue(caller.clone(), Purpose::Client, expired)?, None)?;
    // These two bring their CA along, as somebody would who wants it to be believed.
    folder.leaf("stranger", &strangers.issue(caller.clone(), Purpose::Client, valid)?, Some(&strangers))?;
    folder.leaf("impostor", &impostors.issue(caller, Purpose::Client, valid)?, Some(&impostors))?;

    for (identity, common_name) in [("orders", "orders-gateway"), ("billing", "billing-gateway")] {
        let issued = upstreams.issue(name(CONTOSO, common_name), Purpose::Client, valid)?;
        folder.identity(identity, &issued, &upstreams)?;
    }
    folder.secret("management.token", format!("{}\n", random_hex(32)?).as_bytes())
}

/// The demo's folder, to write to.
#[derive(Debug)]
struct Folder<'a> {
    dir: &'a Path,
}

impl Folder<'_> {
    fn public(&self, file: &str, text: &str) -> Result<(), PkiError> {
        write_file(self.dir, file, Access::Public, text.as_bytes())
    }

    fn secret(&self, file: &str, content: &[u8]) -> Result<(), PkiError> {
        write_file(self.dir, file, Access::Secret, content)
    }

    /// `stem.pem` with the certificate, followed by its CA's if asked for, and `stem.key`.
    fn leaf(&self, stem: &str, issued: &Issued, with: Option<&Authority>) -> Result<(), PkiError> {
        let mut pem = issued.certificate.pem();
        if let Some(authority) = with {
            pem.push_str(&authority.pem());
        }
        self.secret(&format!("{stem}.key"), issued.key.serialize_pem().as_bytes())?;
        self.public(&format!("{stem}.pem"), &pem)
    }

    /// `stem.pfx` with key, certificate and CA, `stem.password`, and `stem.pem` with the certificate alone.
    fn identity(&self, stem: &str, issued: &Issued, authority: &Authority) -> Result<(), PkiError> {
        let password = random_hex(16)?;
        let chain = PrivateKeyChain::new(
            stem,
            PrivateKey::from_der(issued.key.serialized_der())?,
            [PfxCertificate::from_der(issued.certificate.der())?, PfxCertificate::from_der(authority.der())?],
        );
        let mut store = KeyStore::new();
        store.add_entry(stem, KeyStoreEntry::PrivateKeyChain(chain));
        let pfx = store
            .writer(&password)
            .encryption_iterations(PFX_ITERATIONS)
            .mac_iterations(PFX_ITERATIONS)
            .write()?;
        self.secret(&format!("{stem}.pfx"), &pfx)?;
        self.secret(&format!("{stem}.password"), format!("{password}\n").as_bytes())?;
        self.public(&format!("{stem}.pem"), &issued.certificate.pem())
    }
}

/// The name `localhost`.
fn localhost() -> Result<SanType, PkiError> {
    Ok(SanType::DnsName("localhost".try_into()?))
}

/// `localhost` and its addresses.
fn every_localhost() -> Result<Vec<SanType>, PkiError> {
    Ok(vec![
        localhost()?,
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ])
}

/// `bytes` random bytes in hexadecimal.
fn random_hex(bytes: usize) -> Result<String, PkiError> {
    let mut random = vec![0; bytes];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut random).map_err(|_| PkiError::Random)?;
    Ok(crate::demo::hex::hex(&random))
}
