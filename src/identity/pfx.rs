//! PKCS#12 files: limits are checked before `p12-keystore` opens them.

mod decrypt;
mod mac;
mod plain;
mod work;

use p12_keystore::{Pkcs12Archive, error::Error as P12Error};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::asn1_rs::FromDer;
use zeroize::Zeroizing;

use super::IdentityError;
use crate::certificate::Certificate;

/// Limits on the size of a .pfx file and on its key-derivation work.
///
/// The file sets an iteration count for each encrypted part: without a limit a small file occupies a processor for
/// hours. Visible counts are checked before any key is derived, counts inside of encrypted parts once those are open.
/// Every key is derived once.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pfx = [0x30; 100];
/// use tower_mtls::{ClientIdentity, identity::{IdentityError, PfxLimits}};
///
/// let limits = PfxLimits::default().with_size(64);
/// let error = ClientIdentity::builder().pfx(&pfx, "secret").with_pfx_limits(limits).build().unwrap_err();
/// assert!(matches!(error, IdentityError::TooLarge { size: 100, limit: 64, .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct PfxLimits {
    size: usize,
    iterations: u64,
}

impl Default for PfxLimits {
    fn default() -> Self {
        Self { size: 1024 * 1024, iterations: 600_000 }
    }
}

impl PfxLimits {
    /// The limit of the file size in bytes. Default: 1 MiB.
    pub fn with_size(mut self, bytes: usize) -> Self {
        self.size = bytes;
        self
    }

    /// The limit of the sum of all iterations, those of the MAC included; an algorithm that hashes several times in each
    /// iteration counts as often. Default: 600,000, about a third of a second. OpenSSL, Windows and Java stay below
    /// 40,000, and `openssl pkcs12 -export -iter 200000` is the most that fits: three times 200,000.
    pub fn with_iterations(mut self, iterations: u64) -> Self {
        self.iterations = iterations;
        self
    }
}

/// Contents of a .pfx file with exactly one key.
pub(super) struct Contents {
    pub(super) key: Zeroizing<PrivateKeyDer<'static>>,
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

pub(super) fn read(pfx: &[u8], password: &str, limits: PfxLimits) -> Result<Contents, IdentityError> {
    if pfx.len() > limits.size {
        return Err(IdentityError::TooLarge { size: pfx.len(), limit: limits.size });
    }
    if password.chars().any(|character| character > '\u{ffff}') {
        return Err(IdentityError::UnsupportedPassword);
    }
    let work = work::of(pfx)?;
    let check = |iterations: u64| match iterations > limits.iterations {
        true => Err(IdentityError::TooManyIterations { iterations, limit: limits.iterations }),
        false => Ok(()),
    };
    check(work.iterations)?;
    let mut iterations = work.iterations;
    if work.mac_iterations.is_some()
        && let Some(mac) = mac::of(pfx)?
        && !mac.is_of(Some(password))?
    {
        if !password.is_empty() {
            return Err(IdentityError::WrongPassword);
        }
        // The MAC's key is derived again.
        iterations = iterations.saturating_add(work.mac_iterations.unwrap_or(0));
        check(iterations)?;
        if !mac.is_of(None)? {
            return Err(IdentityError::WrongPassword);
        }
        if work.is_encrypted() {
            return Err(IdentityError::Unsupported("encryption without a password".into()));
        }
    }
    let (plain, hidden) = plain::decrypted(&work, password)?;
    check(iterations.saturating_add(hidden))?;
    let archive = Pkcs12Archive::from_pkcs12(&plain, password);
    let archive = archive.map_err(|error| explain(&error, work.mac_iterations.is_some()))?;
    let key = match archive.keys.as_slice() {
        [] => return Err(IdentityError::NoKey),
        [only] => Zeroizing::new(PrivatePkcs8KeyDer::from(only.key.as_der().to_vec()).into()),
        several => return Err(IdentityError::SeveralKeys { keys: several.len() }),
    };
    let certificates =
        archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    Ok(Contents { key, certificates })
}

/// Decrypts a PKCS#8 EncryptedPrivateKeyInfo, within the same limits.
pub(super) fn decrypt_key(
    key: &[u8],
    password: &str,
    limits: PfxLimits,
) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    if key.len() > limits.size {
        return Err(IdentityError::TooLarge { size: key.len(), limit: limits.size });
    }
    let unreadable = |error| match error {
        IdentityError::Malformed { .. } => {
            IdentityError::UnsupportedKeyEncryption("an unreadable encryption".into())
        }
        other => other,
    };
    let (iterations, encrypted) = work::of_key(key).map_err(unreadable)?;
    if iterations > limits.iterations {
        return Err(IdentityError::TooManyIterations { iterations, limit: limits.iterations });
    }
    if !encrypted.is_supported() {
        let encryption = "an unsupported encryption";
        return Err(IdentityError::UnsupportedKeyEncryption(encryption.into()));
    }
    // There is no MAC: a wrong password is detected by a result that is not a PrivateKeyInfo.
    let plain = encrypted
        .decrypt(password)
        .ok()
        .filter(|plain| x509_parser::asn1_rs::Sequence::from_der(plain).is_ok());
    plain.ok_or(IdentityError::WrongPassword)
}

/// Maps an error of `p12-keystore`. With a MAC only its mismatch means a wrong password; without one, a failed decryption
/// does.
fn explain(error: &P12Error, has_mac: bool) -> IdentityError {
    match error {
        P12Error::MacError(_) => IdentityError::WrongPassword,
        P12Error::UnpadError | P12Error::Pkcs5Error(_) if !has_mac => IdentityError::WrongPassword,
        P12Error::Pkcs5Error(problem) => {
            IdentityError::Unsupported(format!("an encryption that is not supported ({problem})"))
        }
        P12Error::UnsupportedEncryptionScheme | P12Error::UnsupportedMacAlgorithm => {
            IdentityError::Unsupported("an encryption or MAC algorithm that is not supported".into())
        }
        P12Error::UnsupportedCertificateType | P12Error::UnsupportedContentType => {
            IdentityError::Unsupported("a kind of content that is not supported".into())
        }
        P12Error::InvalidParameters => {
            IdentityError::Unsupported("key-derivation parameters outside of the supported range".into())
        }
        other => IdentityError::Malformed { byte: None, problem: other.to_string() },
    }
}

/// Returns `leaf` and its issuers in order, as far as the file contains them.
pub(super) fn chain_of(
    leaf: usize,
    certificates: &[CertificateDer<'static>],
) -> Vec<CertificateDer<'static>> {
    let mut rest: Vec<_> = certificates
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != leaf)
        .filter_map(|(_, der)| Some((Certificate::from_der(der).ok()?, der)))
        .collect();
    let mut chain = vec![certificates[leaf].clone()];
    let Ok(mut last) = Certificate::from_der(&certificates[leaf]) else {
        return chain;
    };
    while last.issuer() != last.subject() {
        let Some(next) = rest.iter().position(|(candidate, _)| candidate.subject() == last.issuer()) else {
            break;
        };
        let (certificate, der) = rest.swap_remove(next);
        chain.push(der.clone());
        last = certificate;
    }
    chain
}
