//! The elements `choose`, `when` and `otherwise`.

use super::{ANY, Compiler, Element, Type};
use crate::apim::{
    decision::is_rejection,
    program::{Action, Branch, Choose, Step},
};

impl Compiler<'_> {
    pub(super) fn choose(&mut self, element: &Element, path: &str) -> Option<Action> {
        self.check_shape(element, &[], &["when", "otherwise"]);
        let mut branches = Vec::new();
        let mut otherwise = None;
        for child in &element.children {
            match child.name.as_str() {
                "when" if otherwise.is_some() => {
                    self.findings
                        .error(child.position, "<when> is not allowed after <otherwise>; move it up");
                }
                "when" => {
                    let number = branches.len() + 1;
                    if let Some(branch) = self.when(child, format!("{path}/when[{number}]")) {
                        branches.push(branch);
                    }
                }
                "otherwise" if otherwise.is_some() => {
                    self.findings.error(child.position, "duplicate <otherwise>; keep one");
                }
                "otherwise" => {
                    self.check_shape(child, &[], ANY);
                    otherwise = Some(self.steps(&child.children, &format!("{path}/otherwise[1]")));
                }
                _ => {}
            }
        }
        if !element.children.iter().any(|child| child.name == "when") {
            self.findings.error(element.position, "<choose> has no <when>");
        }
        // A condition decides about its own branch and later ones, not about earlier ones.
        let mut can_reject = otherwise.as_deref().is_some_and(self::can_reject);
        for branch in branches.iter_mut().rev() {
            can_reject |= self::can_reject(&branch.steps);
            branch.decides_rejection = can_reject;
        }
        Some(Action::Choose(Choose { branches, otherwise, can_reject }))
    }

    fn when(&mut self, element: &Element, path: String) -> Option<Branch> {
        self.check_shape(element, &["condition"], ANY);
        let condition = self.required(element, "condition").and_then(|attribute| {
            self.template(&attribute.value, Type::BOOL, |compiler, text| match text.trim() {
                "true" => Some(true),
                "false" => Some(false),
                _ => {
                    let message = "invalid condition; write true, false or an expression @(...)";
                    compiler.error(attribute.position, message)
                }
            })
        });
        let steps = self.steps(&element.children, &path);
        Some(Branch {
            position: element.position,
            path,
            condition: condition?,
            steps,
            decides_rejection: false,
        })
    }
}

/// Returns true if the elements can reject a request. A response with a status below 400 is not a rejection.
fn can_reject(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Return(response) => is_rejection(response.status),
        Action::Validate(validation) => !validation.ignore_error,
        Action::Choose(choose) => choose.can_reject,
        _ => false,
    })
}
