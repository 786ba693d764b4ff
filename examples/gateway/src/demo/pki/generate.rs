//! Generation of the demo's PKI.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use p12_keystore::{Certificate as PfxCertificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{DistinguishedName, SanType};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::PkiError;
use super::authority::{Authority, IssuedLeaf, LeafUsage, Validity, name};
use super::folder::{CA_COMMON_NAME, FileAccess, MARK, MARK_TEXT, write as write_file};

/// Organization of the trusted parties.
const CONTOSO: &str = "Contoso";

/// Name of the partners CA, as in `gateway.toml`.
pub(in crate::demo) const PARTNERS_CA: &str = "CN=Partners CA, O=Contoso";

/// Lifetime of certificates.
const LIFETIME: Duration = Duration::days(90);

/// Age of `notBefore`, for clocks that are slow.
const BACKDATED: Duration = Duration::hours(1);

/// OpenSSL's default: passwords of 128 random bits need no costly derivation.
const PFX_ITERATIONS: u32 = 2048;

/// Generates the PKI and writes it into `dir`.
pub(super) fn write(dir: &Path, now: OffsetDateTime) -> Result<(), PkiError> {
    let valid = Validity { from: now - BACKDATED, until: now + LIFETIME };
    let expired = Validity { from: now - LIFETIME, until: now - Duration::days(1) };

    let ca = Authority::new(name("tower-mtls", CA_COMMON_NAME), valid)?;
    let partners = Authority::new(name(CONTOSO, "Partners CA"), valid)?;
    let strangers = Authority::new(name("Elsewhere", "Strangers CA"), valid)?;
    let impostors = partners.impostor(valid)?;
    let upstreams = Authority::new(name(CONTOSO, "Upstreams CA"), valid)?;

    let folder = DemoFolder { dir };
    folder.public(MARK, MARK_TEXT)?;
    folder.public("ca.pem", &ca.pem())?;
    folder.public("partners-ca.pem", &partners.pem())?;
    folder.public("backend-ca.pem", &upstreams.pem())?;

    let server = ca.issue(name("tower-mtls", "localhost"), LeafUsage::Server(localhost_names()?), valid)?;
    folder.leaf("server", &server, None)?;
    let upstream =
        upstreams.issue(name(CONTOSO, "localhost"), LeafUsage::Server(vec![localhost()?]), valid)?;
    folder.leaf("backend", &upstream, None)?;

    // All callers have the same subject, but other issuers or validity periods.
    let caller: DistinguishedName = name(CONTOSO, "orders-client");
    folder.leaf("client", &partners.issue(caller.clone(), LeafUsage::Client, valid)?, None)?;
    folder.leaf("expired", &partners.issue(caller.clone(), LeafUsage::Client, expired)?, None)?;
    // These two send their CA in the chain, as an attacker would.
    folder.leaf("stranger", &strangers.issue(caller.clone(), LeafUsage::Client, valid)?, Some(&strangers))?;
    folder.leaf("impostor", &impostors.issue(caller, LeafUsage::Client, valid)?, Some(&impostors))?;

    for (identity, common_name) in [("orders", "orders-gateway"), ("billing", "billing-gateway")] {
        let issued = upstreams.issue(name(CONTOSO, common_name), LeafUsage::Client, valid)?;
        folder.identity(identity, &issued, &upstreams)?;
    }
    folder.secret("management.token", line(&random_hex(32)?).as_bytes())
}

/// Writer for the demo's folder.
#[derive(Debug)]
struct DemoFolder<'a> {
    dir: &'a Path,
}

impl DemoFolder<'_> {
    fn public(&self, file: &str, text: &str) -> Result<(), PkiError> {
        write_file(self.dir, file, FileAccess::Public, text.as_bytes())
    }

    fn secret(&self, file: &str, content: &[u8]) -> Result<(), PkiError> {
        write_file(self.dir, file, FileAccess::Secret, content)
    }

    /// Writes `stem.pem` with the certificate and an optional CA certificate, and `stem.key`.
    fn leaf(&self, stem: &str, issued: &IssuedLeaf, authority: Option<&Authority>) -> Result<(), PkiError> {
        let mut pem = issued.certificate.pem();
        if let Some(authority) = authority {
            pem.push_str(&authority.pem());
        }
        self.secret(&format!("{stem}.key"), Zeroizing::new(issued.key.serialize_pem()).as_bytes())?;
        self.public(&format!("{stem}.pem"), &pem)
    }

    /// Writes `stem.pfx` with key, certificate and CA, `stem.password`, and `stem.pem` with the certificate.
    fn identity(&self, stem: &str, issued: &IssuedLeaf, authority: &Authority) -> Result<(), PkiError> {
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
        self.secret(&format!("{stem}.password"), line(&password).as_bytes())?;
        self.public(&format!("{stem}.pem"), &issued.certificate.pem())
    }
}

/// Returns the DNS name `localhost`.
fn localhost() -> Result<SanType, PkiError> {
    Ok(SanType::DnsName("localhost".try_into()?))
}

/// Returns `localhost` and its addresses.
fn localhost_names() -> Result<Vec<SanType>, PkiError> {
    Ok(vec![
        localhost()?,
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ])
}

/// Returns the text of a file with this secret.
fn line(secret: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{secret}\n"))
}

/// Returns `bytes` random bytes in hexadecimal.
fn random_hex(bytes: usize) -> Result<Zeroizing<String>, PkiError> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut random).map_err(|_| PkiError::Random)?;
    Ok(Zeroizing::new(hex::encode(&*random)))
}
