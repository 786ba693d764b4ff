//! The MAC of a PKCS#12 file (RFC 7292, section 4.1).

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use pkcs5::der::Decode;
use pkcs12::{
    MacData, Pfx,
    kdf::{Pkcs12KeyType, derive_key, derive_key_utf8},
};
use sha1::Sha1;
use sha2::{
    Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256,
    digest::{Digest, FixedOutputReset, block_api::BlockSizeUser},
};
use zeroize::Zeroizing;

use super::IdentityError;

/// A file's MAC and the data that it covers.
pub(super) struct FileMac {
    mac: MacData,
    data: Zeroizing<Vec<u8>>,
}

/// Reads the MAC; None if the file has none.
pub(super) fn of(pfx: &[u8]) -> Result<Option<FileMac>, IdentityError> {
    let malformed =
        |error: pkcs5::der::Error| IdentityError::Malformed { byte: None, problem: error.to_string() };
    let pfx = Pfx::from_der(pfx).map_err(malformed)?;
    let data = Zeroizing::new(pfx.auth_safe.content.value().to_vec());
    Ok(pfx.mac_data.map(|mac| FileMac { mac, data }))
}

impl FileMac {
    /// Returns true if the MAC matches this password. The key of None is derived from no bytes; an empty password still has
    /// two terminating bytes.
    pub(super) fn is_of(&self, password: Option<&str>) -> Result<bool, IdentityError> {
        let verified = match self.mac.mac.algorithm.oid.to_string().as_str() {
            "1.3.14.3.2.26" => self.verify::<Sha1>(password),
            "2.16.840.1.101.3.4.2.1" => self.verify::<Sha256>(password),
            "2.16.840.1.101.3.4.2.2" => self.verify::<Sha384>(password),
            "2.16.840.1.101.3.4.2.3" => self.verify::<Sha512>(password),
            "2.16.840.1.101.3.4.2.4" => self.verify::<Sha224>(password),
            "2.16.840.1.101.3.4.2.5" => self.verify::<Sha512_224>(password),
            "2.16.840.1.101.3.4.2.6" => self.verify::<Sha512_256>(password),
            _ => return Err(IdentityError::Unsupported("a MAC algorithm that is not supported".into())),
        };
        Ok(verified)
    }

    fn verify<D>(&self, password: Option<&str>) -> bool
    where
        D: BlockSizeUser + Digest + EagerHash + FixedOutputReset,
    {
        let (salt, iterations) = (self.mac.mac_salt.as_bytes(), self.mac.iterations);
        let (purpose, size) = (Pkcs12KeyType::Mac, <D as Digest>::output_size());
        let key = match password {
            Some(password) => derive_key_utf8::<D>(password, salt, purpose, iterations, size).ok(),
            None => Some(derive_key::<D>(&[], salt, purpose, iterations, size)),
        };
        let hmac = key.map(Zeroizing::new).and_then(|key| Hmac::<D>::new_from_slice(&key).ok());
        hmac.is_some_and(|hmac| {
            hmac.chain_update(&*self.data).verify_slice(self.mac.mac.digest.as_bytes()).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    /// DATA without any bag, and a MAC of one iteration.
    fn file(key: &[u8]) -> Vec<u8> {
        use super::*;
        let der = |tag: u8, parts: &[&[u8]]| {
            let content = parts.concat();
            [&[tag, content.len() as u8], &content[..]].concat()
        };
        let (safes, salt) = (der(0x30, &[]), [7; 8]);
        let key = derive_key::<Sha1>(key, &salt, Pkcs12KeyType::Mac, 1, 20);
        let mac = Hmac::<Sha1>::new_from_slice(&key).unwrap().chain_update(&safes).finalize().into_bytes();
        let sha1 = der(0x30, &[&der(6, &[&[43, 14, 3, 2, 26]]), &[5, 0]]);
        let mac = der(0x30, &[&der(0x30, &[&sha1, &der(4, &[&mac])]), &der(4, &[&salt])]);
        let data = der(6, &[&[42, 134, 72, 134, 247, 13, 1, 7, 1]]);
        let safe = der(0x30, &[&data, &der(0xa0, &[&der(4, &[&safes])])]);
        der(0x30, &[&[2, 1, 3], &safe, &mac])
    }

    #[test]
    fn file_without_password_opens_with_the_empty_one_only() {
        let limits = PfxLimits::default();
        let fails = |pfx: &[u8], password, limits| read(pfx, password, limits).err().unwrap();
        let (none, empty) = (file(&[]), file(&[0, 0]));
        for opens in [&none, &empty] {
            assert_eq!(fails(opens, "", limits), IdentityError::NoKey);
            assert_eq!(fails(opens, "x", limits), IdentityError::WrongPassword);
        }
        // The salt is the file's end.
        let mut damaged = none.clone();
        damaged[none.len() - 1] ^= 1;
        assert_eq!(fails(&damaged, "", limits), IdentityError::WrongPassword);
        let error = fails(&none, "", limits.with_iterations(1));
        assert!(matches!(error, IdentityError::TooManyIterations { iterations: 2, .. }), "{error}");
    }
}
