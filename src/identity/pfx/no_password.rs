//! Files that were made without any password, which is not the same as with an empty one.

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use pkcs5::der::{Decode, Encode};
use pkcs12::{
    MacData, Pfx,
    kdf::{Pkcs12KeyType, derive_key},
};
use sha1::Sha1;
use sha2::{
    Sha256, Sha384, Sha512,
    digest::{Digest, FixedOutputReset, block_api::BlockSizeUser},
};

/// The file without its MAC, if that is the MAC of no password: one whose key is derived from nothing, where an
/// empty password still has the two octets at its end, and only that is known to `p12-keystore`.
pub(super) fn without_mac(pfx: &[u8]) -> Option<Vec<u8>> {
    let mut pfx = Pfx::from_der(pfx).ok()?;
    let mac = pfx.mac_data.take()?;
    let data = pfx.auth_safe.content.value();
    let verified = match mac.mac.algorithm.oid.to_string().as_str() {
        "1.3.14.3.2.26" => is_mac_of::<Sha1>(&mac, data),
        "2.16.840.1.101.3.4.2.1" => is_mac_of::<Sha256>(&mac, data),
        "2.16.840.1.101.3.4.2.2" => is_mac_of::<Sha384>(&mac, data),
        "2.16.840.1.101.3.4.2.3" => is_mac_of::<Sha512>(&mac, data),
        _ => false,
    };
    if verified { pfx.to_der().ok() } else { None }
}

fn is_mac_of<D>(mac: &MacData, data: &[u8]) -> bool
where
    D: BlockSizeUser + Digest + EagerHash + FixedOutputReset,
{
    let salt = mac.mac_salt.as_bytes();
    let size = <D as Digest>::output_size();
    let key = derive_key::<D>(&[], salt, Pkcs12KeyType::Mac, mac.iterations, size);
    Hmac::<D>::new_from_slice(&key)
        .is_ok_and(|hmac| hmac.chain_update(data).verify_slice(mac.mac.digest.as_bytes()).is_ok())
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
    fn a_file_without_password_opens_with_the_empty_one_and_with_no_other() {
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
