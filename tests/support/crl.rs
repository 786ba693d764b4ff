//! Revocation lists, encoded field by field, so that each can be malformed.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by test files, each using its own part")]

use rcgen::{KeyPair, SigningKey};

pub const SEQUENCE: u8 = 0x30;
pub const OCTETS: u8 = 0x04;

pub const NUMBER: &[u8] = &[0x55, 0x1d, 20];
pub const REASON: &[u8] = &[0x55, 0x1d, 21];
pub const DELTA: &[u8] = &[0x55, 0x1d, 27];
pub const ISSUING_POINT: &[u8] = &[0x55, 0x1d, 28];
pub const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
pub const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 35];
pub const UNKNOWN: &[u8] = &[0x2a, 3, 4];

/// ecdsa-with-SHA256.
const ALGORITHM: &[u8] = &[SEQUENCE, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// A list in parts, each encoded. Valid in January 2026.
#[derive(Clone)]
pub struct Crl {
    pub version: Vec<u8>,
    pub algorithm: Vec<u8>,
    pub issuer: Vec<u8>,
    pub this_update: Vec<u8>,
    pub next_update: Vec<u8>,
    /// The content of revokedCertificates, which is absent if this is empty.
    pub entries: Vec<u8>,
    /// The content of Extensions, which are absent if this is empty.
    pub extensions: Vec<u8>,
}

impl Crl {
    /// A list without entries and extensions; `issuer` is a DER-encoded name.
    pub fn bare(issuer: &[u8]) -> Self {
        Self {
            version: vec![2, 1, 1],
            algorithm: ALGORITHM.into(),
            issuer: issuer.into(),
            this_update: utc_time("260101000000Z"),
            next_update: utc_time("260201000000Z"),
            entries: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// A list with this CRL number.
    pub fn numbered(issuer: &[u8], number: u8) -> Self {
        Self::bare(issuer).extension(NUMBER, false, &[2, 1, number])
    }

    pub fn between(self, this_update: &str, next_update: &str) -> Self {
        Self { this_update: utc_time(this_update), next_update: utc_time(next_update), ..self }
    }

    pub fn extension(mut self, oid: &[u8], is_critical: bool, value: &[u8]) -> Self {
        self.extensions.extend(extension(oid, is_critical, value));
        self
    }

    /// Limited by an issuing distribution point with these fields.
    pub fn issuing_point(self, fields: &[u8]) -> Self {
        self.extension(ISSUING_POINT, true, &tlv(SEQUENCE, fields))
    }

    pub fn revoke(self, serial: &[u8]) -> Self {
        self.revoke_with(serial, &[])
    }

    /// An entry with encoded extensions.
    pub fn revoke_with(mut self, serial: &[u8], extensions: &[u8]) -> Self {
        let extensions = if extensions.is_empty() { Vec::new() } else { tlv(SEQUENCE, extensions) };
        let entry = [tlv(2, serial), utc_time("251231000000Z"), extensions].concat();
        self.entries.extend(tlv(SEQUENCE, &entry));
        self
    }

    pub fn sign(&self, key: &KeyPair) -> Vec<u8> {
        let mut body =
            [&*self.version, &self.algorithm, &self.issuer, &self.this_update, &self.next_update].concat();
        if !self.entries.is_empty() {
            body.extend(tlv(SEQUENCE, &self.entries));
        }
        if !self.extensions.is_empty() {
            body.extend(tlv(0xa0, &tlv(SEQUENCE, &self.extensions)));
        }
        let body = tlv(SEQUENCE, &body);
        let signature = [vec![0], key.sign(&body).unwrap()].concat();
        tlv(SEQUENCE, &[body, ALGORITHM.into(), tlv(3, &signature)].concat())
    }
}

pub fn extension(oid: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if is_critical { &[1, 1, 0xff] } else { &[] };
    tlv(SEQUENCE, &[&*tlv(6, oid), critical, &tlv(OCTETS, value)].concat())
}

pub fn utc_time(text: &str) -> Vec<u8> {
    tlv(0x17, text.as_bytes())
}

/// A DER element.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let head = match content.len() {
        0..=0x7f => vec![tag, digits[0]],
        _ => [&[tag, 0x80 | digits.len() as u8], digits].concat(),
    };
    [&head, content].concat()
}
