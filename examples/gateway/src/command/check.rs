//! `gateway check`.

use std::{path::Path, process::ExitCode};

use crate::load::{self, Cache, Source};

/// Prints all findings about the file and the files it refers to.
pub(super) fn check(file: &Path) -> ExitCode {
    let outcome = load::load(&Source::read(file), &mut Cache::default());
    for finding in &outcome.findings {
        println!("{finding}");
    }
    if outcome.loaded.is_some() {
        println!("{}: ok", file.display());
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
