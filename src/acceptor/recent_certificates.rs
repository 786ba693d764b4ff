//! Certificates of recent handshakes, whose facts and verdicts further connections share.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustls_pki_types::CertificateDer;

use crate::certificate::{Certificate, Presented};

/// Certificates by the chains that callers presented, so that a chain is parsed and judged once, not per connection.
///
/// Verdicts are kept with a certificate, each under the generation of the policy or roots that it belongs to and with its
/// end. Callers choose their chains, so the number and the size of those that are kept are bounded: when the current table
/// is full, it replaces the previous one.
#[derive(Default)]
pub(super) struct RecentCertificates {
    hasher: RandomState,
    tables: Mutex<Tables>,
}

/// Certificates by the hash of their chain.
#[derive(Default)]
struct Tables {
    current: HashMap<u64, Certificate>,
    previous: HashMap<u64, Certificate>,
}

/// Maximum number of certificates of a table.
const MAX_CERTIFICATES: usize = 256;

/// Maximum size of a chain that is kept, in bytes. The facts of a certificate can take 25 times its size.
const MAX_CHAIN_SIZE: usize = 4 * 1024;

/// Maximum number of names of a certificate that is kept.
const MAX_NAMES: usize = 64;

impl RecentCertificates {
    /// Returns what a caller presented, whose handshake has completed.
    pub(super) fn presented(&self, chain: &[CertificateDer<'_>]) -> Presented {
        let read = || Presented::from_der_chain(chain.iter().map(AsRef::as_ref));
        if chain.is_empty() || chain.iter().map(|der| der.len()).sum::<usize>() > MAX_CHAIN_SIZE {
            return read();
        }
        let hash = self.hasher.hash_one(chain);
        // Displaced tables are dropped without the lock.
        let (known, _displaced) = self.tables().get(hash);
        if let Some(certificate) = known.filter(|known| is_of(known, chain)) {
            return Presented::Certificate(certificate);
        }
        let presented = read();
        if let Presented::Certificate(certificate) = &presented
            && certificate.subject_alternative_names().len() <= MAX_NAMES
        {
            let _displaced = self.tables().put(hash, certificate.clone());
        }
        presented
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if the certificate is that of this chain.
fn is_of(certificate: &Certificate, chain: &[CertificateDer<'_>]) -> bool {
    let known = [certificate.der()].into_iter().chain(certificate.chain());
    known.eq(chain.iter().map(AsRef::as_ref))
}

impl Tables {
    /// Returns the certificate, and the table that was displaced.
    fn get(&mut self, hash: u64) -> (Option<Certificate>, HashMap<u64, Certificate>) {
        if let Some(certificate) = self.current.get(&hash) {
            return (Some(certificate.clone()), HashMap::new());
        }
        let Some(certificate) = self.previous.remove(&hash) else { return Default::default() };
        let displaced = self.put(hash, certificate.clone());
        (Some(certificate), displaced)
    }

    /// Returns the table that was displaced.
    #[must_use]
    fn put(&mut self, hash: u64, certificate: Certificate) -> HashMap<u64, Certificate> {
        let mut displaced = HashMap::new();
        if self.current.len() >= MAX_CERTIFICATES {
            displaced = std::mem::replace(&mut self.previous, std::mem::take(&mut self.current));
        }
        self.current.insert(hash, certificate);
        displaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Leaf;

    fn der(name: &str) -> CertificateDer<'static> {
        Leaf::client(name).self_signed().der.into()
    }

    /// Returns the address of the facts.
    fn facts(recent: &RecentCertificates, chain: &[CertificateDer<'_>]) -> *const u8 {
        match recent.presented(chain) {
            Presented::Certificate(certificate) => {
                assert!(is_of(&certificate, chain));
                certificate.der().as_ptr()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn facts_are_shared_by_equal_chains_only() {
        let recent = RecentCertificates::default();
        let (leaf, other, issuer) = (der("orders"), der("billing"), der("issuer"));
        let alone = facts(&recent, std::slice::from_ref(&leaf));
        assert_eq!(alone, facts(&recent, std::slice::from_ref(&leaf)));
        assert_ne!(alone, facts(&recent, &[other]));
        let chain = [leaf.clone(), issuer.clone()];
        assert_ne!(alone, facts(&recent, &chain));
        assert_eq!(facts(&recent, &chain), facts(&recent, &chain));
        assert_ne!(facts(&recent, &chain), facts(&recent, &[issuer, leaf]));
        assert!(matches!(recent.presented(&[]), Presented::Nothing));
        let garbage = CertificateDer::from(&b"garbage"[..]);
        assert!(matches!(recent.presented(&[garbage]), Presented::Unreadable(_)));
    }

    #[test]
    fn colliding_hash_does_not_give_another_certificate() {
        let recent = RecentCertificates::default();
        let (leaf, other) = (der("orders"), der("billing"));
        let Presented::Certificate(certificate) = Presented::from_der_chain([&leaf[..]]) else { panic!() };
        let _ = recent.tables().put(recent.hasher.hash_one(&[other.clone()][..]), certificate);
        facts(&recent, &[other]);
    }

    #[test]
    fn number_and_size_of_the_kept_chains_are_bounded() {
        let recent = RecentCertificates::default();
        let leaf = der("orders");
        let in_use = facts(&recent, std::slice::from_ref(&leaf));
        for number in 0..3 * MAX_CERTIFICATES {
            // Certificates of the chain are not parsed.
            let issuer = CertificateDer::from(number.to_be_bytes().to_vec());
            facts(&recent, &[leaf.clone(), issuer]);
            assert_eq!(facts(&recent, std::slice::from_ref(&leaf)), in_use, "in use, at {number}");
        }
        let tables = recent.tables();
        assert!(tables.current.len() <= MAX_CERTIFICATES && tables.previous.len() <= MAX_CERTIFICATES);
        drop(tables);
        let large = [leaf, CertificateDer::from(vec![0; MAX_CHAIN_SIZE])];
        assert!(matches!(recent.presented(&large), Presented::Certificate(_)));
        let mut many_names = Leaf::client("many");
        for number in 0..=MAX_NAMES {
            many_names = many_names.dns(&format!("n{number}"));
        }
        let many_names = [CertificateDer::from(many_names.self_signed().der)];
        let [Presented::Certificate(first), Presented::Certificate(second)] =
            [(); 2].map(|()| recent.presented(&many_names))
        else {
            panic!("unreadable");
        };
        assert_ne!(first.der().as_ptr(), second.der().as_ptr(), "too many names");
        let tables = recent.tables();
        let mut kept = tables.current.values().chain(tables.previous.values());
        assert!(!kept.any(|certificate| is_of(certificate, &large)), "too large");
    }
}
