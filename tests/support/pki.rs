//! Certificates created at run time: authorities, leaves, and leaves with defects.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "shared by test files, each using its own part"
)]

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber,
};

/// 2026-01-01T00:00:00Z in Unix seconds: the tests' present, around which certificates are valid.
pub const NOON: i64 = 1_767_225_600;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
    /// This authority and its intermediates, without the root, leaf-most first.
    chain: Vec<Vec<u8>>,
}

#[derive(Clone)]
pub struct Leaf {
    pub subject: Vec<(DnType, String)>,
    pub dns: Vec<String>,
    pub other_names: Vec<SanType>,
    pub serial: Option<u64>,
    pub not_before: i64,
    pub not_after: i64,
    pub usages: Vec<ExtendedKeyUsagePurpose>,
    pub key_usages: Vec<KeyUsagePurpose>,
    pub is_ca: bool,
}

pub struct Issued {
    pub der: Vec<u8>,
    pub chain: Vec<Vec<u8>>,
    pub key: KeyPair,
}

const DAY: i64 = 86_400;

const CENTURY: (i64, i64) = (NOON - 3_650 * DAY, NOON + 36_500 * DAY);

const CA_USAGES: &[KeyUsagePurpose] = &[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

fn at(unix: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(unix).unwrap()
}

pub fn name(parts: &[(DnType, String)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        name.push(kind.clone(), value.as_str());
    }
    name
}

/// The current time by the machine's clock, for tests with real TLS stacks.
#[allow(clippy::disallowed_methods, reason = "peers in these tests read the machine's clock too")]
pub fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() as i64
}

impl Authority {
    pub fn root(common_name: &str) -> Self {
        Self::root_for(common_name, CA_USAGES)
    }

    pub fn root_between(common_name: &str, not_before: i64, not_after: i64) -> Self {
        Self::make(common_name, None, (not_before, not_after), CA_USAGES, KeyPair::generate().unwrap())
    }

    pub fn root_for(common_name: &str, usages: &[KeyUsagePurpose]) -> Self {
        Self::make(common_name, None, CENTURY, usages, KeyPair::generate().unwrap())
    }

    fn same_key(&self) -> KeyPair {
        KeyPair::try_from(self.issuer.key().serialize_der()).unwrap()
    }

    /// The same key, self-signed, with other dates.
    pub fn renewed(&self, common_name: &str, not_before: i64, not_after: i64) -> Self {
        Self::make(common_name, None, (not_before, not_after), CA_USAGES, self.same_key())
    }

    /// The same key, certified by another authority for other uses.
    pub fn reissued_by(&self, above: &Self, common_name: &str, usages: &[KeyUsagePurpose]) -> Self {
        Self::make(common_name, Some(above), CENTURY, usages, self.same_key())
    }

    pub fn intermediate(&self, common_name: &str) -> Self {
        self.intermediate_for(common_name, CA_USAGES)
    }

    pub fn intermediate_for(&self, common_name: &str, usages: &[KeyUsagePurpose]) -> Self {
        Self::make(common_name, Some(self), CENTURY, usages, KeyPair::generate().unwrap())
    }

    pub fn intermediate_until(&self, common_name: &str, not_after: i64) -> Self {
        let validity = (CENTURY.0, not_after);
        Self::make(common_name, Some(self), validity, CA_USAGES, KeyPair::generate().unwrap())
    }

    fn make(
        common_name: &str,
        above: Option<&Self>,
        (not_before, not_after): (i64, i64),
        usages: &[KeyUsagePurpose],
        key: KeyPair,
    ) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name =
            name(&[(DnType::OrganizationName, "Contoso".into()), (DnType::CommonName, common_name.into())]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = usages.to_vec();
        params.not_before = at(not_before);
        params.not_after = at(not_after);
        let certificate = match above {
            None => params.self_signed(&key).unwrap(),
            Some(above) => params.signed_by(&key, &above.issuer).unwrap(),
        };
        let der = certificate.der().to_vec();
        let chain = match above {
            None => Vec::new(),
            Some(above) => [vec![der.clone()], above.chain.clone()].concat(),
        };
        Self { issuer: Issuer::new(params, key), der, pem: certificate.pem(), chain }
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The DER of a revocation list with these serial numbers.
    pub fn crl(&self, number: u64, serials: &[u64], (this_update, next_update): (i64, i64)) -> Vec<u8> {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: at(this_update),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: at(this_update),
            next_update: at(next_update),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    pub fn issue(&self, leaf: &Leaf) -> Issued {
        self.issue_for(leaf, KeyPair::generate().unwrap())
    }

    /// Issues a certificate for an existing key.
    pub fn issue_for(&self, leaf: &Leaf, key: KeyPair) -> Issued {
        let der = leaf.params().signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Issued { der, chain: self.chain.clone(), key }
    }
}

impl Leaf {
    /// `CN=<common_name>,O=Contoso` for client authentication, valid from 10 years before NOON to 100 years after it.
    pub fn client(common_name: &str) -> Self {
        Self {
            subject: vec![
                (DnType::OrganizationName, "Contoso".into()),
                (DnType::CommonName, common_name.into()),
            ],
            dns: Vec::new(),
            other_names: Vec::new(),
            serial: None,
            not_before: NOON - 3_650 * DAY,
            not_after: NOON + 36_500 * DAY,
            usages: vec![ExtendedKeyUsagePurpose::ClientAuth],
            key_usages: Vec::new(),
            is_ca: false,
        }
    }

    /// A server certificate for localhost and the loopback addresses.
    pub fn server() -> Self {
        let mut leaf = Self::client("localhost");
        leaf.dns = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
        leaf.usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf
    }

    pub fn until(mut self, not_after: i64) -> Self {
        self.not_after = not_after;
        self
    }

    pub fn from(mut self, not_before: i64) -> Self {
        self.not_before = not_before;
        self
    }

    pub fn serial(mut self, serial: u64) -> Self {
        self.serial = Some(serial);
        self
    }

    pub fn dns(mut self, dns: &str) -> Self {
        self.dns.push(dns.into());
        self
    }

    pub fn uri(mut self, uri: &str) -> Self {
        self.other_names.push(SanType::URI(uri.try_into().unwrap()));
        self
    }

    pub fn email(mut self, email: &str) -> Self {
        self.other_names.push(SanType::Rfc822Name(email.try_into().unwrap()));
        self
    }

    pub fn usages(mut self, usages: &[ExtendedKeyUsagePurpose]) -> Self {
        self.usages = usages.to_vec();
        self
    }

    pub fn key_usages(mut self, usages: &[KeyUsagePurpose]) -> Self {
        self.key_usages = usages.to_vec();
        self
    }

    pub fn subject(mut self, parts: &[(DnType, &str)]) -> Self {
        self.subject = parts.iter().map(|(kind, value)| (kind.clone(), (*value).to_owned())).collect();
        self
    }

    pub fn ca(mut self) -> Self {
        self.is_ca = true;
        self
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&self.subject);
        params.subject_alt_names = self
            .dns
            .iter()
            .map(|entry| match entry.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(entry.as_str().try_into().unwrap()),
            })
            .chain(self.other_names.iter().cloned())
            .collect();
        params.serial_number = self.serial.map(SerialNumber::from);
        params.not_before = at(self.not_before);
        params.not_after = at(self.not_after);
        params.extended_key_usages = self.usages.clone();
        params.key_usages = self.key_usages.clone();
        if self.is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    pub fn self_signed(&self) -> Issued {
        let key = KeyPair::generate().unwrap();
        let der = self.params().self_signed(&key).unwrap().der().to_vec();
        Issued { der, chain: Vec::new(), key }
    }
}

pub fn pem_of(der: &[u8]) -> String {
    pem::encode(&pem::Pem::new("CERTIFICATE", der))
}

impl Issued {
    /// PEM of leaf and chain.
    pub fn chain_pem(&self) -> String {
        std::iter::once(&self.der).chain(&self.chain).map(|der| pem_of(der)).collect()
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// PKCS#12 of leaf, chain and key under `password`.
    pub fn pfx(&self, password: &str) -> Vec<u8> {
        self.pfx_with(password, p12_keystore::EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
    }

    pub fn pfx_with(&self, password: &str, encryption: p12_keystore::EncryptionAlgorithm) -> Vec<u8> {
        self.pfx_of(password, encryption, 10_000)
    }

    /// With this many iterations for the MAC, the key and the certificates each.
    pub fn pfx_of(
        &self,
        password: &str,
        encryption: p12_keystore::EncryptionAlgorithm,
        iterations: u32,
    ) -> Vec<u8> {
        use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain};
        let certificates =
            std::iter::once(&self.der).chain(&self.chain).map(|der| Certificate::from_der(der).unwrap());
        let key = PrivateKey::from_der(&self.key.serialize_der()).unwrap();
        let mut store = KeyStore::new();
        store.add_entry(
            "identity",
            KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("1", key, certificates)),
        );
        let legacy = encryption != p12_keystore::EncryptionAlgorithm::PbeWithHmacSha256AndAes256;
        let mac = if legacy { MacAlgorithm::HmacSha1 } else { MacAlgorithm::HmacSha256 };
        let writer = store.writer(password).encryption_algorithm(encryption).mac_algorithm(mac);
        writer.encryption_iterations(iterations).mac_iterations(iterations).write().unwrap()
    }
}
