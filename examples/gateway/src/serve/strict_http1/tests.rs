mod agreement;
mod streams;
mod table;

use super::{Follower, Place};
use table::{BAD, GOOD};

/// The follower behind the whole stream, or the octet and place of the first violation.
fn verdict<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Follower, (usize, Place)> {
    let mut follower = Follower::new();
    let mut before = 0;
    for piece in pieces {
        follower.follow(piece).map_err(|violation| (before + violation.at, violation.place))?;
        before += piece.len();
    }
    Ok(follower)
}

fn is_behind_a_request(follower: &Follower) -> bool {
    matches!(follower, Follower::Before(_))
}

#[track_caller]
fn passes(name: &str, stream: &[u8]) {
    let judge = |verdict: Result<Follower, _>, how: &str| {
        let follower = verdict.unwrap_or_else(|violation| panic!("{name}, {how}: {violation:?}"));
        assert!(is_behind_a_request(&follower), "{name}, {how}: {follower:?}");
    };
    judge(verdict([stream]), "whole");
    judge(verdict(stream.chunks(1)), "octet by octet");
    for at in 0..stream.len() {
        let (first, second) = stream.split_at(at);
        judge(verdict([first, second]), &format!("split at {at}"));
    }
}

#[test]
fn good_requests_pass_wherever_they_are_split() {
    for (name, request) in GOOD {
        passes(name, request.as_bytes());
        // And one behind the other, as they are pipelined.
        passes(name, request.repeat(3).as_bytes());
    }
}

#[test]
fn random_good_streams_pass_wherever_they_are_split() {
    for seed in 1..=300 {
        passes(&format!("seed {seed}"), &streams::valid(seed));
    }
}

#[test]
fn bad_requests_are_refused_at_the_same_octet_wherever_they_are_split() {
    for (name, place, good, bad) in BAD {
        let request = [*good, *bad].concat();
        let stream = request.as_bytes();
        let expected = Some((good.len(), *place));
        assert_eq!(verdict([stream]).err(), expected, "{name}, whole");
        assert_eq!(verdict(stream.chunks(1)).err(), expected, "{name}, octet by octet");
        for at in 0..stream.len() {
            let (first, second) = stream.split_at(at);
            assert_eq!(verdict([first, second]).err(), expected, "{name}, split at {at}");
        }
        // Behind another request it is no better.
        let first = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let later = [first.as_bytes(), stream].concat();
        assert_eq!(verdict([&later[..]]).err(), Some((first.len() + good.len(), *place)), "{name}, second");
    }
}

#[test]
fn an_extension_has_its_limit_in_each_chunk_of_its_own() {
    let chunks = |length: usize| {
        let line = format!("1;{}\r\nx\r\n", "e".repeat(length - 1));
        format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", line.repeat(2))
    };
    passes("as long as may be", chunks(1_024).as_bytes());
    let too_long = verdict([chunks(1_025).as_bytes()]);
    assert!(too_long.is_err_and(|(_, place)| place == Place::Body));
}

#[test]
fn nothing_but_text_stands_in_a_head() {
    let request = b"GET /target HTTP/1.1\r\nHost: host\r\nField: some value\r\n\r\n";
    for at in 0..request.len() {
        for octet in (0..b' ').chain([0x7f]) {
            let mut stream = request.to_vec();
            stream[at] = octet;
            let line = request[..at].rsplit(|octet| *octet == b'\n').next().unwrap();
            let is_in_value = line.contains(&b':') && !request[at].is_ascii_control();
            let is_good = octet == request[at] || octet == b'\t' && is_in_value;
            assert_eq!(verdict([&stream[..]]).is_ok(), is_good, "{octet:#x} at {at}");
        }
    }
}
