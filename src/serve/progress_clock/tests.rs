use super::*;

#[derive(Debug, Clone, Copy)]
enum Event {
    Start,
    Stop,
    Bytes(usize),
}

use Event::{Bytes, Start, Stop};

const LIMITS: ProgressLimits = ProgressLimits { stall: Some(Duration::from_secs(60)), min_rate: 240 };

/// Events with their times in seconds, and the deadline after them.
type Case = (&'static str, ProgressLimits, &'static [(u64, Event)], Option<(f64, Lapse)>);

#[test]
fn deadline_follows_running_time_and_bytes() {
    let only_stall = ProgressLimits { min_rate: 0, ..LIMITS };
    let only_rate = ProgressLimits { stall: None, ..LIMITS };
    let unlimited = ProgressLimits { stall: None, min_rate: 0 };
    let cases: &[Case] = &[
        ("stopped", LIMITS, &[], None),
        ("unlimited", unlimited, &[(0, Start)], None),
        ("silent", LIMITS, &[(0, Start)], Some((5.0, Lapse::Rate))),
        ("silent without a rate", only_stall, &[(0, Start)], Some((60.0, Lapse::Stall))),
        ("started again", only_stall, &[(0, Start), (30, Start)], Some((60.0, Lapse::Stall))),
        ("byte", only_stall, &[(0, Start), (30, Bytes(1))], Some((90.0, Lapse::Stall))),
        ("no byte", only_stall, &[(0, Start), (30, Bytes(0))], Some((60.0, Lapse::Stall))),
        ("stopped time", only_stall, &[(0, Start), (30, Stop), (500, Start)], Some((560.0, Lapse::Stall))),
        ("stopped after bytes", LIMITS, &[(0, Start), (3, Bytes(240)), (3, Stop)], None),
        (
            "rate counts running time",
            LIMITS,
            &[(0, Start), (3, Stop), (500, Start)],
            Some((502.0, Lapse::Rate)),
        ),
        ("refill", LIMITS, &[(0, Start), (3, Bytes(480))], Some((7.0, Lapse::Rate))),
        (
            "burst buys the stall timeout",
            LIMITS,
            &[(0, Start), (3, Bytes(1 << 30))],
            Some((63.0, Lapse::Stall)),
        ),
        (
            "burst without a stall timeout",
            only_rate,
            &[(0, Bytes(usize::MAX)), (9, Start)],
            Some((69.0, Lapse::Rate)),
        ),
        (
            "burst before the clock runs",
            LIMITS,
            &[(0, Bytes(24_000)), (1, Start)],
            Some((61.0, Lapse::Stall)),
        ),
    ];
    let start = Instant::now();
    for (name, limits, events, expected) in cases {
        let mut clock = ProgressClock::new(*limits);
        for (at, event) in *events {
            let now = start + Duration::from_secs(*at);
            match event {
                Start => clock.start(now),
                Stop => clock.stop(now),
                Bytes(count) => clock.record(*count, now),
            }
        }
        let deadline = clock.deadline().map(|(at, lapse)| ((at - start).as_secs_f64(), lapse));
        assert_eq!(deadline, *expected, "{name}");
    }
}

/// Returns the second at which a caller lapses, within an hour, that sends `bytes` this time after each check of a
/// second.
fn lapse_of(bytes: usize, offset: Duration) -> Option<(u64, Lapse)> {
    let (start, mut clock) = (Instant::now(), ProgressClock::new(LIMITS));
    clock.start(start);
    (1..3_600).find_map(|second| {
        let now = start + Duration::from_secs(second);
        let lapse = clock.lapse(now);
        clock.record(bytes, now + offset);
        lapse.map(|lapse| (second, lapse))
    })
}

#[test]
fn caller_below_the_rate_lapses_and_one_at_the_rate_does_not() {
    for (bytes, expected) in [
        (0, Some((5, Lapse::Rate))),
        (1, Some((6, Lapse::Rate))),
        (120, Some((9, Lapse::Rate))),
        (230, Some((97, Lapse::Rate))),
        (240, None),
        (100_000, None),
    ] {
        assert_eq!(lapse_of(bytes, Duration::ZERO), expected, "{bytes} B/s");
    }
}

#[test]
fn few_bytes_just_before_each_check_do_not_hide_a_lapse() {
    for (bytes, second) in [(1, 6), (120, 9)] {
        let lapse = lapse_of(bytes, Duration::from_millis(999));
        assert_eq!(lapse, Some((second, Lapse::Rate)), "{bytes} B/s");
    }
}

#[test]
fn rate_that_becomes_required_is_required_after_five_seconds() {
    let (start, mut clock) = (Instant::now(), ProgressClock::new(ProgressLimits { min_rate: 0, ..LIMITS }));
    clock.start(start);
    let changed = start + Duration::from_secs(30);
    clock.set_limits(LIMITS, changed);
    clock.set_limits(LIMITS, changed + Duration::from_secs(1));
    assert_eq!(clock.deadline(), Some((changed + RATE_GRACE, Lapse::Rate)));
}

#[test]
fn lapse_begins_at_the_deadline() {
    let (start, mut clock) = (Instant::now(), ProgressClock::new(LIMITS));
    clock.start(start);
    assert_eq!(clock.lapse(start + Duration::from_millis(4_999)), None);
    assert_eq!(clock.lapse(start + Duration::from_secs(5)), Some(Lapse::Rate));
}
