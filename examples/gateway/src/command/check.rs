//! `gateway check`.

use std::{path::Path, process::ExitCode};

use crate::load;

/// Prints every finding about the file and what it names.
pub(super) fn check(file: &Path) -> ExitCode {
    let (site, findings) = load::load(file);
    for finding in &findings {
        println!("{finding}");
    }
    if site.is_some() {
        println!("{}: ok", file.display());
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
