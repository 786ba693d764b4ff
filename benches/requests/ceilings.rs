//! Ceilings of the gateway's figures.

use super::{Comparison, table::sum};

/// The file of ceilings: lines of protocol, unit and number; `#` begins a comment.
pub(crate) const FILE: &str = "benches/requests/ceilings.txt";

/// Instructions of two runs of one program differ by 0.5 %, on a busy machine by up to 2 %.
const NOISE: f64 = 0.03;

/// A figure that is lower by more should lower its ceiling.
const SLACK: f64 = 0.04;

/// Prints each figure with its ceiling and its ratio to the bare proxy. Returns true if one is above its ceiling.
pub(crate) fn check(text: &str, comparisons: &[Comparison]) -> bool {
    let mut is_above = false;
    println!();
    for Comparison { protocol, gateway, bare } in comparisons {
        let units = [
            ("instructions", sum(&gateway.instructions), sum(&bare.instructions)),
            ("allocations", sum(&gateway.allocations), sum(&bare.allocations)),
        ];
        for (unit, figure, of_bare) in units {
            let (name, ratio) = (protocol.name(), figure / of_bare);
            let ceiling = ceiling(text, name, unit);
            let verdict = if figure > ceiling * (1.0 + NOISE) {
                is_above = true;
                "ABOVE THE CEILING"
            } else if figure < ceiling * (1.0 - SLACK) {
                "the ceiling can be lowered"
            } else {
                "ok"
            };
            println!(
                "{name} {unit}: {figure:.1}, ceiling {ceiling}, {ratio:.2} of the bare proxy: {verdict}"
            );
        }
    }
    is_above
}

fn ceiling(text: &str, protocol: &str, unit: &str) -> f64 {
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let number = lines.find_map(|line| match line[..] {
        [of, what, number] if (of, what) == (protocol, unit) => number.parse().ok(),
        _ => None,
    });
    number.unwrap_or_else(|| panic!("{FILE}: no ceiling for {protocol} {unit}"))
}
