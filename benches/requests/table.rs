//! Tables of the figures.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

use super::{Comparison, profile::Profile};

/// Layers with fewer instructions and allocations in each column are one row.
const MIN_INSTRUCTIONS: f64 = 50.0;
const MIN_ALLOCATIONS: f64 = 0.05;

type Counts = HashMap<(String, String), f64>;

/// Instructions and allocations per request.
#[derive(Clone, Copy, Default)]
struct Figures {
    instructions: f64,
    allocations: f64,
}

impl Figures {
    fn add(&mut self, more: Self) {
        self.instructions += more.instructions;
        self.allocations += more.allocations;
    }

    fn is_small(&self) -> bool {
        self.instructions < MIN_INSTRUCTIONS && self.allocations < MIN_ALLOCATIONS
    }
}

pub(crate) fn sum(counts: &Counts) -> f64 {
    counts.values().sum()
}

/// Returns the table by layer.
pub(crate) fn layers(comparisons: &[Comparison; 2]) -> String {
    let [h1, h2] = comparisons;
    let profiles = [&h1.gateway, &h1.bare, &h2.gateway, &h2.bare];
    let mut rows: BTreeMap<&str, [Figures; 4]> = BTreeMap::new();
    for (column, profile) in profiles.into_iter().enumerate() {
        for ((layer, _), count) in &profile.instructions {
            rows.entry(layer).or_default()[column].instructions += count;
        }
        for ((layer, _), count) in &profile.allocations {
            rows.entry(layer).or_default()[column].allocations += count;
        }
    }
    let (mut rest, mut total) = ([Figures::default(); 4], [Figures::default(); 4]);
    for row in rows.values() {
        let is_small = row.iter().all(Figures::is_small);
        for (column, figures) in row.iter().enumerate() {
            total[column].add(*figures);
            if is_small {
                rest[column].add(*figures);
            }
        }
    }
    rows.retain(|_, row| !row.iter().all(Figures::is_small));
    let mut text = String::from(
        "| instructions, allocations | h1 gateway | | h1 bare | | h2 gateway | | h2 bare | |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (name, row) in rows.into_iter().chain([("others", rest), ("all", total)]) {
        let _ = write!(text, "| {name} |");
        for Figures { instructions, allocations } in row {
            let _ = write!(text, " {instructions:.0} | {allocations:.1} |");
        }
        text.push('\n');
    }
    text
}

/// Returns the functions with the most instructions, and the sites with the most allocations.
pub(crate) fn functions(title: &str, profile: &Profile, limit: usize) -> String {
    let mut text = format!("\n{title}: instructions\n");
    let mut functions: HashMap<&str, f64> = HashMap::new();
    for ((_, function), count) in &profile.instructions {
        *functions.entry(function).or_default() += count;
    }
    largest(functions.into_iter(), limit, &mut text);
    let _ = writeln!(text, "\n{title}: allocations");
    let sites = profile.allocations.iter().map(|((_, callers), count)| (callers.as_str(), *count));
    largest(sites, limit, &mut text);
    text
}

fn largest<'a>(counts: impl Iterator<Item = (&'a str, f64)>, limit: usize, text: &mut String) {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by(|one, other| other.1.total_cmp(&one.1));
    for (name, count) in counts.into_iter().take(limit) {
        let _ = writeln!(text, "{count:10.2} {name}");
    }
}
