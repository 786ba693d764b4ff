//! Values by the names of their sections.

use std::collections::BTreeMap;

/// Values of named sections; None for an invalid one.
pub(super) type SectionsByName<T> = BTreeMap<String, Option<T>>;
