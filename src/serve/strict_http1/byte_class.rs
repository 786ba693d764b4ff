//! Classes of bytes, and runs of bytes of one class.

/// Bytes per group; the compiler vectorizes the comparison of a group.
const GROUP: usize = 16;

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+'
                | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    table
};

/// Returns true for `tchar` of RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Returns true unless the byte is whitespace or a control character.
pub(super) fn is_visible(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// Returns true for visible bytes, space and tab.
pub(super) fn is_text(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) || byte == b'\t'
}

/// Returns true for `OWS` of RFC 9110, section 5.6.3.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns the number of leading bytes of a class.
pub(super) fn run_length(bytes: &[u8], is_in_class: impl Fn(u8) -> bool) -> usize {
    // No early exit within a group, so that the comparison is vectorized.
    let all = |group: &&[u8]| group.iter().fold(true, |all, byte| all & is_in_class(*byte));
    let whole_groups = bytes.chunks_exact(GROUP).take_while(all).count() * GROUP;
    let rest = &bytes[whole_groups..];
    whole_groups + rest.iter().position(|byte| !is_in_class(*byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ends_at_first_byte_of_another_class_at_any_position() {
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(run_length(&bytes, is_text), length);
            for at in 0..length {
                bytes[at] = b'\r';
                assert_eq!(run_length(&bytes, is_text), at, "{length}");
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn classes_match_the_grammar() {
        for byte in 0..=u8::MAX {
            let is_control = byte.is_ascii_control();
            assert_eq!(is_text(byte), !is_control || byte == b'\t', "{byte}");
            assert_eq!(is_visible(byte), !is_control && byte != b' ', "{byte}");
            let is_delimiter = br#""(),/:;<=>?@[\]{}"#.contains(&byte);
            assert_eq!(is_token(byte), byte.is_ascii_graphic() && !is_delimiter, "{byte}");
        }
    }
}
