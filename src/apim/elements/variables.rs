//! The element `set-variable`, and dependencies between variables.

use std::{collections::HashSet, sync::Arc};

use super::{Base, Compiler, Dependencies, Element};
use crate::apim::program::{Action, Template};

/// Maximum number of variables, since lookup is linear.
const MAX_VARIABLES: usize = 256;

impl Compiler<'_> {
    pub(super) fn set_variable(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &["name", "value"], &[]);
        let name = self.required(element, "name");
        let value = match element.attribute("value") {
            Some(value) => self.template(&value.value, Base::Object.into()),
            None => self.error(element, "attribute value of <set-variable> is missing"),
        };
        let name: Arc<str> = self.literal(name?)?.into();
        let is_known = self.analysis.set_variables.contains_key(&name);
        if !is_known && self.analysis.set_variables.len() == MAX_VARIABLES {
            return self.error(element, format!("the document sets more than {MAX_VARIABLES} variables"));
        }
        let uses = match &value {
            Some(Template::Expression(expression)) => {
                let parts = self.analysis.variable_dependencies.entry(name.clone()).or_default();
                parts.extend(expression.reads.iter().cloned());
                expression.dependencies.of_value()
            }
            _ => Dependencies::default(),
        };
        self.analysis.settings.push((name.clone(), uses, element.position));
        let known = self.analysis.set_variables.entry(name.clone()).or_default();
        *known = known.and(uses);
        Some(Action::Variable(name, value?))
    }

    /// Returns these variables and all that their values depend on.
    pub(super) fn dependencies_of(&self, read: &[Arc<str>]) -> HashSet<Arc<str>> {
        let mut found: HashSet<Arc<str>> = read.iter().cloned().collect();
        let mut open: Vec<Arc<str>> = found.iter().cloned().collect();
        while let Some(name) = open.pop() {
            let base = self.base.as_ref().and_then(|base| base.variable_dependencies.get(&name));
            for dependency in self.analysis.variable_dependencies.get(&name).into_iter().chain(base).flatten()
            {
                if !found.contains(dependency) {
                    found.insert(dependency.clone());
                    open.push(dependency.clone());
                }
            }
        }
        found
    }
}
