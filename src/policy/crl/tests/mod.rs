//! Lists are built at run time, and read from NIST's PKITS.

#[path = "../../../../tests/support/crl.rs"]
pub(in crate::policy) mod builder;
mod pkits;
mod reading;
mod replacement;
mod status;

use rcgen::{KeyPair, PublicKeyData};

use self::builder::Crl;
use super::{
    super::path::signature::{self, Signed},
    Issuer, RevocationList,
};
use crate::{certificate::DistinguishedName, pki::pem_of};

fn name(text: &str) -> DistinguishedName {
    text.parse().unwrap()
}

/// A certification authority: a name and a key.
struct Ca {
    name: DistinguishedName,
    key: KeyPair,
    spki: Vec<u8>,
}

impl Ca {
    fn new(text: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { name: name(text), spki: key.subject_public_key_info(), key }
    }

    fn crl(&self, number: u8) -> Crl {
        Crl::numbered(self.name.der(), number)
    }

    fn list(&self, crl: &Crl) -> RevocationList {
        RevocationList::read(crl.sign(&self.key)).unwrap().remove(0)
    }

    fn issuer(&self) -> Issuer<'_> {
        Issuer { name: &self.name, spki: &self.spki, may_sign_crls: true, signature_algorithms: None }
    }
}

fn verify(signed: &Signed<'_>, spki: &[u8]) -> Option<bool> {
    Some(signature::verify(signed, spki).is_ok())
}

/// The PEM block of a list.
fn crl_pem(der: &[u8]) -> String {
    pem_of(der).replace("CERTIFICATE", "X509 CRL")
}
