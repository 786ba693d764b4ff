//! Chains of public suites, judged through the public API: NIST's PKITS, x509-limbo, and changed chains of both.
//!
//! The suites are not part of this repository; the variable TOWER_MTLS_SUITES names their folder.
#![cfg(all(feature = "trust", feature = "aws-lc-rs"))]

mod case;
mod changes;
mod differential;
mod limbo;
mod openssl;
mod pkits;
mod remake;
mod webpki;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;
use time::{Date, Month, Time};
use tower_mtls::certificate::Timestamp;

/// The folder of a suite; None, and a line on standard error, if TOWER_MTLS_SUITES is unset.
fn suite(name: &str) -> Option<PathBuf> {
    let Some(suites) = std::env::var_os("TOWER_MTLS_SUITES") else {
        eprintln!("TOWER_MTLS_SUITES is unset: chains of the suite {name} are NOT tested");
        return None;
    };
    Some(Path::new(&suites).join(name))
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// The text of a field; panics if it is another value.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field}: {value}"))
}

/// The texts of a list; none if it is null.
fn texts<'a>(value: &'a Value, field: &str) -> Vec<&'a str> {
    value[field].as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// Reads `2011-04-15T00:00:00Z`, without fractions of a second.
fn timestamp(text: &str) -> Timestamp {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u16>().unwrap();
    let small = |range| u8::try_from(number(range)).unwrap();
    let month = Month::try_from(small(5..7)).unwrap();
    let date = Date::from_calendar_date(i32::from(number(0..4)), month, small(8..10)).unwrap();
    let time = Time::from_hms(small(11..13), small(14..16), small(17..19)).unwrap();
    Timestamp::from_unix(date.with_time(time).assume_utc().unix_timestamp())
}

/// Results of a suite, by name.
#[derive(Default)]
struct Tally {
    right: usize,
    wrong_accepts: Vec<String>,
    wrong_rejects: BTreeMap<String, String>,
}

impl Tally {
    fn add(&mut self, name: &str, is_valid: bool, result: Result<(), String>) {
        match (is_valid, result) {
            (true, Ok(())) | (false, Err(_)) => self.right += 1,
            (false, Ok(())) => self.wrong_accepts.push(name.into()),
            (true, Err(problem)) => drop(self.wrong_rejects.insert(name.into(), problem)),
        }
    }

    /// Panics unless nothing is accepted wrongly, and exactly the listed cases are rejected wrongly.
    fn assert(&self, suite: &str, total: usize, listed: &[(&str, &str)]) {
        println!("{suite}: {} of {total} right, {} wrong accepts", self.right, self.wrong_accepts.len());
        assert!(self.wrong_accepts.is_empty(), "wrong accepts: {:#?}", self.wrong_accepts);
        let unlisted: Vec<_> =
            self.wrong_rejects.iter().filter(|(name, _)| listed.iter().all(|row| row.0 != *name)).collect();
        assert!(unlisted.is_empty(), "rejected, but valid: {unlisted:#?}");
        for (name, reason) in listed {
            assert!(self.wrong_rejects.contains_key(*name), "{name} is right, and listed as: {reason}");
        }
        assert_eq!(self.right + listed.len(), total, "each case has one result");
    }
}
