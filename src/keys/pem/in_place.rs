use std::{borrow::Cow, ops::Range};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{PemError, block, decode};

/// Characters of base64 that are decoded at once.
const CHUNK: usize = 1024;

/// Decodes the blocks of a large text in its own memory: the DER of each, and its line. Every block must have one of the
/// labels. Beside the text, memory is used for the largest block but the first.
pub(crate) fn decode_in_place(
    text: Vec<u8>,
    labels: &[&str],
    limit: usize,
) -> Result<Vec<(usize, Vec<u8>)>, PemError> {
    let decoded = match decode(&text) {
        Cow::Owned(decoded) => Some(decoded),
        // A mark in front is skipped by `blocks`.
        Cow::Borrowed(_) => None,
    };
    let mut text = decoded.unwrap_or(text);
    let mut bodies = Vec::new();
    for block in block::blocks_within(&text, limit)? {
        if !labels.contains(&block.label) {
            let problem = format!("not expected here; only {} blocks are", labels.join(" and "));
            return Err(block.error(&problem));
        }
        let start = block.body.as_ptr() as usize - text.as_ptr() as usize;
        bodies.push((block.line, block.label.to_owned(), start..start + block.body.len()));
    }
    let mut blocks = Vec::with_capacity(bodies.len());
    let mut end = 0;
    for (line, label, body) in bodies {
        blocks.push((line, end));
        end = move_decoded(&mut text, body, end)
            .ok_or_else(|| PemError::of_block(line, &label, "not valid base64"))?;
    }
    text.truncate(end);
    let mut decoded = Vec::with_capacity(blocks.len());
    for (line, start) in blocks.into_iter().rev() {
        text.shrink_to_fit();
        // The first block keeps the memory of the text.
        let der = if start == 0 { std::mem::take(&mut text) } else { text.split_off(start) };
        decoded.push((line, der));
    }
    decoded.reverse();
    Ok(decoded)
}

/// Decodes the base64 at `body` to the front of it, from `at` on. Returns the end of the decoded bytes.
fn move_decoded(text: &mut [u8], body: Range<usize>, mut at: usize) -> Option<usize> {
    let mut chunk = [0; CHUNK];
    let (mut length, mut is_padded) = (0, false);
    for index in body.clone() {
        let byte = *text.get(index)?;
        if byte.is_ascii_whitespace() {
            continue;
        }
        if is_padded {
            return None;
        }
        chunk[length] = byte;
        length += 1;
        if length == CHUNK {
            is_padded = byte == b'=';
            // Three bytes replace four that were read.
            at += STANDARD.decode_slice(chunk, text.get_mut(at..=index)?).ok()?;
            length = 0;
        }
    }
    at += STANDARD.decode_slice(&chunk[..length], text.get_mut(at..body.end)?).ok()?;
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, der: &[u8], width: usize) -> String {
        let base64 = STANDARD.encode(der).into_bytes();
        let lines: Vec<_> = base64.chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\r\n"))
    }

    fn decode_crls(text: impl Into<Vec<u8>>) -> Result<Vec<(usize, Vec<u8>)>, PemError> {
        decode_in_place(text.into(), &["X509 CRL"], 1 << 20)
    }

    #[test]
    fn blocks_of_all_lengths_are_decoded() {
        for length in [1, 2, 3, 766, 767, 768, 769, 770, 5_000] {
            for width in [64, 76, 1_000_000] {
                let ders: Vec<Vec<u8>> = (0..3).map(|seed: u8| vec![seed ^ 0xa5; length]).collect();
                let text: String = ders.iter().map(|der| block("X509 CRL", der, width)).collect();
                let read = decode_crls(format!("\u{feff}# three\n{text}")).unwrap();
                let read: Vec<_> = read.into_iter().map(|(_, der)| der).collect();
                assert_eq!(read, ders, "{length} bytes, lines of {width}");
            }
        }
    }

    #[test]
    fn utf16_is_decoded() {
        let text = block("X509 CRL", &[7; 100], 64);
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        let read = decode_crls([0xff, 0xfe].into_iter().chain(units).collect::<Vec<_>>()).unwrap();
        assert_eq!(read, [(1, vec![7; 100])]);
    }

    #[test]
    fn invalid_text_is_an_error_that_names_the_line() {
        let good = block("X509 CRL", &[7; 100], 64);
        let padded = block("X509 CRL", &[7; 767], 64);
        for (case, text, message) in [
            ("no block", "hello".into(), "line 1: no PEM section"),
            (
                "another label",
                good.clone() + &block("CERTIFICATE", &[7], 64),
                "line 6: CERTIFICATE block: not exp",
            ),
            (
                "no END line",
                good.clone() + "-----BEGIN X509 CRL-----\nAAAA\n",
                "line 6: X509 CRL block: no END",
            ),
            ("a foreign character", good.replace("BwcH", "Bw*H"), "line 1: X509 CRL block: not valid base64"),
            ("padding inside", padded.replace("=", "=AAAA"), "line 1: X509 CRL block: not valid base64"),
            ("padding missing", good.replace("=", ""), "line 1: X509 CRL block: not valid base64"),
            ("too large", "#".repeat((1 << 20) + 1), "larger than 1048576 bytes"),
        ] {
            let error = decode_crls(text).unwrap_err().to_string();
            assert!(error.contains(message), "{case}: {error}");
        }
    }
}
