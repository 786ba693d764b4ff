//! The guard rule: callers must not choose the identity or the URL towards backends, and a certificate proves nothing
//! before a guard.
//!
//! The rule is judged on the composition: `<inbound>` with the base document in place of `<base />`. An expression in
//! `certificate-id`, `thumbprint` or `base-url` is
//! - *finite* if all its values are literals of the composition: through `?:`, `??`, blocks, and variables, which have
//!   the values of all `set-variable` of that name. It is allowed, with a warning if the caller selects before a guard;
//! - *guarded* if it reads only `context.Request.Certificate` and literals, after a guard;
//! - an error otherwise.
//!
//! The [`recognizer`] defines guards. A document with a guard proves certificates. One without a guard proves nothing,
//! even if a rule in a branch would.

mod proofs;
mod recognizer;
mod sources;
mod syntax;

use std::{collections::HashSet, sync::Arc};

pub(crate) use self::{proofs::judge_proofs, recognizer::GUARD, syntax::warn_of_missing_null_test};
use self::{
    recognizer::{guard_when, is_guard},
    sources::{Assignments, Conditions, Reads},
};
use super::{
    backend::{ChosenIdentity, base_url},
    error::{Findings, Position, short},
    expression::{Dependencies, Expression, Slot},
    program::{Action, Choose, Program, Ruling, Selection, SelectionAttribute, Step},
};

/// Judges a document, and reports selections that are not allowed.
pub(crate) fn judge(program: &Program, findings: &mut Findings) -> Ruling {
    let mut composition = Composition::default();
    composition.steps(&program.inbound, Enclosing::default());
    let possible_certificates = composition.judge_selections(findings);
    composition.warn_of_unguarded_literals(findings);
    let mut rules = composition.rules.iter();
    let judging = rules.find(|(_, reads)| composition.assignments.dependencies_of(reads).certificate);
    Ruling {
        has_guard: composition.is_guarded,
        judged_at: judging.map(|(position, _)| *position),
        is_conditional: composition.is_conditional,
        possible_certificates,
    }
}

/// The elements around those of a section or branch.
#[derive(Debug, Clone, Copy, Default)]
struct Enclosing {
    is_nested: bool,
    conditions: Conditions,
    /// Position of the `<base />` that includes the elements.
    base: Option<Position>,
}

/// An expression for identity or URL.
#[derive(Debug)]
struct ComputedSelection<'p> {
    attribute: SelectionAttribute,
    position: Position,
    expression: &'p Expression,
    enclosing: Enclosing,
    is_guarded: bool,
}

/// The elements of `<inbound>` that the rule concerns.
#[derive(Debug, Default)]
struct Composition<'p> {
    assignments: Assignments<'p>,
    /// Conditions that decide about a rejection, and validations.
    rules: Vec<(Position, Reads)>,
    selections: Vec<ComputedSelection<'p>>,
    /// Literals in a `<choose>` before a guard, with the conditions around them.
    unguarded: Vec<(SelectionAttribute, Position, Conditions)>,
    is_conditional: bool,
    /// True after a guard.
    is_guarded: bool,
    /// Base documents that were included. A second inclusion changes nothing, since no guard is lost.
    included: Vec<*const Program>,
}

impl<'p> Composition<'p> {
    fn steps(&mut self, steps: &'p [Step], enclosing: Enclosing) {
        for step in steps {
            let position = enclosing.base.unwrap_or(step.location.position);
            match &step.action {
                Action::Base(base) if !self.included.contains(&Arc::as_ptr(base)) => {
                    self.included.push(Arc::as_ptr(base));
                    self.steps(&base.inbound, Enclosing { base: Some(position), ..enclosing });
                }
                Action::Choose(choose) => self.choose(choose, enclosing),
                Action::Validate(validation) => {
                    // Without `ignore-error` it rejects; with it, its success admits what it does not prove.
                    if !validation.ignore_error || !validation.proves() {
                        self.rules.push((position, Reads::of_certificate()));
                    }
                    self.is_guarded |= !enclosing.is_nested && is_guard(validation);
                }
                Action::Variable(name, value) => {
                    self.assignments.add_variable(name, value, enclosing.conditions);
                }
                Action::Header(change) => {
                    let slot = Slot::Header(change.name.as_str().into());
                    self.assignments.add(slot, change.expressions(), enclosing.conditions);
                }
                Action::Authenticate(selection) => self.select(selection, enclosing),
                Action::Backend(selection) => self.select(selection, enclosing),
                _ => {}
            }
        }
    }

    fn choose(&mut self, choose: &'p Choose, enclosing: Enclosing) {
        let guard = if enclosing.is_nested { None } else { guard_when(choose) };
        let mut nested = Enclosing { is_nested: true, ..enclosing };
        for (index, branch) in choose.branches.iter().enumerate() {
            if let Some(condition) = branch.condition.expression() {
                nested.conditions = self.assignments.add_condition(nested.conditions, condition);
                if branch.decides_rejection {
                    self.rules.push((enclosing.base.unwrap_or(branch.position), Reads::of(condition)));
                }
            }
            self.steps(&branch.steps, nested);
            // Later branches run only if the condition of the guard is false.
            self.is_guarded |= guard == Some(index);
        }
        self.steps(choose.otherwise.as_deref().unwrap_or_default(), nested);
    }

    fn select<T>(&mut self, selection: &'p Selection<T>, enclosing: Enclosing) {
        let position = enclosing.base.unwrap_or(selection.position);
        let Some(expression) = selection.value.expression() else {
            self.is_conditional |= enclosing.is_nested;
            if enclosing.is_nested && !self.is_guarded && enclosing.base.is_none() {
                self.unguarded.push((selection.attribute, position, enclosing.conditions));
            }
            return;
        };
        self.is_conditional = true;
        self.selections.push(ComputedSelection {
            attribute: selection.attribute,
            position,
            expression,
            enclosing,
            is_guarded: self.is_guarded,
        });
    }

    /// Reports selections that are not allowed. Returns the values of finite ones for identities.
    fn judge_selections(&self, findings: &mut Findings) -> Vec<ChosenIdentity> {
        let (mut possible, mut listed) = (Vec::new(), HashSet::new());
        for selection in &self.selections {
            let attribute = selection.attribute;
            let reads = self.assignments.dependencies_of(&Reads::of(selection.expression));
            let Some(values) = self.assignments.values(&selection.expression.syntax) else {
                if let Some(problem) = selection.problem(reads) {
                    selection.report(findings, problem);
                }
                continue;
            };
            for value in values {
                let identity = attribute.identity(value);
                let is_url = attribute == SelectionAttribute::BaseUrl && base_url(value).is_some();
                if identity.is_none() && !is_url {
                    let (name, value) = (attribute.as_str(), short(value));
                    selection.report(findings, format!("invalid {name}: {value:?} is a possible value"));
                }
                possible.extend(identity.filter(|identity| listed.insert(identity.to_string())));
            }
            let conditions = Reads::of_conditions(selection.enclosing.conditions);
            let inputs = reads.and(self.assignments.dependencies_of(&conditions));
            let is_by_caller = inputs.certificate || inputs.request;
            // A base document has been warned of in its own.
            if is_by_caller && !selection.is_guarded && selection.enclosing.base.is_none() {
                warn_of_selection(attribute, selection.position, findings);
            }
        }
        possible
    }

    /// Warns of literals that the caller selects by a certificate that is not proven.
    fn warn_of_unguarded_literals(&self, findings: &mut Findings) {
        for (attribute, position, conditions) in &self.unguarded {
            if self.assignments.dependencies_of(&Reads::of_conditions(*conditions)).certificate {
                warn_of_selection(*attribute, *position, findings);
            }
        }
    }
}

fn selected(attribute: SelectionAttribute) -> &'static str {
    if attribute == SelectionAttribute::BaseUrl { "the backend" } else { "the identity" }
}

fn warn_of_selection(attribute: SelectionAttribute, position: Position, findings: &mut Findings) {
    let selected = selected(attribute);
    let message =
        format!("the caller selects {selected} before its certificate is proven; add before it: {GUARD}");
    findings.warn(position, message);
}

impl ComputedSelection<'_> {
    /// Returns the reason why an expression with these inputs, which is not finite, is not allowed.
    fn problem(&self, reads: Dependencies) -> Option<String> {
        let (name, selected) = (self.attribute.as_str(), selected(self.attribute));
        if reads.request {
            return Some(format!(
                "the caller would choose {selected}; compare its headers in a <choose>, and write each {name} as a literal"
            ));
        }
        if reads.time || reads.deployment {
            return Some(format!(
                "{name}: an expression may read only context.Request.Certificate and literals; write each value as a \
                 literal in a <choose>"
            ));
        }
        let problem = match reads.certificate {
            true => "the caller would choose this value with a self-made certificate",
            false => "the value is not one of several literals",
        };
        (!self.is_guarded).then(|| format!("{name}: {problem}; add before it: {GUARD}"))
    }

    fn report(&self, findings: &mut Findings, problem: String) {
        let document = if self.enclosing.base.is_some() { "base document: " } else { "" };
        findings.error(self.position, format!("{document}{problem}"));
    }
}
