//! CertificateList (RFC 5280, section 5.1).

use std::{borrow::Cow, ops::Range};

use super::{
    super::path::{
        der::{self, BIT_STRING, GENERALIZED_TIME, INTEGER, Reader, SEQUENCE, UTC_TIME},
        signature,
    },
    entries::Entries,
    error::RevocationListError,
    extensions::ListExtensions,
    limitation::RevocationListLimitation,
    list::{Inner, RevocationList},
    proof::{Proof, Unverified},
};
use crate::{certificate::DistinguishedName, keys::pem};

/// Limit of a file in bytes. The largest public lists have about 50 MB.
const MAX_SIZE: usize = 512 * 1024 * 1024;

/// Limit of a file in lists. Partitioned lists of one CA are fewer than 100.
const MAX_LISTS: usize = 256;

/// Labels of PEM blocks.
const LABELS: &[&str] = &["X509 CRL", "CRL"];

/// Reads one DER-encoded list, or PEM.
pub(super) fn read(bytes: Cow<'_, [u8]>) -> Result<Vec<RevocationList>, RevocationListError> {
    if bytes.len() > MAX_SIZE {
        return Err(RevocationListError::new(format!("larger than {MAX_SIZE} bytes")));
    }
    if is_der(&bytes) {
        return Ok(vec![read_der(bytes.into_owned())?]);
    }
    let blocks = pem::decode_in_place(bytes.into_owned(), LABELS, MAX_SIZE)
        .map_err(|error| RevocationListError::new(error.to_string()))?;
    if blocks.len() > MAX_LISTS {
        let problem = format!("more than {MAX_LISTS} lists; split them into several files");
        return Err(RevocationListError::new(problem));
    }
    blocks.into_iter().map(|(line, der)| read_der(der).map_err(|error| error.at_line(line))).collect()
}

/// Returns true for DER. The tag of a SEQUENCE is also the digit 0, so the length decides.
fn is_der(bytes: &[u8]) -> bool {
    match bytes {
        [SEQUENCE, length, ..] => *length >= 0x80 || declared_length(bytes) == Some(bytes.len()),
        _ => false,
    }
}

/// The length of a DER element with its header, even if its end is missing.
fn declared_length(bytes: &[u8]) -> Option<usize> {
    match *bytes.get(1)? {
        length @ 0..=0x7f => Some(2 + usize::from(length)),
        first @ 0x81..=0x84 => {
            let digits = usize::from(first & 0x7f);
            let length =
                bytes.get(2..2 + digits)?.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
            usize::try_from(length).ok()?.checked_add(2 + digits)
        }
        _ => None,
    }
}

fn read_der(der: Vec<u8>) -> Result<RevocationList, RevocationListError> {
    match declared_length(&der) {
        Some(length) if der.len() < length => {
            let problem = format!("truncated: {} of {length} bytes; fetch the list again", der.len());
            return Err(RevocationListError::new(problem));
        }
        Some(length) if der.len() > length => {
            return Err(RevocationListError::new("bytes after the end of the list; remove them"));
        }
        _ => {}
    }
    let inner = read_list(der).map_err(|problem| {
        RevocationListError::new(format!("this is not a certificate revocation list: {problem}"))
    })?;
    Ok(RevocationList::new(inner))
}

fn read_list(der: Vec<u8>) -> Result<Inner, String> {
    let at = |part: &[u8]| -> Range<usize> {
        let start = part.as_ptr() as usize - der.as_ptr() as usize;
        start..start + part.len()
    };
    let outer = || {
        let mut list = Reader::new(&der).sequence()?;
        let (tbs, algorithm) = (list.element()?, list.element()?);
        // A signature is whole bytes. Another one verifies with no key.
        let (unused_bits, signature) = list.expect(BIT_STRING)?.split_first()?;
        let signature = if *unused_bits == 0 { signature } else { &signature[..0] };
        list.end()?;
        (tbs.tag == SEQUENCE && algorithm.tag == SEQUENCE).then_some((tbs, algorithm, signature))
    };
    let (tbs, algorithm, signature) =
        outer().ok_or("it is not a SEQUENCE of a body, an algorithm and a signature")?;

    let mut fields = Reader::new(tbs.content);
    let has_version_2 = match fields.optional(INTEGER).ok_or("its version is malformed")? {
        None => false,
        Some([1]) => true,
        Some(_) => return Err("its version is not 1 or 2".into()),
    };
    let inner_algorithm = fields.element().ok_or("its algorithm is malformed")?;
    if inner_algorithm.encoding != algorithm.encoding {
        return Err("its two signature algorithms differ".into());
    }
    let issuer = fields.element().ok_or("its issuer is malformed")?;
    let issuer = DistinguishedName::from_der(issuer.encoding).map_err(|error| error.to_string())?;
    if issuer.is_empty() {
        return Err("its issuer is empty".into());
    }
    let this_update = fields.element().and_then(|element| der::time(&element));
    let this_update = this_update.ok_or("its thisUpdate is malformed")?;
    let has_next = matches!(fields.rest().first(), Some(&(UTC_TIME | GENERALIZED_TIME)));
    let next_update = if has_next {
        let next = fields.element().and_then(|element| der::time(&element));
        Some(next.ok_or("its nextUpdate is malformed")?)
    } else {
        None
    };
    let revoked = fields.optional(SEQUENCE).ok_or("its entries are malformed")?.unwrap_or_default();
    let extensions = match fields.optional(0xa0).ok_or("its extensions are malformed")? {
        None => ListExtensions::none(),
        Some(_) if !has_version_2 => return Err("it has extensions, but version 1".into()),
        Some(tagged) => {
            let mut reader = Reader::new(tagged);
            let content = reader.expect(SEQUENCE).ok_or("its extensions are malformed")?;
            reader.end().ok_or("its extensions are malformed")?;
            ListExtensions::read(content, &issuer)?
        }
    };
    fields.end().ok_or("its body has an unknown field")?;
    let entries = Entries::read(revoked, &issuer, has_version_2)?;

    let mut limitation = extensions.limitation(entries.unsupported.clone());
    if limitation.is_none() && entries.is_indirect {
        limitation = Some(RevocationListLimitation::Indirect);
    }
    if limitation.is_none() && next_update.is_none() {
        limitation = Some(RevocationListLimitation::NoNextUpdate);
    }
    let supported = signature::algorithm(algorithm.encoding).ok();
    let revoked = if revoked.is_empty() { 0..0 } else { at(revoked) };
    let (message, algorithm, signature) = (at(tbs.encoding), at(algorithm.encoding), at(signature));
    let other_keys = Vec::new();
    let ListExtensions { number, key_id, scope, is_delta, .. } = extensions;
    Ok(Inner {
        issuer,
        number,
        key_id,
        this_update,
        next_update,
        scope,
        is_delta,
        limitation,
        algorithm: supported,
        entries: entries.count,
        encoded_len: der.len(),
        proof: Proof::new(Unverified { der, message, algorithm, signature, revoked, entries, other_keys }),
    })
}
