//! Policies as they are built from rules.

use std::path::Path;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use tower_mtls::{
    TrustAnchors,
    certificate::{Clock, Presented, SystemClock},
};

use super::*;
use crate::{
    build::cache::{Digest, Memo},
    config,
};

/// A CA, a certificate that it signed, and one with the same names that it did not sign.
struct Pki {
    ca: rcgen::Certificate,
    good: rcgen::Certificate,
    forged: rcgen::Certificate,
}

impl Pki {
    fn new() -> Self {
        let authority = || {
            let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
            params.distinguished_name.push(DnType::CommonName, "CA");
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            (params.self_signed(&key).unwrap(), Issuer::new(params, key))
        };
        let leaf = |issuer: &Issuer<'_, KeyPair>| {
            let mut params = CertificateParams::new(["orders.contoso.com".to_owned()]).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, value) in [
                (DnType::OrganizationName, "Contoso"),
                (DnType::OrganizationalUnitName, "Orders"),
                (DnType::CommonName, "orders"),
            ] {
                params.distinguished_name.push(kind, value);
            }
            params.subject_alt_names.extend([
                SanType::URI("spiffe://contoso.com/orders".try_into().unwrap()),
                SanType::Rfc822Name("orders@contoso.com".try_into().unwrap()),
                SanType::IpAddress([10, 1, 2, 3].into()),
            ]);
            params.serial_number = Some(0x0a1b.into());
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap()
        };
        let ((ca, issuer), (_, other)) = (authority(), authority());
        Self { ca, good: leaf(&issuer), forged: leaf(&other) }
    }

    /// The policy of a file with these rules; `ca` is the set of CAs.
    fn policy(&self, rules: &str) -> Policy {
        let text = format!(
            "[listener]\naddress = '127.0.0.1:0'\ncertificate = 's'\nprivate_key = 'k'\n[trust.ca]\nca = 'ca.pem'\n\
             [[routes]]\npath = '/'\nupstream = 'http://b'\n[routes.client_certificate]\n{rules}\n"
        );
        let (config, found) = config::parse(Path::new("gateway.toml"), &text);
        let config = config.unwrap_or_else(|| panic!("{rules}: {found:#?}"));
        let anchors = TrustAnchors::from_pem(self.ca.pem().as_bytes()).unwrap();
        let roots = Roots { anchors, digest: Digest::of("test", []), revocation: None };
        let roots = SectionsByName::from([("ca".to_owned(), Some(roots))]);
        let mut findings = Findings::new(Path::new("gateway.toml"), Vec::new());
        let rules = config.routes[0].client_certificate.as_ref().unwrap();
        let mut memo = Memo::default();
        policy(rules, &roots, &Arc::default(), &mut ThumbprintLists::new(&mut memo), &mut findings).unwrap()
    }
}

fn admits(policy: &Policy, chain: &[&rcgen::Certificate]) -> bool {
    let presented = Presented::from_der_chain(chain.iter().map(|certificate| certificate.der().as_ref()));
    policy.judge(&presented, SystemClock.now()).is_ok()
}

#[test]
fn each_rule_compares_its_own_part_of_the_certificate() {
    let pki = Pki::new();
    for (key, matching, other) in [
        ("subject", "O=Contoso, OU=Orders, CN=orders", "CN=orders"),
        ("issuer", "CN=CA", "CN=Other CA"),
        ("common_name", "orders", "Orders CA"),
        ("organizational_unit", "orders", "Billing"),
        ("organization", "contoso", "Contoso Ltd"),
        ("dns_name", "*.contoso.com", "contoso.com"),
        ("uri", "spiffe://contoso.com/orders", "spiffe://contoso.com/order"),
        ("spiffe_id", "spiffe://contoso.com/orders", "spiffe://contoso.com/billing"),
        ("spiffe_trust_domain", "contoso.com", "www.contoso.com"),
        ("email", "orders@Contoso.com", "Orders@contoso.com"),
        ("ip_address", "10.1.2.3", "::ffff:10.1.2.3"),
        ("serial", "0a:1b", "0a:1c"),
        ("extended_key_usage", "clientAuth", "serverAuth"),
    ] {
        let policy = |values: &str| pki.policy(&format!("trust = 'ca'\n{key} = {values}"));
        let both = format!("['{other}', '{matching}']");
        for (values, expected) in
            [(format!("'{matching}'"), true), (format!("'{other}'"), false), (both, true)]
        {
            let policy = policy(&values);
            assert_eq!(admits(&policy, &[&pki.good]), expected, "{key} = {values}");
            assert!(!admits(&policy, &[&pki.forged]), "{key} = {values}");
        }
    }
}

#[test]
fn policy_is_anchored_exactly_if_the_file_needs_no_allow_unanchored() {
    let pki = Pki::new();
    let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    for (rules, is_anchored) in [
        ("trust = 'ca'".to_owned(), true),
        (format!("thumbprint = '{hex}'"), true),
        (format!("spki_pin = '{hex}'"), true),
        (format!("issuer_thumbprint = '{hex}'"), true),
        ("uri = 'urn:a'\nserial = '1'\nextended_key_usage = 'clientAuth'".to_owned(), false),
        (format!("any_of = [{{ trust = 'ca' }}, {{ spki_pin = '{hex}', uri = 'urn:a' }}]"), true),
        (format!("any_of = [{{ trust = 'ca' }}, {{ uri = 'urn:a' }}, {{ spki_pin = '{hex}' }}]"), false),
        ("trust = 'ca'\nany_of = [{ uri = 'urn:a' }, { email = 'a@b' }]".to_owned(), true),
    ] {
        let policy = pki.policy(&format!("allow_unanchored = true\n{rules}"));
        assert_eq!(policy.is_anchored(), is_anchored, "{rules}");
        if is_anchored {
            assert!(pki.policy(&rules).is_anchored(), "{rules}");
        }
    }
}

#[test]
fn issuer_thumbprint_finds_the_issuer_among_sent_certificates_and_roots() {
    let pki = Pki::new();
    let issuer = Thumbprint::sha256_of(pki.ca.der());
    for (rules, chain, expected) in [
        (format!("issuer_thumbprint = '{issuer}'"), &[&pki.good][..], false),
        (format!("issuer_thumbprint = '{issuer}'"), &[&pki.good, &pki.ca], true),
        // The thumbprint alone is public: it proves nothing without the signature.
        (format!("issuer_thumbprint = '{issuer}'"), &[&pki.forged, &pki.ca], false),
        (format!("issuer_thumbprint = '{issuer}'\ntrust = 'ca'"), &[&pki.good], true),
        (format!("any_of = [{{ issuer_thumbprint = '{issuer}', trust = 'ca' }}]"), &[&pki.good], true),
        (format!("trust = 'ca'\nany_of = [{{ issuer_thumbprint = '{issuer}' }}]"), &[&pki.good], true),
    ] {
        assert_eq!(admits(&pki.policy(&rules), chain), expected, "{rules} {}", chain.len());
    }
}

#[test]
fn any_of_admits_what_one_alternative_and_the_rules_beside_it_admit() {
    let pki = Pki::new();
    let forged = Thumbprint::sha256_of(pki.forged.der());
    for (rules, good, other) in [
        (
            format!("any_of = [{{ trust = 'ca', serial = '0a1b' }}, {{ thumbprint = '{forged}' }}]"),
            true,
            true,
        ),
        (
            format!("any_of = [{{ trust = 'ca', serial = '0a1c' }}, {{ thumbprint = '{forged}' }}]"),
            false,
            true,
        ),
        (
            format!("trust = 'ca'\nany_of = [{{ serial = '0a1b' }}, {{ thumbprint = '{forged}' }}]"),
            true,
            false,
        ),
        ("trust = 'ca'\nany_of = [{ serial = '0a1c' }, { email = 'a@b' }]".to_owned(), false, false),
    ] {
        let policy = pki.policy(&rules);
        assert_eq!(
            (admits(&policy, &[&pki.good]), admits(&policy, &[&pki.forged])),
            (good, other),
            "{rules}"
        );
    }
}
