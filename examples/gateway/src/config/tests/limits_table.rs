//! The tables of limits in `docs/operations.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{super::limits, *};

const PAGE: &str = include_str!("../../../../../docs/operations.md");

/// Sources of the repository, with their tests.
const FOLDERS: [&str; 4] = ["../../src", "../../tests", "src", "tests"];

/// Rows of a table of the page: the cells of each, without the head.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = PAGE.split_once(head).unwrap();
    let rows = rest.trim_start().lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The contents of a cell in backticks.
fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or_else(|| panic!("{cell}"))
}

/// The Rust sources of a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// A row's default as a line of `[limits]`. None: no value means it.
fn line(key: &str, default: &str) -> Option<String> {
    match default {
        "unlimited" | "none" => None,
        derived if derived.starts_with("derived from ") => None,
        number if number.parse::<usize>().is_ok() => Some(format!("{key} = {number}\n")),
        value => Some(format!("{key} = \"{value}\"\n")),
    }
}

#[test]
fn limits_table_matches_the_code() {
    let rows = table("| key | default | at the limit | test |");
    let keys: Vec<_> = rows.iter().map(|row| code(row[0])).collect();
    let expected: BTreeSet<_> = limits::KEYS.iter().chain(limits::ROUTE_KEYS).copied().collect();
    assert_eq!(keys.iter().copied().collect::<BTreeSet<_>>(), expected, "the keys");
    assert_eq!(keys.len(), expected.len(), "one row for each key");
    for row in &rows {
        assert_eq!(row[0].ends_with('*'), limits::ROUTE_KEYS.contains(&code(row[0])), "{}", row[0]);
    }

    let defaults: BTreeMap<_, _> = rows.iter().map(|row| (code(row[0]), row[1])).collect();
    let lines = |names: &[&str]| {
        let lines = names.iter().filter_map(|key| line(key, defaults[key]));
        lines.collect::<String>()
    };
    let text = format!(
        "{LISTENER}\n[limits]\n{}[[routes]]\npath = \"/\"\nupstream = \"http://a\"\n[routes.limits]\n{}",
        lines(limits::KEYS),
        lines(limits::ROUTE_KEYS)
    );
    let config = parsed(&text).0.unwrap();
    assert_eq!(config.limits, Limits::default());
    let general = limits::RouteLimits::general(Limits::default().request);
    assert_eq!(config.routes[0].limits, general);
    // Keys without a value in the table have none in the code.
    let code_defaults = format!("{:?} {general:?}", Limits::default());
    for (key, default) in &defaults {
        let is_none =
            [": None", ": []", "s: None"].iter().any(|none| code_defaults.contains(&format!(" {key}{none}")));
        assert!(line(key, default).is_some() || is_none, "{key}: {default}");
    }
}

#[test]
fn fixed_limits_and_tests_of_the_table_exist() {
    let mut text = String::new();
    for folder in FOLDERS {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut text);
    }
    let fixed = table("| limit | code | test |");
    assert!(fixed.len() > 10, "{fixed:?}");
    for row in &fixed {
        let constant = format!("const {};", code(row[1]));
        assert!(text.contains(&constant), "{constant}");
    }
    for row in fixed.iter().chain(&table("| key | default | at the limit | test |")) {
        let test = format!("fn {}()", code(row.last().unwrap()));
        assert!(text.contains(&test), "{test}");
    }
}
