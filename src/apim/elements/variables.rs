//! `set-variable`, and of what the values of variables are made.

use std::{collections::HashSet, sync::Arc};

use super::{Base, Compiler, Dependencies, Element};
use crate::apim::program::{Action, Template};

/// More variables than this are made to cost: each is looked for among the others.
const MOST_VARIABLES: usize = 256;

impl Compiler<'_> {
    pub(super) fn set_variable(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &["name", "value"], &[]);
        let name = self.required(element, "name");
        let value = match element.attribute("value") {
            Some(value) => self.template(&value.value, Base::Object.into()),
            None => self.error(element, "<set-variable> needs the attribute value"),
        };
        let name: Arc<str> = self.literal(name?)?.into();
        let is_known = self.facts.set_variables.contains_key(&name);
        if !is_known && self.facts.set_variables.len() == MOST_VARIABLES {
            return self.error(element, format!("more than {MOST_VARIABLES} variables"));
        }
        let made_of = match &value {
            Some(Template::Expression(expression)) => {
                let parts = self.facts.made_of.entry(name.clone()).or_default();
                parts.extend(expression.reads.iter().cloned());
                expression.dependencies.of_value()
            }
            _ => Dependencies::default(),
        };
        self.facts.settings.push((name.clone(), made_of, element.position));
        let known = self.facts.set_variables.entry(name.clone()).or_default();
        *known = known.and(made_of);
        Some(Action::Variable(name, value?))
    }

    /// These variables, and those of which their values are made.
    pub(super) fn what_variables_are_made_of(&self, read: &[Arc<str>]) -> HashSet<Arc<str>> {
        let mut found: HashSet<Arc<str>> = read.iter().cloned().collect();
        let mut open: Vec<Arc<str>> = found.iter().cloned().collect();
        while let Some(name) = open.pop() {
            let above = self.base.as_ref().and_then(|base| base.made_of.get(&name));
            for part in self.facts.made_of.get(&name).into_iter().chain(above).flatten() {
                if !found.contains(part) {
                    found.insert(part.clone());
                    open.push(part.clone());
                }
            }
        }
        found
    }
}
