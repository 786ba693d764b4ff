//! Problems of APIs, backends and policies that cannot be served.

use crate::{
    routing::ApiRoutes,
    store::{Item, ItemError, ItemField},
};

/// The part of a record that is at fault, line and column in a document, and the problem.
pub(super) type ApiProblem = (ItemField, Option<(usize, usize)>, String);

pub(super) fn report(built: &mut ApiRoutes, item: &Item, problems: Vec<ApiProblem>) {
    let broken = |(field, at, problem)| ItemError { item: item.clone(), field, at, problem };
    built.broken.extend(problems.into_iter().map(broken));
}
