//! The elements `choose`, `when` and `otherwise`.

use super::{ANY, Compiler, Element, Type, expression};
use crate::apim::{
    decision::is_rejection,
    program::{Action, Branch, Choices, Choose, Condition, Section, Step},
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
        let rejects = self.mark_rejections(&mut branches, otherwise.as_deref());
        let otherwise_chooses = Choices::of(otherwise.as_deref().unwrap_or_default());
        let chooses = branches.iter().map(|branch| branch.chooses).fold(otherwise_chooses, Choices::and);
        Some(Action::Choose(Choose { branches, otherwise, can_reject: rejects, chooses, otherwise_chooses }))
    }

    /// Marks the conditions that decide about a rejection. Returns true if any branch can reject.
    ///
    /// A condition decides about its own branch and later ones, not about earlier ones.
    fn mark_rejections(&mut self, branches: &mut [Branch], otherwise: Option<&[Step]>) -> bool {
        let mut rejects = otherwise.is_some_and(can_reject);
        for branch in branches.iter_mut().rev() {
            rejects |= can_reject(&branch.steps);
            branch.decides_rejection = rejects;
            // In `on-error` the request has failed already, so a condition there does not judge it.
            if let Condition::Expression(condition) = &branch.condition
                && rejects
                && self.section == Section::Inbound
            {
                self.analysis.judged = self.analysis.judged.and(condition.dependencies);
            }
        }
        rejects
    }

    fn when(&mut self, element: &Element, path: String) -> Option<Branch> {
        self.check_shape(element, &["condition"], ANY);
        let condition = match self.required(element, "condition") {
            None => None,
            Some(attribute) => match attribute.value.value.trim() {
                "true" => Some(Condition::Constant(true)),
                "false" => Some(Condition::Constant(false)),
                text if expression::is_expression(text) => {
                    self.compile(&attribute.value, Type::BOOL).map(Condition::Expression)
                }
                _ => {
                    self.findings.error(
                        attribute.position,
                        "invalid condition; write true, false or an expression @(...)",
                    );
                    None
                }
            },
        };
        let steps = self.steps(&element.children, &path);
        Some(Branch {
            position: element.position,
            path,
            condition: condition?,
            chooses: Choices::of(&steps),
            steps,
            decides_rejection: false,
        })
    }
}

/// Returns true if the elements can reject a request. A response with a status below 400 is not a rejection.
pub(super) fn can_reject(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Return(response) => is_rejection(response.status),
        Action::Validate(validation) => !validation.ignore_error,
        Action::Choose(choose) => choose.can_reject,
        _ => false,
    })
}
