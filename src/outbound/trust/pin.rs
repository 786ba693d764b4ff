use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::certificate::{Thumbprint, subject_public_key_info};

/// SHA-256 hash of an upstream's certificate or public key.
///
/// The text form is `sha256:` and the hash of the certificate's DER, or `spki-sha256:` and that of its
/// SubjectPublicKeyInfo's DER, 64 hex digits in any case, with or without colons; or what `openssl x509 -noout
/// -fingerprint -sha256` prints. A key's pin outlives the certificate's renewal; `openssl x509 -in FILE -noout -pubkey |
/// openssl pkey -pubin -outform DER | sha256sum` prints its hash.
///
/// ```
/// use tower_mtls::outbound::UpstreamPin;
///
/// let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// let pin: UpstreamPin = format!("spki-sha256:{hash}").parse()?;
/// assert_eq!(pin.to_string(), format!("spki-sha256:{}", hash.to_uppercase()));
///
/// // A pin names the kind of its hash.
/// assert!(hash.parse::<UpstreamPin>().is_err());
/// # Ok::<(), tower_mtls::outbound::UpstreamPinParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpstreamPin(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Certificate([u8; 32]),
    PublicKey([u8; 32]),
}

impl UpstreamPin {
    /// The certificate with this SHA-256 thumbprint.
    ///
    /// ```
    /// use tower_mtls::outbound::UpstreamPin;
    ///
    /// let pin = UpstreamPin::certificate([0xab; 32]);
    /// assert_eq!(pin.to_string(), format!("sha256:{}", "AB".repeat(32)));
    /// ```
    pub fn certificate(sha256: [u8; 32]) -> Self {
        Self(Kind::Certificate(sha256))
    }

    /// Any certificate for the public key whose SubjectPublicKeyInfo has this SHA-256 hash.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let certificate = rcgen::generate_simple_self_signed(vec![])?.cert;
    /// use tower_mtls::{Certificate, outbound::UpstreamPin};
    ///
    /// let pin = UpstreamPin::public_key(Certificate::from_der(certificate.der())?.spki_sha256());
    /// assert!(pin.to_string().starts_with("spki-sha256:"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn public_key(sha256: [u8; 32]) -> Self {
        Self(Kind::PublicKey(sha256))
    }

    /// Returns the pins that this certificate (DER) matches: its own, and that of its public key if it can be read.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let certificate = rcgen::generate_simple_self_signed(vec![])?.cert;
    /// use tower_mtls::{Certificate, outbound::UpstreamPin};
    ///
    /// let key = Certificate::from_der(certificate.der())?.spki_sha256();
    /// let pins = UpstreamPin::all_of(certificate.der());
    /// assert!(pins.len() == 2 && pins.contains(&UpstreamPin::public_key(key)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn all_of(certificate: &[u8]) -> Vec<Self> {
        let mut pins = vec![Self::certificate(Sha256::digest(certificate).into())];
        if let Ok(key) = subject_public_key_info(certificate) {
            pins.push(Self::public_key(Sha256::digest(key).into()));
        }
        pins
    }

    pub(super) fn matches(&self, certificate: &[u8]) -> bool {
        match self.0 {
            Kind::Certificate(hash) => <[u8; 32]>::from(Sha256::digest(certificate)) == hash,
            Kind::PublicKey(hash) => subject_public_key_info(certificate)
                .is_ok_and(|key| <[u8; 32]>::from(Sha256::digest(key)) == hash),
        }
    }
}

impl FromStr for UpstreamPin {
    type Err = UpstreamPinParseError;

    /// # Errors
    ///
    /// The text is not as described above.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(Thumbprint::Sha256(hash)) = text.parse()
            && text.contains("ingerprint")
        {
            return Ok(Self::certificate(hash));
        }
        let (kind, hash) = text.split_once(':').ok_or(UpstreamPinParseError)?;
        let kind = match kind.trim().to_ascii_lowercase().as_str() {
            "sha256" => Kind::Certificate,
            "spki-sha256" => Kind::PublicKey,
            _ => return Err(UpstreamPinParseError),
        };
        match hash.parse() {
            Ok(Thumbprint::Sha256(hash)) => Ok(Self(kind(hash))),
            _ => Err(UpstreamPinParseError),
        }
    }
}

impl fmt::Display for UpstreamPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, hash) = match self.0 {
            Kind::Certificate(hash) => ("sha256", hash),
            Kind::PublicKey(hash) => ("spki-sha256", hash),
        };
        write!(f, "{kind}:{}", Thumbprint::Sha256(hash))
    }
}

impl fmt::Debug for UpstreamPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Error of a text that is not an [`UpstreamPin`].
///
/// ```
/// use tower_mtls::outbound::{UpstreamPin, UpstreamPinParseError};
///
/// // A hash alone: of the certificate, or of its key?
/// let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// let error: UpstreamPinParseError = hash.parse::<UpstreamPin>().unwrap_err();
/// assert!(error.to_string().starts_with("not a pin; write sha256:HEX"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamPinParseError;

impl fmt::Display for UpstreamPinParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a pin; write sha256:HEX of the certificate or spki-sha256:HEX of its public key, 64 hex digits")
    }
}

impl std::error::Error for UpstreamPinParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pin_names_its_kind_and_is_a_sha256_hash() {
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        for (text, expected) in [
            (format!("sha256:{hex}"), Some("sha256")),
            (format!("SHA256: {}", hex.to_uppercase()), Some("sha256")),
            (format!("spki-sha256:{hex}"), Some("spki-sha256")),
            (format!("sha256 Fingerprint={hex}"), Some("sha256")),
            (hex.to_owned(), None),
            (format!("sha1:{hex}"), None),
            (format!("sha256:{}", &hex[..40]), None),
            ("sha256:".to_owned(), None),
        ] {
            let read = text.parse::<UpstreamPin>().ok().map(|pin| pin.to_string());
            let expected = expected.map(|kind| format!("{kind}:{}", hex.to_uppercase()));
            assert_eq!(read, expected, "{text}");
        }
    }
}
