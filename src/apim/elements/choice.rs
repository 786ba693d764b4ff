//! Checks that the caller cannot choose identity or backend.

use super::{Attribute, Compiler, Element, Expression};
use crate::apim::expression::{Function, Kind, Node};

impl Compiler<'_> {
    /// Rejects an expression that lets the caller choose the identity or the backend.
    pub(super) fn reject_caller_choice(
        &mut self,
        element: &Element,
        attribute: &Attribute,
        compiled: &Expression,
        chosen: &str,
    ) -> Option<()> {
        if compiled.dependencies.request {
            let message = format!(
                "the caller would choose {chosen}; compare its headers in a <choose>, and write each {} as a literal",
                attribute.name
            );
            self.findings.error(attribute.position, message);
            return None;
        }
        if compiled.dependencies.certificate {
            let place = (element.position, attribute.position, compiled.dependencies.content);
            self.analysis.certificate_decides.push(place);
        }
        if compiled.dependencies.variables {
            let message =
                format!("{chosen} depends on a variable; make sure that callers cannot choose its value");
            self.findings.warn(attribute.position, message);
            let deciding = self.dependencies_of(&compiled.reads);
            self.analysis.deciding_variables.extend(deciding);
        }
        Some(())
    }
}

/// Returns true if an expression reads parts of a value. A part of a thumbprint can be matched by trying certificates.
pub(super) fn reads_parts(root: &Node) -> bool {
    use Function::{
        CharAt, Contains, EndsWith, IndexOf, LastIndexOf, Length, Replace, Split, SplitBy, StartsWith,
        Substring, TrimOf,
    };
    let mut found = false;
    root.visit(&mut |node| {
        let Kind::Call(function, arguments) = &node.kind else { return };
        let is_part = matches!(
            function,
            CharAt
                | Contains(_)
                | EndsWith(_)
                | IndexOf(_)
                | LastIndexOf
                | Length
                | Replace
                | Split { .. }
                | SplitBy { .. }
                | StartsWith(_)
                | Substring
                | TrimOf(_)
        );
        // Parts of a literal are allowed.
        let is_own = arguments.first().is_some_and(|first| matches!(first.kind, Kind::Constant(_)));
        found |= is_part && !is_own;
    });
    found
}
