//! Cost of each rule of a policy when evaluated.
//!
//! Run with: cargo bench --bench rules --all-features
//!
//! A policy is evaluated once per connection and its admission cached (`accept_steady_state` in the bench `layer`); these
//! are the costs of that evaluation. A certificate caches four verdicts, so eight policies with the same rules in turn
//! never hit the cache. Each row includes the cache lookup and the insertion of a verdict; compare it with the row
//! `validity`, which is little more than that. The same list entry is looked up repeatedly and stays in the processor's
//! cache: a first lookup in a large list also waits for memory.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

#[path = "../tests/support/pki.rs"]
mod pki;

use std::collections::HashSet;

use divan::{AllocProfiler, Bencher, black_box};
use tower_mtls::{
    Certificate, Policy, Rule,
    certificate::{
        Clock, DistinguishedName, ExtendedKeyUsage, KeyKind, Presented, SystemClock, Thumbprint, Timestamp,
    },
    policy::NamePattern,
};

use self::pki::{Authority, Leaf};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const SPIFFE_ID: &str = "spiffe://contoso.example/orders";

fn main() {
    divan::main();
}

/// A leaf with one name of each kind under a CA, as DER: leaf and CA. ECDSA P-256.
fn issued() -> [Vec<u8>; 2] {
    let ca = Authority::root("Contoso Issuing CA");
    let leaf = Leaf::client("orders")
        .dns("orders.example.com")
        .dns("192.0.2.1")
        .uri(SPIFFE_ID)
        .email("orders@example.com");
    [ca.issue(&leaf).der, ca.der().to_vec()]
}

fn certificate() -> Certificate {
    let [leaf, ca] = issued();
    Certificate::from_der_chain(&leaf, [ca.as_slice()]).unwrap()
}

fn name(text: &str) -> NamePattern {
    text.parse().unwrap()
}

/// Each rule as written in policies, with one entry that matches unless the name indicates otherwise.
fn rule(of: &str, caller: &Certificate) -> Rule {
    let subject = || Rule::subject([NamePattern::from(caller.subject().clone())]);
    let issuer = || Rule::issuer([NamePattern::from(caller.issuer().clone())]);
    let another = |common_name: &str| Rule::subject([name(&format!("CN={common_name},O=Contoso"))]);
    match of {
        "custom" => Rule::custom("true", |_: &Certificate, _: Timestamp| true),
        "validity" => Rule::validity(),
        "issuer" => issuer(),
        "subject" => subject(),
        "subject, written in text" => Rule::subject([name(&caller.subject().to_string())]),
        "subject, last of 100" => {
            let others = (0..99).map(|number| name(&format!("CN=client-{number},O=Contoso")));
            Rule::subject(others.chain([NamePattern::from(caller.subject().clone())]))
        }
        "common name" => Rule::common_name(["orders"]),
        "dns name" => Rule::dns_name(["orders.example.com".parse().unwrap()]),
        "dns name, wildcard" => Rule::dns_name(["*.example.com".parse().unwrap()]),
        "uri" => Rule::uri([SPIFFE_ID]),
        "spiffe id" => Rule::spiffe_id([SPIFFE_ID.parse().unwrap()]),
        "spiffe trust domain" => Rule::spiffe_trust_domain(["contoso.example".parse().unwrap()]),
        "email" => Rule::email(["orders@example.com"]),
        "ip address" => Rule::ip_address([[192, 0, 2, 1].into()]),
        "serial" => Rule::serial([caller.serial().clone()]),
        "extended key usage" => Rule::extended_key_usage([ExtendedKeyUsage::ClientAuth]),
        "key" => Rule::key([KeyKind::P256]),
        "thumbprint" => Rule::thumbprint([caller.sha256_thumbprint()]),
        "thumbprint, SHA-1" => Rule::thumbprint([caller.sha1_thumbprint()]),
        "spki" => Rule::spki_sha256([caller.spki_sha256()]),
        "member of" => Rule::member_of(HashSet::from([caller.der().to_vec()])),
        "all of three" => Rule::all([subject(), issuer(), Rule::thumbprint([caller.sha256_thumbprint()])]),
        "any of three, the last" => Rule::any([another("billing"), another("stock"), subject()]),
        "not" => Rule::not(another("billing")),
        other => unreachable!("{other}"),
    }
}

/// Policies with this rule only, evaluated in turn.
struct InTurn {
    policies: Vec<Policy>,
    turn: usize,
}

impl InTurn {
    fn new(rule: &Rule) -> Self {
        let policy = || {
            let builder = Policy::builder().allow_outside_validity().allow_unanchored();
            builder.require(rule.clone()).build().unwrap()
        };
        Self { policies: (0..8).map(|_| policy()).collect(), turn: 0 }
    }

    fn next(&mut self) -> &Policy {
        self.turn = (self.turn + 1) % self.policies.len();
        &self.policies[self.turn]
    }
}

fn holds(bencher: Bencher<'_, '_>, rule: &Rule, caller: Certificate) {
    let mut policies = InTurn::new(rule);
    let (presented, now) = (Presented::from(caller), SystemClock.now());
    bencher.bench_local(|| policies.next().judge(black_box(&presented), black_box(now)).unwrap());
}

/// Rejections are not cached.
fn fails(bencher: Bencher<'_, '_>, rule: &Rule, caller: Certificate) {
    let mut policies = InTurn::new(rule);
    let (presented, now) = (Presented::from(caller), SystemClock.now());
    bencher.bench_local(|| policies.next().judge(black_box(&presented), black_box(now)).unwrap_err());
}

#[divan::bench(sample_size = 1_000, args = [
    "custom", "validity", "issuer", "subject", "subject, written in text", "subject, last of 100", "common name",
    "dns name", "dns name, wildcard", "uri", "spiffe id", "spiffe trust domain", "email", "ip address", "serial",
    "extended key usage", "key", "thumbprint", "thumbprint, SHA-1", "spki", "member of", "all of three",
    "any of three, the last", "not",
])]
fn one_rule(bencher: Bencher<'_, '_>, of: &str) {
    let caller = certificate();
    holds(bencher, &rule(of, &caller), caller);
}

/// This many thumbprints, none of them the caller's.
fn thumbprints(count: u32) -> impl Iterator<Item = Thumbprint> {
    (0..count).map(|number| Thumbprint::sha256_of(&number.to_be_bytes()))
}

/// The caller is on the list.
#[divan::bench(sample_size = 1_000, args = [1, 10_000, 1_000_000])]
fn thumbprint_hit(bencher: Bencher<'_, '_>, among: u32) {
    let caller = certificate();
    let list = thumbprints(among - 1).chain([caller.sha256_thumbprint()]);
    holds(bencher, &Rule::thumbprint(list), caller);
}

/// The caller is not on the list.
#[divan::bench(sample_size = 1_000, args = [1, 10_000, 1_000_000])]
fn thumbprint_miss(bencher: Bencher<'_, '_>, among: u32) {
    fails(bencher, &Rule::thumbprint(thumbprints(among)), certificate());
}

/// Names of two attributes, compared attribute by attribute, ignoring case and white space.
#[divan::bench(sample_size = 1_000, args = [
    "cn=contoso issuing  ca,o=CONTOSO", "CN=Contoso Issuing CB,O=Contoso", "CN=Contoso Issuing CA",
])]
fn name_comparison(bencher: Bencher<'_, '_>, other: &str) {
    let one: DistinguishedName = "CN=Contoso Issuing CA, O=Contoso".parse().unwrap();
    let other: DistinguishedName = other.parse().unwrap();
    bencher.bench_local(|| black_box(&one) == black_box(&other));
}

/// The first chain of a connection: leaf and root. Its outcome is cached afterwards.
#[cfg(feature = "trust")]
#[divan::bench]
fn first_chain(bencher: Bencher<'_, '_>) {
    let [leaf, ca] = issued();
    let anchors = tower_mtls::TrustAnchors::from_der([ca.as_slice()]).unwrap();
    let policy = Policy::builder().trust(anchors).build().unwrap();
    once_per_connection(bencher, &policy, &leaf, &ca);
}

/// The signature of the issuer with this thumbprint.
#[cfg(feature = "trust")]
#[divan::bench]
fn first_issuer_thumbprint(bencher: Bencher<'_, '_>) {
    let [leaf, ca] = issued();
    let policy =
        Policy::builder().require(Rule::issuer_thumbprint([Thumbprint::sha256_of(&ca)])).build().unwrap();
    once_per_connection(bencher, &policy, &leaf, &ca);
}

#[cfg(feature = "trust")]
fn once_per_connection(bencher: Bencher<'_, '_>, policy: &Policy, leaf: &[u8], ca: &[u8]) {
    let now = SystemClock.now();
    bencher.with_inputs(|| Presented::from_der_chain([leaf, ca])).bench_local_values(|presented| {
        policy.judge(&presented, now).unwrap();
        presented
    });
}
