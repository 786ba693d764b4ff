//! Malformed certificates, edited from valid ones.

use rcgen::SigningKey;

use super::pki::Issued;

/// The certificate in version 1: without extensions, signed by its own key.
pub fn version_1(issued: Issued) -> Issued {
    const VERSION: u8 = 0xa0;
    const EXTENSIONS: u8 = 0xa3;
    rewritten(issued, |fields| {
        fields.retain(|(tag, _)| *tag != VERSION && *tag != EXTENSIONS);
    })
}

/// The certificate with malformed subject alternative names, signed by its own key.
pub fn with_malformed_names(issued: Issued) -> Issued {
    const SUBJECT_ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11, 0x04];
    rewritten(issued, |fields| {
        let (_, extensions) = fields.last_mut().unwrap();
        let place = extensions.windows(4).position(|window| window == SUBJECT_ALTERNATIVE_NAMES).unwrap();
        // The octet string's length, then the tag of the expected sequence.
        extensions[place + 5] = 0x04;
    })
}

fn rewritten(issued: Issued, change: impl FnOnce(&mut Vec<(u8, Vec<u8>)>)) -> Issued {
    let (_, certificate, _) = split(&issued.der);
    let parts = parts(certificate);
    let [(_, fields), algorithm, _] = &parts[..] else {
        panic!("a certificate has three parts");
    };
    let mut fields = self::parts(fields);
    change(&mut fields);
    let signed = wrap(0x30, &join(&fields));
    let mut signature = vec![0];
    signature.extend(issued.key.sign(&signed).unwrap());
    let certificate = [signed, wrap(algorithm.0, &algorithm.1), wrap(0x03, &signature)];
    Issued { der: wrap(0x30, &certificate.concat()), ..issued }
}

/// The first value: its tag, its contents, and the rest.
pub fn split(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let start = 2 + usize::from(der[1].saturating_sub(0x80));
    let length = match der[1] {
        short @ 0..0x80 => usize::from(short),
        _ => der[2..start].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    let (value, rest) = der.split_at(start + length);
    (der[0], &value[start..], rest)
}

/// The values of a constructed value's contents: tags and contents.
pub fn parts(mut der: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut parts = Vec::new();
    while !der.is_empty() {
        let (tag, contents, rest) = split(der);
        parts.push((tag, contents.to_vec()));
        der = rest;
    }
    parts
}

/// The inverse of [`parts`].
pub fn join(parts: &[(u8, Vec<u8>)]) -> Vec<u8> {
    parts.iter().flat_map(|(tag, contents)| wrap(*tag, contents)).collect()
}

/// A value with its tag and length.
pub fn wrap(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [0, high, middle, low] = u32::try_from(contents.len()).unwrap().to_be_bytes() else {
        panic!("at most 16 MiB");
    };
    let head = match contents.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        0x100..0x1_0000 => vec![tag, 0x82, middle, low],
        _ => vec![tag, 0x83, high, middle, low],
    };
    [head, contents.to_vec()].concat()
}
