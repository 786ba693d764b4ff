//! `choose`, `when`, `otherwise`.

use super::{ANY, Compiler, Element, Type, expression};
use crate::apim::{
    outcome::refuses_with,
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
                    self.findings.error(child.position, "<when> stands before <otherwise>");
                }
                "when" => {
                    let number = branches.len() + 1;
                    if let Some(branch) = self.when(child, format!("{path}/when[{number}]")) {
                        branches.push(branch);
                    }
                }
                "otherwise" if otherwise.is_some() => {
                    self.findings.error(child.position, "<otherwise> stands only once");
                }
                "otherwise" => {
                    self.check_shape(child, &[], ANY);
                    otherwise = Some(self.steps(&child.children, &format!("{path}/otherwise[1]")));
                }
                _ => {}
            }
        }
        if !element.children.iter().any(|child| child.name == "when") {
            self.findings.error(element.position, "<choose> needs at least one <when>");
        }
        let can_refuse = self.weigh(&mut branches, otherwise.as_deref());
        let otherwise_chooses = Choices::of(otherwise.as_deref().unwrap_or_default());
        let chooses = branches.iter().map(|branch| branch.chooses).fold(otherwise_chooses, Choices::and);
        Some(Action::Choose(Choose { branches, otherwise, can_refuse, chooses, otherwise_chooses }))
    }

    /// Finds out which conditions decide about refusals, and whether anything here refuses.
    ///
    /// A condition decides about its own branch and what comes after it. What stands before it has been passed already,
    /// whatever the condition says.
    fn weigh(&mut self, branches: &mut [Branch], otherwise: Option<&[Step]>) -> bool {
        let mut can_refuse = otherwise.is_some_and(refuses);
        for branch in branches.iter_mut().rev() {
            can_refuse |= refuses(&branch.steps);
            branch.decides_refusal = can_refuse;
            // In on-error the request has failed already: no rule there lets anybody in or keeps anybody out.
            if let Condition::Expression(condition) = &branch.condition
                && can_refuse
                && self.section == Section::Inbound
            {
                self.facts.judged = self.facts.judged.and(condition.dependencies);
            }
        }
        can_refuse
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
                    self.findings.error(attribute.position, "a condition is an expression: @(...)");
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
            decides_refusal: false,
        })
    }
}

/// Whether callers can be turned away here. An answer below 400 turns nobody away: it is what a caller wants.
pub(super) fn refuses(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Return(reply) => refuses_with(reply.status),
        Action::Validate(validation) => !validation.ignore_error,
        Action::Choose(choose) => choose.can_refuse,
        _ => false,
    })
}
