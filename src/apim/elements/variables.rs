//! The element `set-variable`.

use std::sync::Arc;

use super::{Base, Compiler, Element};
use crate::apim::program::Action;

/// Maximum number of variables, since lookup is linear.
const MAX_VARIABLES: usize = 256;

impl Compiler<'_> {
    pub(super) fn set_variable(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &["name", "value"], &[]);
        let name = self.required(element, "name");
        let value = match element.attribute("value") {
            Some(value) => self.template(&value.value, Base::Object.into(), |_, text| Some(text.into())),
            None => self.error(element.position, "attribute value of <set-variable> is missing"),
        };
        let name: Arc<str> = self.literal(name?)?.into();
        let variables = &mut self.analysis.variables;
        if variables.len() == MAX_VARIABLES && !variables.contains(&name) {
            return self
                .error(element.position, format!("the document sets more than {MAX_VARIABLES} variables"));
        }
        variables.insert(name.clone());
        Some(Action::Variable(name, value?))
    }
}
