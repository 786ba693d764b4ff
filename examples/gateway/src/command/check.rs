//! `gateway check`.

use std::{path::Path, process::ExitCode};

use crate::build::{self, Cache, Source};

/// Prints all findings about the file and the files it refers to.
pub(super) fn check(file: &Path) -> ExitCode {
    let outcome = build::load(&Source::read(file), &mut Cache::default());
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
