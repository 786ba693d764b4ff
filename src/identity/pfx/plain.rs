//! Removal of MAC and encryption of a file's parts, so that each key is derived once. Private keys inside can still be
//! encrypted.

use pkcs5::der::{Encode, Tag, TagNumber, asn1::AnyRef};
use zeroize::Zeroizing;

use super::{
    IdentityError, explain,
    work::{self, DATA, Safe, Work},
};

/// Returns the decrypted file, and the iteration counts found inside.
pub(super) fn decrypted(work: &Work<'_>, password: &str) -> Result<(Zeroizing<Vec<u8>>, u64), IdentityError> {
    let (mut safes, mut hidden) = (Vec::new(), 0_u64);
    for safe in &work.safes {
        safes.push(match safe {
            Safe::Plain(contents) => element(Tag::Sequence, &[contents])?,
            Safe::Encrypted(part) => {
                let decrypted = part.decrypt(password);
                let contents = decrypted.map_err(|error| explain(&error, work.mac_iterations.is_some()))?;
                hidden = hidden.saturating_add(work::hidden(&contents)?);
                data(&contents)?
            }
        });
    }
    let safes: Vec<_> = safes.iter().map(|safe| safe.as_slice()).collect();
    let file = element(Tag::Sequence, &[work.version, &data(&element(Tag::Sequence, &safes)?)?])?;
    Ok((file, hidden))
}

/// Encodes a ContentInfo of plain contents.
fn data(contents: &[u8]) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let explicit = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    let content = element(explicit, &[&element(Tag::OctetString, &[contents])?])?;
    element(Tag::Sequence, &[&element(Tag::ObjectIdentifier, &[DATA])?, &content])
}

fn element(tag: Tag, parts: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let contents = Zeroizing::new(parts.concat());
    let encoded = AnyRef::new(tag, &contents).and_then(|element| element.to_der());
    encoded
        .map(Zeroizing::new)
        .map_err(|error| IdentityError::Malformed { byte: None, problem: error.to_string() })
}
