//! Who chooses as whom, and where, the backend is called: never the caller.

use super::{Attribute, Compiler, Element, Expression};
use crate::apim::expression::{Function, Kind, Node};

impl Compiler<'_> {
    /// Refuses an expression by which the caller would choose the identity or the backend.
    pub(super) fn refuse_callers_choice(
        &mut self,
        element: &Element,
        attribute: &Attribute,
        compiled: &Expression,
        chosen: &str,
    ) -> Option<()> {
        if compiled.dependencies.request {
            let message = format!(
                "the caller would choose {chosen}: compare its headers in a <choose>, and write each {} out",
                attribute.name
            );
            self.findings.error(attribute.position, message);
            return None;
        }
        if compiled.dependencies.certificate {
            let place = (element.position, attribute.position, compiled.dependencies.content);
            self.facts.certificate_decides.push(place);
        }
        if compiled.dependencies.variables {
            let message = format!("a variable decides {chosen}: make sure that callers do not choose it");
            self.findings.warn(attribute.position, message);
            let deciding = self.what_variables_are_made_of(&compiled.reads);
            self.facts.deciding_variables.extend(deciding);
        }
        Some(())
    }
}

/// Whether anything but whole texts is looked at: whoever makes certificates finds one by trying whose thumbprint begins
/// with a given digit.
pub(super) fn takes_apart(root: &Node) -> bool {
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
        // What the document writes out itself may be taken apart.
        let is_own = arguments.first().is_some_and(|first| matches!(first.kind, Kind::Constant(_)));
        found |= is_part && !is_own;
    });
    found
}
