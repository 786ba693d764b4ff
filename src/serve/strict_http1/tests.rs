mod agreement;
mod streams;
mod table;

use super::scanner::{MessagePart, Scanner};
use table::{BAD, GOOD};

/// Returns the scanner after the whole stream, or offset and part of the first violation.
fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Scanner, (usize, MessagePart)> {
    let mut scanner = Scanner::new();
    let mut before = 0;
    for piece in pieces {
        scanner.scan(piece).map_err(|violation| (before + violation.offset, violation.part))?;
        before += piece.len();
    }
    Ok(scanner)
}

fn is_between_requests(scanner: &Scanner) -> bool {
    matches!(scanner, Scanner::Idle(_))
}

#[track_caller]
fn assert_valid(name: &str, stream: &[u8]) {
    let check = |scanned: Result<Scanner, _>, how: &str| {
        let scanner = scanned.unwrap_or_else(|violation| panic!("{name}, {how}: {violation:?}"));
        assert!(is_between_requests(&scanner), "{name}, {how}: {scanner:?}");
    };
    check(scan([stream]), "whole");
    check(scan(stream.chunks(1)), "byte by byte");
    for at in 0..stream.len() {
        let (first, second) = stream.split_at(at);
        check(scan([first, second]), &format!("split at {at}"));
    }
}

#[test]
fn valid_requests_pass_at_any_split() {
    for (name, request) in GOOD {
        assert_valid(name, request.as_bytes());
        // Pipelined.
        assert_valid(name, request.repeat(3).as_bytes());
    }
}

#[test]
fn random_valid_streams_pass_at_any_split() {
    for seed in 1..=300 {
        assert_valid(&format!("seed {seed}"), &streams::valid(seed));
    }
}

#[test]
fn invalid_requests_are_rejected_at_the_same_byte_at_any_split() {
    for (name, part, valid, invalid) in BAD {
        let request = [*valid, *invalid].concat();
        let stream = request.as_bytes();
        let expected = Some((valid.len(), *part));
        assert_eq!(scan([stream]).err(), expected, "{name}, whole");
        assert_eq!(scan(stream.chunks(1)).err(), expected, "{name}, byte by byte");
        for at in 0..stream.len() {
            let (first, second) = stream.split_at(at);
            assert_eq!(scan([first, second]).err(), expected, "{name}, split at {at}");
        }
        // After a valid request.
        let first = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let later = [first.as_bytes(), stream].concat();
        assert_eq!(scan([&later[..]]).err(), Some((first.len() + valid.len(), *part)), "{name}, second");
    }
}

#[test]
fn extension_limit_applies_to_each_chunk() {
    let chunks = |length: usize| {
        let line = format!("1;{}\r\nx\r\n", "e".repeat(length - 1));
        format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", line.repeat(2))
    };
    assert_valid("longest extension", chunks(1_024).as_bytes());
    let too_long = scan([chunks(1_025).as_bytes()]);
    assert!(too_long.is_err_and(|(_, part)| part == MessagePart::Body));
}

#[test]
fn control_characters_are_invalid_in_heads() {
    let request = b"GET /target HTTP/1.1\r\nHost: host\r\nField: some value\r\n\r\n";
    for at in 0..request.len() {
        for byte in (0..b' ').chain([0x7f]) {
            let mut stream = request.to_vec();
            stream[at] = byte;
            let line = request[..at].rsplit(|byte| *byte == b'\n').next().unwrap();
            let is_in_value = line.contains(&b':') && !request[at].is_ascii_control();
            let is_valid = byte == request[at] || byte == b'\t' && is_in_value;
            assert_eq!(scan([&stream[..]]).is_ok(), is_valid, "{byte:#x} at {at}");
        }
    }
}
