//! Kinds of octets, and how far a run of one kind reaches.

/// How many octets are looked at together, so that the compiler can do it in one step.
const TOGETHER: usize = 16;

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = matches!(
            octet as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+'
                | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        octet += 1;
    }
    table
};

/// `tchar` of RFC 9110, section 5.6.2.
pub(super) fn is_token(octet: u8) -> bool {
    TOKEN[usize::from(octet)]
}

/// Neither blank nor control character.
pub(super) fn is_visible(octet: u8) -> bool {
    octet > b' ' && octet != 0x7f
}

/// Visible or blank.
pub(super) fn is_text(octet: u8) -> bool {
    (octet >= b' ' && octet != 0x7f) || octet == b'\t'
}

/// `OWS` of RFC 9110, section 5.6.3.
pub(super) fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// How many octets at the start are of this kind.
pub(super) fn run(bytes: &[u8], is_of_kind: impl Fn(u8) -> bool) -> usize {
    // Without a way out in the middle, the compiler compares the whole group at once.
    let all = |group: &&[u8]| group.iter().fold(true, |all, octet| all & is_of_kind(*octet));
    let sure = bytes.chunks_exact(TOGETHER).take_while(all).count() * TOGETHER;
    let rest = &bytes[sure..];
    sure + rest.iter().position(|octet| !is_of_kind(*octet)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_the_first_octet_of_another_kind_wherever_it_stands() {
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(run(&bytes, is_text), length);
            for at in 0..length {
                bytes[at] = b'\r';
                assert_eq!(run(&bytes, is_text), at, "{length}");
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn kinds_are_those_of_the_grammar() {
        for octet in 0..=u8::MAX {
            let is_control = octet.is_ascii_control();
            assert_eq!(is_text(octet), !is_control || octet == b'\t', "{octet}");
            assert_eq!(is_visible(octet), !is_control && octet != b' ', "{octet}");
            let is_delimiter = br#""(),/:;<=>?@[\]{}"#.contains(&octet);
            assert_eq!(is_token(octet), octet.is_ascii_graphic() && !is_delimiter, "{octet}");
        }
    }
}
