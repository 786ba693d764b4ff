//! Knowledge about a request on its way through a document.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::{Choice, value::Seen};
use crate::apim::program::Slot;

/// Knowledge about a request on its way.
#[derive(Debug, Clone, Default)]
pub(super) struct State<'p> {
    pub(super) variables: Variables<'p>,
    /// Variables and headers whose value, or absence, may depend on the certificate.
    pub(super) of_certificate: HashSet<Slot<'p>>,
    pub(super) choices: HashSet<Choice<'p>>,
    /// Whether a rule may have looked at the certificate, and let it pass.
    pub(super) may_be_judged: bool,
    /// Whether a validation has failed and was ignored on every way: nothing is admitted any more.
    pub(super) is_ignored: bool,
}

/// Variables that are set, or may be.
pub(super) type Variables<'p> = HashMap<&'p str, Variable<'p>>;

#[derive(Debug, Clone, Copy)]
pub(super) struct Variable<'p> {
    pub(super) value: Seen<'p>,
    /// Some way does not set it.
    pub(super) may_be_unset: bool,
}

impl<'p> State<'p> {
    pub(super) fn join(mut self, other: Self) -> Self {
        for (name, variable) in &mut self.variables {
            variable.may_be_unset |= !other.variables.contains_key(name);
        }
        for (name, theirs) in other.variables {
            match self.variables.entry(name) {
                Entry::Occupied(mut ours) => {
                    let ours = ours.get_mut();
                    ours.value = ours.value.join(theirs.value);
                    ours.may_be_unset |= theirs.may_be_unset;
                }
                Entry::Vacant(place) => {
                    place.insert(Variable { may_be_unset: true, ..theirs });
                }
            }
        }
        self.of_certificate.extend(other.of_certificate);
        self.choices.extend(other.choices);
        self.may_be_judged |= other.may_be_judged;
        self.is_ignored &= other.is_ignored;
        self
    }

    /// It is set anew.
    pub(super) fn write(&mut self, slot: Slot<'p>, is_of_certificate: bool) {
        if is_of_certificate {
            self.of_certificate.insert(slot);
        } else {
            self.of_certificate.remove(&slot);
        }
    }

    /// A rule may have looked at the certificate, and lets it pass.
    pub(super) fn judge(&mut self) {
        self.may_be_judged |= !self.is_ignored;
    }

    /// A validation has failed, and goes on.
    pub(super) fn ignore(&mut self) {
        (self.may_be_judged, self.is_ignored) = (false, true);
    }
}

pub(super) fn join<'p>(one: Option<State<'p>>, other: Option<State<'p>>) -> Option<State<'p>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.join(other)),
        (one, other) => one.or(other),
    }
}
