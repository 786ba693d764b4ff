//! Profiles of callgrind.

use std::collections::HashMap;

use super::source::{innermost_layer, layer};

/// The functions of the allocator that allocate; C libraries call the latter three.
pub(crate) const ALLOCATORS: [&str; 6] =
    ["mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned", "malloc", "calloc", "realloc"];

/// Counts of one run, or per request.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// Instructions by layer and function.
    pub(crate) instructions: HashMap<(String, String), f64>,
    /// Allocations by layer and callers, innermost first.
    pub(crate) allocations: HashMap<(String, String), f64>,
}

impl Profile {
    /// Parses callgrind's format without compression of names and positions.
    pub(crate) fn parse(text: &str) -> Self {
        let mut profile = Self::default();
        let (mut object, mut home, mut file, mut function, mut callee) = ("", "", "", "", "");
        let mut lines = text.lines().skip_while(|line| !line.starts_with("fl=") && !line.starts_with("ob="));
        while let Some(line) = lines.next() {
            match line.split_once('=') {
                Some(("ob", name)) => object = name,
                Some(("fl", name)) => (home, file) = (name, name),
                Some(("fi" | "fe", name)) => file = name,
                Some(("fn", name)) => function = name,
                Some(("cfn", name)) => callee = name,
                Some(("calls", count)) => {
                    // Instructions of the callee.
                    lines.next();
                    let mut callers = functions(callee);
                    if callers.next().is_some_and(|name| ALLOCATORS.contains(&name)) {
                        let callers: Vec<_> = callers.collect();
                        let key = (innermost_layer(&callers), callers.join(" < "));
                        let count = count.split(' ').next().unwrap().parse::<f64>().unwrap();
                        *profile.allocations.entry(key).or_default() += count;
                    }
                }
                Some(_) => {}
                None => {
                    // The line of the totals begins with a word.
                    let Some((line, cost)) = line.split_once(' ') else { continue };
                    let (Ok(_), Ok(cost)) = (line.parse::<u64>(), cost.parse::<f64>()) else { continue };
                    let name = functions(function).next().unwrap_or_default();
                    let key = (layer(file, home, object), name.to_owned());
                    *profile.instructions.entry(key).or_default() += cost;
                }
            }
        }
        profile
    }

    /// Divides the counts of a run by its requests.
    pub(crate) fn per_request(mut self, requests: usize) -> Self {
        let counts = self.instructions.values_mut().chain(self.allocations.values_mut());
        counts.for_each(|count| *count /= requests as f64);
        self
    }
}

/// A function and its callers, which callgrind joins by apostrophes. The number of a recursion is left out.
fn functions(names: &str) -> impl Iterator<Item = &str> {
    let is_separator = |at: &usize| {
        let rest = &names[at + 1..];
        !rest.starts_with("_>") && !rest.starts_with("_,") && !rest.starts_with("_ ")
    };
    let separators = names.match_indices('\'').map(|(at, _)| at).filter(is_separator);
    let ends = separators.chain([names.len()]);
    let parts = ends.scan(0, |start, end| {
        let part = &names[*start..end];
        *start = end + 1;
        Some(part)
    });
    parts.filter(|part| !part.bytes().all(|byte| byte.is_ascii_digit()))
}
