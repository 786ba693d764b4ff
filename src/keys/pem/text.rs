use std::{borrow::Cow, ops::Deref};

use zeroize::{Zeroize, Zeroizing};

/// Removes the byte order mark of a text, and converts UTF-16 with a mark (as PowerShell's `Out-File` writes) to UTF-8.
///
/// Bytes without a mark, and texts that do not match their mark, are returned unchanged. No DER or
/// PKCS#12 file begins with a mark. The copy of a converted text is not erased on drop.
///
/// ```
/// use tower_mtls::keys::pem;
///
/// assert_eq!(&*pem::decode(b"\xef\xbb\xbfPEM"), b"PEM"); // UTF-8 with a mark
/// assert_eq!(&*pem::decode(b"\xff\xfeP\0E\0M\0"), b"PEM"); // UTF-16, little endian
/// assert_eq!(&*pem::decode(b"PEM"), b"PEM");
/// ```
pub fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    let decoded = match bytes {
        [0xef, 0xbb, 0xbf, text @ ..] => return Cow::Borrowed(text),
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        _ => None,
    };
    decoded.map_or(Cow::Borrowed(bytes), |text| Cow::Owned(text.into_bytes()))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    // UTF-8 PEM appended to UTF-16 would decode to letters that are ignored.
    if bytes.windows(10).any(|bytes| bytes == b"-----BEGIN") {
        return None;
    }
    let (units, rest) = bytes.as_chunks();
    // A unit becomes at most three bytes: a growing buffer would leave copies of a secret behind.
    let mut text = Zeroizing::new(String::with_capacity(units.len().checked_mul(3)?));
    for character in char::decode_utf16(units.iter().copied().map(unit)) {
        text.push(character.ok()?);
    }
    rest.is_empty().then(|| std::mem::take(&mut *text))
}

/// A [decoded](decode) text. Its copy, if there is one, is erased on drop.
pub(crate) struct SecretText<'t>(Cow<'t, [u8]>);

impl<'t> SecretText<'t> {
    pub(crate) fn decode(bytes: &'t [u8]) -> Self {
        Self(decode(bytes))
    }
}

impl Deref for SecretText<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SecretText<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_removed_and_utf16_is_decoded() {
        let text = "pässwörd 🔑\r\n";
        let units = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<_>>();
        let [le, be] = [units(u16::to_le_bytes), units(u16::to_be_bytes)];
        for (case, bytes, expected) in [
            ("no mark", text.as_bytes().to_vec(), text.as_bytes()),
            ("UTF-8", [b"\xef\xbb\xbf", text.as_bytes()].concat(), text.as_bytes()),
            ("UTF-16LE", [b"\xff\xfe".as_slice(), &le].concat(), text.as_bytes()),
            ("UTF-16BE", [b"\xfe\xff".as_slice(), &be].concat(), text.as_bytes()),
            ("half a unit", b"\xff\xfea\0b".to_vec(), b"\xff\xfea\0b"),
            ("half a pair", b"\xff\xfe\x3d\xd8".to_vec(), b"\xff\xfe\x3d\xd8"),
            (
                "UTF-8 behind UTF-16",
                b"\xff\xfea\0-----BEGIN A-----\n".to_vec(),
                b"\xff\xfea\0-----BEGIN A-----\n",
            ),
            ("a mark alone", b"\xef\xbb\xbf".to_vec(), b""),
            ("half a mark", b"\xef\xbb".to_vec(), b"\xef\xbb"),
            ("DER", b"\x30\x82\x01\x02".to_vec(), b"\x30\x82\x01\x02"),
            ("nothing", Vec::new(), b""),
        ] {
            assert_eq!(&*decode(&bytes), expected, "{case}");
        }
    }
}
