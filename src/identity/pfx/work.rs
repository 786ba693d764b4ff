//! Key-derivation work of a PKCS#12 file, read from its structure (RFC 7292, section 4) without deriving a key.

use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};

use super::{
    IdentityError,
    decrypt::{self, Encrypted},
};

/// The work of opening a file.
#[derive(Debug)]
pub(super) struct Work<'a> {
    /// The sum of all iteration counts visible before decryption, each multiplied by its number of derivations.
    /// A scrypt derivation counts as its cost times its block size times its lanes.
    pub(super) iterations: u64,
    /// The MAC's share of them, if there is a MAC.
    pub(super) mac_iterations: Option<u64>,
    /// The encoded version.
    pub(super) version: &'a [u8],
    pub(super) safes: Vec<Safe<'a>>,
}

/// A part of the authenticated safe.
#[derive(Debug)]
pub(super) enum Safe<'a> {
    /// The contents of its ContentInfo.
    Plain(&'a [u8]),
    Encrypted(Encrypted<'a>),
}

impl Work<'_> {
    /// Returns true if any part of the file is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.safes.iter().any(|safe| matches!(safe, Safe::Encrypted(_)))
            || self.iterations > self.mac_iterations.unwrap_or(0)
    }
}

/// Returns the iteration counts inside of a decrypted part, which can contain encrypted keys.
pub(super) fn hidden(contents: &[u8]) -> Parsed<u64> {
    // The result of a wrong password does not begin like bags, and nothing inside it is derived.
    if contents.first() != Some(&0x30) {
        return Ok(0);
    }
    // Bags are opened one after another, so an unreadable one would not end the work: rejected.
    Outline { file: contents }.bags(contents).map_err(|error| match error {
        IdentityError::Malformed { problem, .. } => IdentityError::Malformed { byte: None, problem },
        other => other,
    })
}

/// Memory limit of one scrypt derivation (OpenSSL's default takes 16 MiB).
const MOST_SCRYPT_MEMORY: u64 = 64 * 1024 * 1024;

/// Count of a derivation above that limit, larger than any sensible limit.
const TOO_MUCH: u64 = 1 << 32;

/// DER contents of object identifiers.
pub(super) const DATA: &[u8] = &[42, 134, 72, 134, 247, 13, 1, 7, 1];
const ENCRYPTED_DATA: &[u8] = &[42, 134, 72, 134, 247, 13, 1, 7, 6];
const SHROUDED_KEY_BAG: &[u8] = &[42, 134, 72, 134, 247, 13, 1, 12, 10, 1, 2];
const SECRET_BAG: &[u8] = &[42, 134, 72, 134, 247, 13, 1, 12, 10, 1, 5];
const PBES2: &[u8] = &[42, 134, 72, 134, 247, 13, 1, 5, 13];
const SCRYPT: &[u8] = &[43, 6, 1, 4, 1, 218, 71, 4, 11];

pub(super) fn of(pfx: &[u8]) -> Result<Work<'_>, IdentityError> {
    Outline { file: pfx }.work()
}

/// Returns the iteration counts of a PKCS#8 EncryptedPrivateKeyInfo, and its encrypted part.
pub(super) fn of_key(key: &[u8]) -> Result<(u64, Encrypted<'_>), IdentityError> {
    Outline { file: key }.key()
}

struct Outline<'a> {
    file: &'a [u8],
}

type Parsed<T> = Result<T, IdentityError>;

impl<'a> Outline<'a> {
    fn work(&self) -> Parsed<Work<'a>> {
        let (after, pfx) = self.sequence(self.file, "the file")?;
        if !after.is_empty() {
            return Err(self.malformed(after, "bytes after the file's end"));
        }
        let (rest, _) = self.any(pfx, "the version")?;
        let version = pfx.strip_suffix(rest).unwrap_or_default();
        let (mac, safe) = self.sequence(rest, "the authenticated safe")?;
        let (content_type, content) = self.typed(safe)?;
        if content_type != DATA {
            return Err(IdentityError::Unsupported("a public-key protected container".into()));
        }
        let mut iterations = 0_u64;
        let mut safes = Vec::new();
        let (_, elements) = self.sequence(self.octet_string(content)?, "the authenticated safe")?;
        for safe in self.elements(elements)? {
            let (content_type, content) = self.typed(safe)?;
            let (work, safe) = match content_type {
                DATA => (self.bags(self.octet_string(content)?)?, Safe::Plain(safe)),
                ENCRYPTED_DATA => {
                    let (work, part) = self.encrypted_data(content)?;
                    (work, part.map_or(Safe::Plain(safe), Safe::Encrypted))
                }
                _ => {
                    return Err(IdentityError::Unsupported("a kind of content that is not supported".into()));
                }
            };
            iterations = iterations.saturating_add(work);
            safes.push(safe);
        }
        let mac_iterations = if mac.is_empty() { None } else { Some(self.mac(mac)?) };
        iterations = iterations.saturating_add(mac_iterations.unwrap_or(0));
        Ok(Work { iterations, mac_iterations, version, safes })
    }

    /// MacData: digest, salt, iterations (1 if left out).
    fn mac(&self, mac: &'a [u8]) -> Parsed<u64> {
        let (_, mac) = self.sequence(mac, "the MAC")?;
        let (rest, _digest) = self.any(mac, "the MAC's digest")?;
        let (rest, _salt) = self.any(rest, "the MAC's salt")?;
        if rest.is_empty() { Ok(1) } else { Ok(self.integer(rest)?.1) }
    }

    /// EncryptedData: version, then content type, algorithm, content.
    fn encrypted_data(&self, content: &'a [u8]) -> Parsed<(u64, Option<Encrypted<'a>>)> {
        let (_, data) = self.sequence(content, "encrypted data")?;
        let (rest, _version) = self.any(data, "encrypted data's version")?;
        let (_, info) = self.sequence(rest, "encrypted content")?;
        let (algorithm, _content_type) = self.any(info, "encrypted content's type")?;
        let work = self.algorithm(algorithm)?;
        let (content, identifier) = self.sequence(algorithm, "an encryption algorithm")?;
        if content.is_empty() {
            return Ok((work, None));
        }
        let (_, content) = self.any(content, "encrypted content")?;
        Ok((work, Some(self.encrypted(identifier, content.data)?)))
    }

    /// Creates a part encrypted by the algorithm of `identifier`.
    fn encrypted(&self, identifier: &'a [u8], content: &'a [u8]) -> Parsed<Encrypted<'a>> {
        let (parameters, oid) = self.any(identifier, "an encryption algorithm's name")?;
        let legacy = if oid.data == PBES2 { None } else { Some(self.salt_and_iterations(parameters)?) };
        Ok(Encrypted { algorithm: oid.data, parameters, legacy, content })
    }

    /// EncryptedPrivateKeyInfo: algorithm, content.
    fn key(&self) -> Parsed<(u64, Encrypted<'a>)> {
        let (after, key) = self.sequence(self.file, "the encrypted key")?;
        if !after.is_empty() {
            return Err(self.malformed(after, "bytes after the key's end"));
        }
        let work = self.algorithm(key)?;
        let (content, identifier) = self.sequence(key, "an encryption algorithm")?;
        let content = self.octet_string(content)?;
        Ok((work, self.encrypted(identifier, content)?))
    }

    /// SafeContents: the shrouded key bags and secrets among its bags.
    fn bags(&self, contents: &'a [u8]) -> Parsed<u64> {
        let (_, bags) = self.sequence(contents, "the bags")?;
        let mut iterations = 0_u64;
        for bag in self.elements(bags)? {
            let (kind, value) = self.typed(bag)?;
            if kind == SHROUDED_KEY_BAG {
                let (_, key) = self.sequence(value, "a shrouded key")?;
                iterations = iterations.saturating_add(self.algorithm(key)?);
            } else if kind == SECRET_BAG {
                return Err(IdentityError::Unsupported(
                    "a secret bag, which no client identity needs".into(),
                ));
            }
        }
        Ok(iterations)
    }

    /// AlgorithmIdentifier of an encryption: PBES2, or PKCS#12's own with (salt, iterations).
    fn algorithm(&self, input: &'a [u8]) -> Parsed<u64> {
        let (_, algorithm) = self.sequence(input, "an encryption algorithm")?;
        let (parameters, oid) = self.any(algorithm, "an encryption algorithm's name")?;
        if oid.data != PBES2 {
            // Two hashes for a key of 24 bytes, one for the initialization vector.
            return Ok(self.salt_and_iterations(parameters)?.1.saturating_mul(3));
        }
        let parameters_der = parameters;
        let (_, parameters) = self.sequence(parameters, "an encryption algorithm's parameters")?;
        let (_, derivation) = self.sequence(parameters, "a key derivation")?;
        let (rest, function) = self.any(derivation, "a key derivation's name")?;
        let (_, settings) = self.sequence(rest, "a key derivation's parameters")?;
        let (rest, _salt) = self.any(settings, "the salt")?;
        let (rest, first) = self.integer(rest)?;
        if function.data != SCRYPT {
            return Ok(first.saturating_mul(decrypt::blocks(parameters_der)));
        }
        let (rest, block_size) = self.integer(rest)?;
        let (_, lanes) = self.integer(rest)?;
        let work = first.saturating_mul(block_size).saturating_mul(lanes);
        let memory = first.saturating_mul(block_size).saturating_mul(128);
        Ok(if memory > MOST_SCRYPT_MEMORY { work.max(TOO_MUCH) } else { work })
    }

    /// The parameters of PKCS#12's own encryptions.
    fn salt_and_iterations(&self, parameters: &'a [u8]) -> Parsed<(&'a [u8], u64)> {
        let (_, parameters) = self.sequence(parameters, "an encryption algorithm's parameters")?;
        let (rest, salt) = self.any(parameters, "the salt")?;
        Ok((salt.data, self.integer(rest)?.1))
    }

    /// A SEQUENCE of an object identifier and an explicitly tagged value.
    fn typed(&self, element: &'a [u8]) -> Parsed<(&'a [u8], &'a [u8])> {
        let (rest, oid) = self.any(element, "a content type")?;
        let (_, value) = self.any(rest, "a content")?;
        Ok((oid.data, value.data))
    }

    /// The contents of the SEQUENCEs that follow one another.
    fn elements(&self, mut input: &'a [u8]) -> Parsed<Vec<&'a [u8]>> {
        let mut elements = Vec::new();
        while !input.is_empty() {
            let (rest, element) = self.sequence(input, "an element")?;
            elements.push(element);
            input = rest;
        }
        Ok(elements)
    }

    fn octet_string(&self, input: &'a [u8]) -> Parsed<&'a [u8]> {
        let (_, element) = self.any(input, "an octet string")?;
        if element.tag() != Tag::OctetString {
            return Err(self.malformed(input, "expected an OCTET STRING"));
        }
        Ok(element.data)
    }

    fn integer(&self, input: &'a [u8]) -> Parsed<(&'a [u8], u64)> {
        let (rest, element) = self.any(input, "a number")?;
        if element.tag() != Tag::Integer || element.data.first().is_none_or(|first| first & 0x80 != 0) {
            return Err(self.malformed(input, "expected a non-negative INTEGER"));
        }
        let significant = element.data.iter().skip_while(|byte| **byte == 0);
        let value =
            significant.fold(
                0_u64,
                |value, byte| {
                    if value >> 56 != 0 { u64::MAX } else { value << 8 | u64::from(*byte) }
                },
            );
        Ok((rest, value))
    }

    fn sequence(&self, input: &'a [u8], what: &str) -> Parsed<(&'a [u8], &'a [u8])> {
        if input.starts_with(b"-----BEGIN") {
            return Err(self.malformed(
                input,
                "it is PEM; read it as PEM (from_pem; in gateway.toml: certificate and private_key)",
            ));
        }
        let (rest, element) = self.any(input, what)?;
        if element.class() != Class::Universal || element.tag() != Tag::Sequence {
            return Err(self.malformed(input, format!("{what} is not a SEQUENCE")));
        }
        Ok((rest, element.data))
    }

    fn any(&self, input: &'a [u8], what: &str) -> Parsed<(&'a [u8], Any<'a>)> {
        Any::from_der(input).map_err(|_| {
            if input.get(1) == Some(&0x80) {
                let indefinite =
                    "BER with indefinite lengths; convert it with `openssl pkcs12 -in OLD -out NEW`";
                return IdentityError::Unsupported(indefinite.into());
            }
            self.malformed(input, format!("{what} is not valid DER"))
        })
    }

    fn malformed(&self, at: &[u8], problem: impl Into<String>) -> IdentityError {
        let byte = (at.as_ptr() as usize).checked_sub(self.file.as_ptr() as usize);
        IdentityError::Malformed { byte, problem: problem.into() }
    }
}
