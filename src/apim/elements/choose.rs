//! `choose`, `when`, `otherwise`.

use super::{ANY, Compiler, Element, Type, expression};
use crate::apim::program::{Action, Branch, Choose, Condition, Step};

impl Compiler<'_> {
    pub(super) fn choose(&mut self, element: &Element, path: &str) -> Option<Action> {
        self.check_shape(element, &[], &["when", "otherwise"]);
        let mut branches = Vec::new();
        let mut otherwise = None;
        let mut judged = expression::Uses::default();
        for child in &element.children {
            match child.name.as_str() {
                "when" if otherwise.is_some() => {
                    self.findings.error(child.position, "<when> stands before <otherwise>");
                }
                "when" => {
                    let number = branches.len() + 1;
                    if let Some(branch) = self.when(child, format!("{path}/when[{number}]")) {
                        if let Condition::Expression(condition) = &branch.condition {
                            judged = judged.and(condition.uses);
                        }
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
        let can_refuse =
            branches.iter().any(|branch| refuses(&branch.steps)) || otherwise.as_deref().is_some_and(refuses);
        if can_refuse {
            self.facts.judged = self.facts.judged.and(judged);
        }
        Some(Action::Choose(Choose { branches, otherwise, can_refuse }))
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
        Some(Branch { position: element.position, path, condition: condition?, steps })
    }
}

fn refuses(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Return(_) => true,
        Action::Validate(validation) => !validation.ignore_error,
        Action::Choose(choose) => choose.can_refuse,
        _ => false,
    })
}
