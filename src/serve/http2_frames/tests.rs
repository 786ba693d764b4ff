use std::time::{Duration, Instant};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PRIORITY: u8 = 2;
const PRIORITY_UPDATE: u8 = 16;
const MAX_HEAD_SIZE: usize = 32 * 1024;
const SECOND: Duration = Duration::from_secs(1);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Frames of a connection after the preface, and the time and number of bytes sent, which tests set.
struct Connection {
    frames: CallerFrames,
    now: Instant,
    written: u64,
}

impl Connection {
    fn new() -> Self {
        let now = Instant::now();
        let mut frames = CallerFrames::new(MAX_HEAD_SIZE, now);
        assert_eq!(frames.scan(PREFACE, 0, || now), PREFACE.len());
        Self { frames, now, written: 0 }
    }

    fn scan(&mut self, bytes: &[u8]) -> usize {
        self.frames.scan(bytes, self.written, || self.now)
    }

    /// Returns the number of frames until the flood, which at most `max` frames do not exceed.
    fn count(&mut self, frame: &[u8], max: usize) -> usize {
        for count in 0..max {
            assert_eq!(self.scan(frame), frame.len());
            if self.frames.flood().is_some() {
                return count;
            }
        }
        max
    }
}

fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

fn window_update(stream: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes())
}

/// Each limited frame: name, frame, kind, number at once, number per second.
fn limited() -> [(&'static str, Vec<u8>, FloodKind, usize, usize); 14] {
    [
        ("PING", ping(), FloodKind::Ping, 200, 20),
        ("PING with ACK", frame(PING, ACK, 0, &[0; 8]), FloodKind::Ping, 200, 20),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[]), FloodKind::Settings, 100, 2),
        ("SETTINGS with ACK", frame(SETTINGS, ACK, 0, &[]), FloodKind::Settings, 100, 2),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0; 5]), FloodKind::Priority, 1_000, 50),
        ("PRIORITY_UPDATE", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1"), FloodKind::Priority, 1_000, 50),
        ("unknown and empty", frame(0xbb, 0xff, 7, &[]), FloodKind::Priority, 1_000, 50),
        ("GOAWAY", frame(GO_AWAY, 0, 0, &[0; 8]), FloodKind::Priority, 1_000, 50),
        ("WINDOW_UPDATE of the connection", window_update(0), FloodKind::WindowUpdate, 1_000, 100),
        ("WINDOW_UPDATE of a stream", window_update(1), FloodKind::WindowUpdate, 1_000, 100),
        ("RST_STREAM", frame(RST_STREAM, 0, 1, &[0; 4]), FloodKind::ResetStream, 1_000, 33),
        ("empty DATA", frame(DATA, 0, 1, &[]), FloodKind::EmptyData, 100, 10),
        ("DATA of padding", frame(DATA, PADDED, 1, &[3, 0, 0, 0]), FloodKind::EmptyData, 100, 10),
        ("DATA with excessive padding", frame(DATA, PADDED, 1, &[9, 0]), FloodKind::EmptyData, 100, 10),
    ]
}

#[test]
fn frames_above_the_burst_are_a_flood() {
    for (name, frame, kind, burst, per_second) in limited() {
        let mut connection = Connection::new();
        assert_eq!(connection.count(&frame, burst), burst, "{name}");
        assert_eq!(connection.frames.flood(), None, "{name}");
        connection.now += SECOND;
        assert_eq!(connection.count(&frame, burst), per_second, "{name}, after a second");
        assert_eq!(connection.frames.flood(), Some(kind), "{name}");
        assert!(connection.frames.has_ended(), "{name}");
        assert_eq!(connection.scan(&frame), 0, "{name}");
    }
}

#[test]
fn pause_permits_another_burst_and_no_more() {
    for (name, frame, _, burst, _) in limited() {
        let mut connection = Connection::new();
        for _ in 0..3 {
            assert_eq!(connection.count(&frame, burst), burst, "{name}");
            connection.now += 3_600 * SECOND;
        }
        assert_eq!(connection.count(&frame, 2 * burst), burst, "{name}");
    }
}

#[test]
fn sent_bytes_permit_frames_that_react_to_them() {
    for (name, frame, _, burst, _) in limited() {
        let bytes_per_frame = match frame[3] {
            PING => 16,
            PRIORITY | PRIORITY_UPDATE | 0xbb | GO_AWAY => 16,
            WINDOW_UPDATE => 8,
            RST_STREAM => 64,
            _ => 0,
        };
        let mut connection = Connection::new();
        let acknowledgement = if frame[3..5] == [PING, 0] { 17 } else { 0 };
        connection.count(&frame, burst);
        connection.written += 1_000_000;
        let expected = if bytes_per_frame == 0 { 0 } else { burst };
        assert_eq!(connection.count(&frame, burst), expected, "{name}");
        if bytes_per_frame > 0 {
            connection.written += 10 * bytes_per_frame + burst as u64 * acknowledgement;
            assert_eq!(connection.count(&frame, burst), 10, "{name}");
        }
    }
}

#[test]
fn acknowledgements_permit_no_further_frames() {
    for (name, flood, length) in [("PING", ping(), 17), ("SETTINGS", frame(SETTINGS, 0, 0, &[]), 9)] {
        let mut connection = Connection::new();
        let mut count = 0;
        while connection.frames.flood().is_none() {
            connection.scan(&flood);
            connection.written += length;
            count += 1;
        }
        assert!(count <= 201, "{name}: {count}");
    }
}

#[test]
fn frames_of_clients_are_no_flood() {
    // (Name, DATA sent at a time, frames received for it).
    let cases = [
        ("gRPC over loopback: PING and two WINDOW_UPDATE for each DATA of 2 bytes", 16 + 17, {
            [ping(), window_update(0), window_update(1)].concat()
        }),
        ("download: two WINDOW_UPDATE for each DATA", 16_393, [window_update(0), window_update(1)].concat()),
        ("cancelled after the head of the response", 64, frame(RST_STREAM, 0, 1, &[0; 4])),
        ("upload", 0, frame(DATA, 0, 1, &[0; 100])),
        ("end of a request", 10, frame(DATA, END_STREAM, 1, &[])),
        ("request with priority", 20, {
            [frame(HEADERS, END_HEADERS, 1, &[0; 20]), frame(PRIORITY_UPDATE, 0, 0, &[0; 6])].concat()
        }),
        ("large heads", 0, {
            let block = [frame(HEADERS, 0, 1, &[0; 99]), frame(CONTINUATION, 0, 1, &[0; 99]).repeat(4)];
            [block.concat(), frame(CONTINUATION, END_HEADERS, 1, &[0; 99])].concat()
        }),
        ("padded DATA", 0, frame(DATA, PADDED, 1, &[2, 0, 0, 0])),
    ];
    for (name, written, frames) in cases {
        let mut connection = Connection::new();
        for round in 0..100_000 {
            assert_eq!(connection.scan(&frames), frames.len(), "{name}, {round}");
            assert_eq!(connection.frames.flood(), None, "{name}, {round}");
            connection.written += written;
        }
    }
}

#[test]
fn header_block_has_a_maximum_number_of_continuations() {
    let continuation = frame(CONTINUATION, 0, 1, &[]);
    for (max_head_size, expected) in
        [(1, 4), (32 * 1024, 4), (64 * 1024, 4), (80 * 1024, 5), (1024 * 1024, 64)]
    {
        let mut connection = Connection::new();
        connection.frames = CallerFrames::new(max_head_size, connection.now);
        connection.scan(PREFACE);
        connection.scan(&frame(HEADERS, 0, 1, &[]));
        assert_eq!(connection.count(&continuation, 1_000), expected, "{max_head_size}");
        assert_eq!(connection.frames.flood(), Some(FloodKind::Continuation));
    }
}

/// A stream whose last frame exceeds the rate of SETTINGS, and its length.
fn flooded_stream() -> (Vec<u8>, usize) {
    let mut stream = PREFACE.to_vec();
    for _ in 0..100 {
        stream.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]));
        stream.extend(frame(DATA, PADDED, 1, &[2, 1, 0, 0]));
        stream.extend(frame(HEADERS, END_HEADERS, 0x8000_0009, &[0; 300]));
    }
    stream.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]));
    let length = stream.len();
    stream.extend(frame(SETTINGS, 0, 0, &[]));
    (stream, length)
}

#[test]
fn connection_ends_after_the_same_frame_at_any_split() {
    let (stream, expected) = flooded_stream();
    for size in 1..700 {
        let now = Instant::now();
        let mut frames = CallerFrames::new(MAX_HEAD_SIZE, now);
        let end = stream.chunks(size).map(|chunk| frames.scan(chunk, 0, || now)).sum::<usize>();
        assert_eq!((end, frames.flood()), (expected, Some(FloodKind::Settings)), "chunks of {size}");
        assert!(frames.has_ended());
        assert_eq!(frames.go_away(), *b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x09\0\0\0\x0b");
    }
}

#[test]
fn any_bytes_are_scanned_and_give_the_same_result_at_any_split() {
    for seed in 1..200_u64 {
        // A linear congruential generator.
        let bytes = std::iter::successors(Some(seed), |state| {
            Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        });
        let bytes: Vec<u8> = bytes
            .map(|state| (state >> 33) as u8 & if seed % 2 == 0 { 7 } else { 255 })
            .take(5_000)
            .collect();
        let scan = |size: usize| {
            let now = Instant::now();
            let mut frames = CallerFrames::new(MAX_HEAD_SIZE, now);
            let end = bytes.chunks(size).map(|chunk| frames.scan(chunk, 0, || now)).sum::<usize>();
            (end, frames.flood(), frames.is_within_head(), frames.go_away())
        };
        let whole = scan(bytes.len());
        for size in [1, 2, 8, 9, 10, 100] {
            assert_eq!(scan(size), whole, "seed {seed}, chunks of {size}");
        }
    }
}

#[test]
fn head_is_incomplete_until_the_end_of_its_block() {
    let headers = frame(HEADERS, END_HEADERS, 1, &[0; 30]);
    let open = frame(HEADERS, 0, 1, &[0; 30]);
    let last = frame(CONTINUATION, END_HEADERS, 1, &[0; 3]);
    let data = frame(DATA, 0, 1, &[0; 30]);
    let settings = frame(SETTINGS, 0, 0, &[0; 6]);
    let padded = frame(DATA, PADDED, 1, &[2, 0, 0, 0]);
    for (name, bytes, expected) in [
        ("nothing", &[][..], false),
        ("first byte of a frame", &headers[..1], true),
        ("head of HEADERS", &headers[..9], true),
        ("part of HEADERS", &headers[..38], true),
        ("HEADERS", &headers, false),
        ("HEADERS without END_HEADERS", &open, true),
        ("part of CONTINUATION", &[&open[..], &last[..11]].concat(), true),
        ("block", &[&open[..], &last].concat(), false),
        ("first bytes of DATA", &data[..8], true),
        ("head of DATA", &data[..9], false),
        ("part of DATA", &data[..20], false),
        ("before the padding of DATA", &padded[..9], false),
        ("part of SETTINGS", &settings[..12], true),
        ("SETTINGS", &settings, false),
    ] {
        let mut connection = Connection::new();
        assert_eq!(connection.scan(bytes), bytes.len());
        assert_eq!(connection.frames.head_since().is_some(), expected, "{name}");
    }
    let now = Instant::now();
    let mut frames = CallerFrames::new(MAX_HEAD_SIZE, now);
    assert_eq!(frames.head_since(), None);
    frames.scan(&PREFACE[..23], 0, || now);
    assert_eq!(frames.head_since(), Some(now), "part of the preface");
    frames.scan(&PREFACE[23..], 0, || now);
    assert_eq!(frames.head_since(), None, "preface");
}

#[test]
fn time_of_a_head_starts_with_its_first_byte() {
    let open = frame(HEADERS, 0, 1, &[0; 30]);
    let continuation = frame(CONTINUATION, 0, 1, &[0; 30]);
    let last = frame(CONTINUATION, END_HEADERS, 1, &[0; 30]);
    let mut connection = Connection::new();
    let start = connection.now;
    // (Bytes, seconds after the start at which the open head began).
    for (second, (bytes, expected)) in [
        (&open[..20], Some(0)),
        (&open[20..], Some(0)),
        (&continuation[..5], Some(0)),
        (&[&continuation[5..], &last[..10]].concat(), Some(0)),
        // The next head begins in the same bytes.
        (&[&last[10..], &open[..3]].concat(), Some(4)),
        (&[&open[3..], &last[..]].concat(), None),
        (&[&open[..], &last, &open, &last[..9]].concat(), Some(6)),
        (&last[9..], None),
    ]
    .into_iter()
    .enumerate()
    {
        connection.now = start + second as u32 * SECOND;
        connection.scan(bytes);
        assert_eq!(
            connection.frames.head_since(),
            expected.map(|second| start + second * SECOND),
            "{second}"
        );
    }
}
