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

mod null_test;
mod recognizer;
mod sources;
mod syntax;

use std::sync::Arc;

pub(crate) use self::{null_test::warn_of_missing_null_test, recognizer::GUARD};
use self::{
    recognizer::{guard_when, is_guard},
    sources::{Assignments, Reads, Sources},
};
use super::{
    backend::base_url,
    decision::ChosenIdentity,
    error::{Findings, Position, short},
    expression::Expression,
    program::{Action, BackendTarget, Choose, Condition, IdentitySource, Program, Step},
};
use crate::certificate::Thumbprint;

/// Result of the rule for a composition.
#[derive(Debug, Default)]
pub(crate) struct Ruling {
    /// True if `<inbound>` has a guard: no request passes it with a self-made certificate.
    pub(crate) has_guard: bool,
    /// The first rule that admits or rejects by the certificate.
    pub(crate) judged_at: Option<Position>,
    /// True if identity or URL depend on an expression or a condition.
    pub(crate) is_conditional: bool,
    /// All values of finite expressions for identities.
    pub(crate) possible_certificates: Vec<ChosenIdentity>,
}

impl Ruling {
    /// Returns true if no self-made certificate is admitted.
    pub(crate) fn is_anchored(&self) -> bool {
        self.has_guard || self.judged_at.is_none()
    }
}

/// Judges a document, and reports selections that are not allowed.
pub(crate) fn judge(program: &Program, findings: &mut Findings) -> Ruling {
    let mut composition = Composition::default();
    composition.steps(&program.inbound, Enclosing::default());
    composition.assignments.resolve();
    let possible_certificates = composition.judge_selections(findings);
    let mut rules = composition.rules.iter();
    let judging = rules.find(|(_, reads)| composition.assignments.sources_of(reads).certificate);
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
    /// Sources that the conditions read themselves.
    conditions: Sources,
    /// Position of the `<base />` that includes the elements.
    base: Option<Position>,
}

/// An expression for identity or URL.
#[derive(Debug)]
struct Selection<'p> {
    attribute: SelectedBy,
    position: Position,
    expression: &'p Expression,
    enclosing: Enclosing,
    is_guarded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SelectedBy {
    CertificateId,
    Thumbprint,
    BaseUrl,
}

/// The elements of `<inbound>` that the rule concerns.
#[derive(Debug, Default)]
struct Composition<'p> {
    assignments: Assignments<'p>,
    /// Conditions that decide about a rejection, and validations.
    rules: Vec<(Position, Reads<'p>)>,
    selections: Vec<Selection<'p>>,
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
                        let sources = Sources { certificate: true, ..Sources::default() };
                        self.rules.push((position, Reads { sources, ..Reads::default() }));
                    }
                    self.is_guarded |= !enclosing.is_nested && is_guard(validation);
                }
                Action::Variable(name, value) => {
                    self.assignments.add_variable(name, value, enclosing.conditions);
                }
                Action::Header(change) => self.assignments.add_header(change, enclosing.conditions),
                Action::Authenticate(IdentitySource::Fixed(_))
                | Action::Backend(BackendTarget::Fixed(_) | BackendTarget::Backend(..)) => {
                    self.is_conditional |= enclosing.is_nested;
                }
                Action::Authenticate(IdentitySource::Id(expression, position)) => {
                    self.select(SelectedBy::CertificateId, expression, *position, enclosing);
                }
                Action::Authenticate(IdentitySource::Thumbprint(expression, position)) => {
                    self.select(SelectedBy::Thumbprint, expression, *position, enclosing);
                }
                Action::Backend(BackendTarget::Expression(expression, position)) => {
                    self.select(SelectedBy::BaseUrl, expression, *position, enclosing);
                }
                _ => {}
            }
        }
    }

    fn choose(&mut self, choose: &'p Choose, enclosing: Enclosing) {
        let guard = if enclosing.is_nested { None } else { guard_when(choose) };
        let mut nested = Enclosing { is_nested: true, ..enclosing };
        for (index, branch) in choose.branches.iter().enumerate() {
            if let Condition::Expression(condition) = &branch.condition {
                let reads = Reads::of(&condition.syntax);
                nested.conditions = nested.conditions.and(reads.sources);
                if branch.decides_rejection {
                    self.rules.push((enclosing.base.unwrap_or(branch.position), reads));
                }
            }
            self.steps(&branch.steps, nested);
            // Later branches run only if the condition of the guard is false.
            self.is_guarded |= guard == Some(index);
        }
        self.steps(choose.otherwise.as_deref().unwrap_or_default(), nested);
    }

    fn select(
        &mut self,
        attribute: SelectedBy,
        expression: &'p Expression,
        position: Position,
        enclosing: Enclosing,
    ) {
        self.is_conditional = true;
        let position = enclosing.base.unwrap_or(position);
        let is_guarded = self.is_guarded;
        self.selections.push(Selection { attribute, position, expression, enclosing, is_guarded });
    }

    /// Reports selections that are not allowed. Returns the values of finite ones for identities.
    fn judge_selections(&self, findings: &mut Findings) -> Vec<ChosenIdentity> {
        let mut possible = Vec::new();
        for selection in &self.selections {
            let sources = self.assignments.sources_of(&Reads::of(&selection.expression.syntax));
            let Some(values) = self.assignments.values(&selection.expression.syntax) else {
                if let Some(problem) = selection.problem(sources) {
                    selection.report(findings, problem);
                }
                continue;
            };
            for value in values {
                match selection.attribute.identity(value) {
                    Ok(identity) => possible.extend(identity),
                    Err(name) => {
                        let problem = format!("invalid {name}: {:?} is a possible value", short(value));
                        selection.report(findings, problem);
                    }
                }
            }
            let is_by_caller = sources.and(selection.enclosing.conditions).of_caller();
            // A base document has been warned of in its own.
            if is_by_caller && !selection.is_guarded && selection.enclosing.base.is_none() {
                let message = format!(
                    "the caller selects {} before its certificate is proven; add before it: {GUARD}",
                    selection.attribute.selected()
                );
                findings.warn(selection.position, message);
            }
        }
        possible
    }
}

impl Selection<'_> {
    /// Returns the reason why an expression with these sources, which is not finite, is not allowed.
    fn problem(&self, sources: Sources) -> Option<String> {
        let (name, selected) = (self.attribute.name(), self.attribute.selected());
        if sources.request {
            return Some(format!(
                "the caller would choose {selected}; compare its headers in a <choose>, and write each {name} as a literal"
            ));
        }
        if sources.other {
            return Some(format!(
                "{name}: an expression may read only context.Request.Certificate and literals; write each value as a \
                 literal in a <choose>"
            ));
        }
        let problem = match sources.certificate {
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

impl SelectedBy {
    fn name(self) -> &'static str {
        match self {
            Self::CertificateId => "certificate-id",
            Self::Thumbprint => "thumbprint",
            Self::BaseUrl => "base-url",
        }
    }

    fn selected(self) -> &'static str {
        if self == Self::BaseUrl { "the backend" } else { "the identity" }
    }

    /// Returns the identity with this value, or the name of the attribute if the value is invalid.
    fn identity(self, value: &str) -> Result<Option<ChosenIdentity>, &'static str> {
        match self {
            Self::CertificateId if !value.is_empty() => Ok(Some(ChosenIdentity::Id(value.into()))),
            Self::Thumbprint => match value.parse() {
                Ok(thumbprint @ Thumbprint::Sha1(_)) => Ok(Some(ChosenIdentity::Thumbprint(thumbprint))),
                _ => Err(self.name()),
            },
            Self::BaseUrl if base_url(value).is_some() => Ok(None),
            Self::CertificateId | Self::BaseUrl => Err(self.name()),
        }
    }
}
