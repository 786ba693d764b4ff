//! Rules of thumbprint files. A file that several routes name is read once, and its thumbprints are in memory once.

use std::{collections::HashMap, path::PathBuf};

use tower_mtls::{
    Rule,
    certificate::{Thumbprint, ThumbprintListError},
};

use super::{
    cache::{Digest, Memo},
    files::Findings,
    rules::THUMBPRINT,
};
use crate::config::{FilePath, Located, quoted};

/// Rules of thumbprints by the contents of their files.
pub(super) struct ThumbprintLists<'c> {
    /// Digests of the files that this load has read.
    read: HashMap<PathBuf, Digest>,
    rules: &'c mut Memo<Rule>,
}

impl<'c> ThumbprintLists<'c> {
    pub(super) fn new(rules: &'c mut Memo<Rule>) -> Self {
        Self { read: HashMap::new(), rules }
    }

    /// Returns the rule of the file's thumbprints and of `others`; None if the file is invalid, which has been reported.
    pub(super) fn rule(
        &mut self,
        file: &Located<FilePath>,
        others: &[Thumbprint],
        findings: &mut Findings,
    ) -> Option<Rule> {
        let others_text = others.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let digest =
            |contents: Digest| Digest::of("thumbprints", [contents.as_bytes(), others_text.as_bytes()]);
        let known = self.read.get(&file.resolved).copied();
        if let Some(rule) = known.and_then(|contents| self.rules.get(digest(contents))) {
            return Some(rule);
        }
        let contents = findings.read(file)?;
        let read = Digest::of("file", [contents.as_slice()]);
        let built = self.rules.get_or_build(digest(read), || {
            let listed = parse(file, &contents, findings).ok_or(())?;
            Ok::<_, ()>(Rule::thumbprint(others.iter().copied().chain(listed)))
        });
        self.read.insert(file.resolved.clone(), read);
        built.ok()
    }
}

/// Parses a file with one thumbprint per line; at least one.
fn parse(file: &Located<FilePath>, contents: &[u8], findings: &mut Findings) -> Option<Vec<Thumbprint>> {
    let name = quoted(&file.written);
    let Ok(text) = std::str::from_utf8(contents) else {
        findings.error(file, format!("{name} is not UTF-8"), "write one thumbprint per line");
        return None;
    };
    let (problem, remedy) = match Thumbprint::read_list(text) {
        Ok(thumbprints) => return Some(thumbprints),
        Err(ThumbprintListError::Line { line, problem, .. }) => {
            (format!("{name}, line {line}: {problem}"), THUMBPRINT)
        }
        Err(ThumbprintListError::Empty) => {
            (format!("{name} contains no thumbprint, so no caller would pass"), "write one per line")
        }
        Err(error) => (format!("{name}: {error}"), "write fewer thumbprints"),
    };
    findings.error(file, problem, remedy);
    None
}
