//! Static analysis of `<inbound>` for a caller with little known properties.
//!
//! A document *proves* certificates if no caller passes with a self-made certificate, and is *anchored* if no self-made
//! certificate is admitted: a path on which no rule has read the certificate admits none. A condition that names
//! `Verify()` or a thumbprint is not sufficient; its effect counts. The compiled section runs as for a request, with
//! three-valued conditions, for one of two callers: a [`Caller::Stranger`] with a self-made certificate, and
//! [`Caller::WithoutCertificate`].
//!
//! Known of a stranger: there is a certificate; no chain verifies; and its whole thumbprint differs from those in the
//! document and in the deployment, since a certificate for a given SHA-1 thumbprint cannot be made. Everything else is
//! unknown: names, dates, headers, URL, time, content of the deployment, parts of thumbprints.
//!
//! Over-approximations, by which more callers seem to pass than do:
//! - both branches of an undecided condition are followed, and its result is forgotten: mutually exclusive conditions are
//!   not recognized;
//! - where paths meet, a variable or local may have each of their values;
//! - an unknown value may be any, null included;
//! - slots that a `<choose>` sets depend on the certificate if any of its conditions may have read it;
//! - a document that takes too long to analyze lets all callers pass.
//!
//! An unreachable end is therefore certain, as proofs need. In turn, *always passes* is reported only if no path ends
//! earlier, as warnings need. Faults that a caller can avoid (unreadable names, too many steps) end no path.

mod expression;
mod function;
mod looked;
mod state;
#[cfg(test)]
mod tests;
mod value;

use std::collections::HashSet;

use self::{
    expression::Evaluation,
    looked::Outcomes,
    state::{State, Variable, join},
    value::{Seen, Truth, What},
};
use super::{
    error::Position,
    expression::Expression,
    program::{Action, BackendTarget, Choose, Condition, HeaderText, IdentitySource, Slot, Step, Template},
};

/// Steps, and values copied, that one run may take.
const MOST_STEPS: usize = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Presents a certificate that it made itself.
    Stranger,
    /// Presents no certificate.
    WithoutCertificate,
}

/// The result of an analysis.
#[derive(Debug)]
pub(crate) struct Reach<'p> {
    /// Whether it may come to the end of the section.
    pub(crate) may_pass: bool,
    /// Whether its certificate may be admitted then.
    pub(crate) may_be_admitted: bool,
    /// Whether it comes to the end whatever it sends.
    pub(crate) always_passes: bool,
    /// Elements, passed on a way to the end, that choose an identity or a backend by an expression.
    choices: HashSet<Choice<'p>>,
    /// It took too long to find out: the caller may have passed everything.
    is_given_up: bool,
    /// The first condition before a refusal that looks at the certificate and never holds for this caller.
    pub(crate) is_let_off: Option<Position>,
    /// The first rule that looks at the certificate and can refuse.
    pub(crate) judged_at: Option<Position>,
    /// Whether a branch was taken because of the certificate, or because there is none.
    pub(crate) is_expected: bool,
}

impl Reach<'_> {
    /// Whether a choice that the document itself makes at this place may stand at the end and be the caller's: one
    /// among several by what a certificate says, or one that the caller makes up.
    pub(crate) fn may_choose_at(&self, position: Position, says_which: bool) -> bool {
        let is_it = |choice: &Choice<'_>| {
            !choice.is_above && choice.step.location.position == position && (says_which || !choice.is_given)
        };
        self.is_given_up || self.choices.iter().any(is_it)
    }

    /// Whether that holds of a choice that a document above makes by a variable.
    pub(crate) fn may_choose_above(&self, says_which: bool) -> bool {
        let is_it = |choice: &Choice<'_>| {
            choice.is_above && choice.reads_variables && (says_which || !choice.is_given)
        };
        self.is_given_up || self.choices.iter().any(is_it)
    }
}

/// An element that chooses.
#[derive(Debug, Clone, Copy)]
struct Choice<'p> {
    step: &'p Step,
    is_above: bool,
    reads_variables: bool,
    /// It is one of those that the document holds, or made of the caller's whole thumbprint and nothing else of the
    /// caller's: no caller makes it up.
    is_given: bool,
}

impl PartialEq for Choice<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.step, other.step) && self.is_given == other.is_given
    }
}

impl Eq for Choice<'_> {}

impl std::hash::Hash for Choice<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::ptr::hash(self.step, state);
    }
}

/// Runs the elements of `<inbound>`.
pub(crate) fn run(steps: &[Step], caller: Caller) -> Reach<'_> {
    let mut run = Run {
        caller,
        steps: 0,
        may_end: false,
        depth_above: 0,
        is_let_off: None,
        judged_at: None,
        is_expected: false,
        locals: Vec::new(),
    };
    let end = run.steps(steps, State::default());
    let is_given_up = run.is_given_up();
    Reach {
        may_pass: end.is_some() || is_given_up,
        may_be_admitted: end.as_ref().is_some_and(|end| end.may_be_judged) || is_given_up,
        always_passes: end.is_some() && !run.may_end && !is_given_up,
        choices: end.map(|end| end.choices).unwrap_or_default(),
        is_given_up,
        is_let_off: run.is_let_off,
        judged_at: run.judged_at,
        is_expected: run.is_expected,
    }
}

struct Run<'p> {
    caller: Caller,
    steps: usize,
    /// Some way ends before the section does.
    may_end: bool,
    /// Number of nested base documents.
    depth_above: usize,
    is_let_off: Option<Position>,
    judged_at: Option<Position>,
    is_expected: bool,
    /// Kept for its memory.
    locals: Vec<Option<Seen<'p>>>,
}

impl<'p> Run<'p> {
    fn is_given_up(&self) -> bool {
        self.steps > MOST_STEPS
    }

    /// Returns the state after the elements; None if no path reaches it.
    fn steps(&mut self, steps: &'p [Step], mut state: State<'p>) -> Option<State<'p>> {
        for step in steps {
            self.steps += 1;
            if self.is_given_up() {
                return None;
            }
            let Some(next) = self.step(step, state) else {
                self.may_end = true;
                return None;
            };
            state = next;
        }
        Some(state)
    }

    fn step(&mut self, step: &'p Step, mut state: State<'p>) -> Option<State<'p>> {
        match &step.action {
            Action::Base(above) => {
                self.depth_above += 1;
                let end = self.steps(&above.inbound, state);
                self.depth_above -= 1;
                return end;
            }
            Action::Choose(choose) => return self.choose(choose, state),
            // An answer below 400 does not reach the backend either.
            Action::Return(_) => return None,
            Action::Validate(validation) => {
                let verdict = match self.caller {
                    Caller::WithoutCertificate => Truth::FALSE,
                    Caller::Stranger if validation.proves() => Truth::FALSE,
                    Caller::Stranger if validation.has_requirements() => Truth::UNKNOWN,
                    Caller::Stranger => Truth::TRUE,
                };
                if verdict.may_hold {
                    state.judge();
                    self.judged_here(step.location.position);
                } else if validation.ignore_error {
                    state.ignore();
                } else {
                    return None;
                }
                self.may_end |= verdict.may_fail && !validation.ignore_error;
            }
            Action::Authenticate(IdentitySource::Id(expression) | IdentitySource::Thumbprint(expression))
            | Action::Backend(BackendTarget::Expression(expression)) => {
                let value = self.value(expression, &state)?;
                // A value that is not an id or a URL is a fault.
                self.may_end |= !matches!(value.what, What::Text(_)) || value.is_nullable;
                let reads_variables = expression.dependencies.variables;
                if expression.dependencies.certificate || reads_variables {
                    let is_above = self.depth_above > 0;
                    let is_given = value.what.is_fixed() || value.what.is_own_thumbprint();
                    state.choices.insert(Choice { step, is_above, reads_variables, is_given });
                }
            }
            Action::Header(change) => {
                let slot = Slot::Header(&change.name);
                let mut looks = change.mode.keeps_value() && state.of_certificate.contains(&slot);
                for value in &change.values {
                    if let HeaderText::Expression(expression) = value {
                        self.value(expression, &state)?;
                        looks |= self.looks(expression, &state);
                    }
                }
                state.write(slot, looks);
            }
            Action::Variable(name, template) => {
                let (value, looks) = match template {
                    Template::Literal(text) => (Seen::of(What::Text(text)), false),
                    Template::Expression(expression) => {
                        (self.value(expression, &state)?, self.looks(expression, &state))
                    }
                };
                state.write(Slot::Variable(name), looks);
                state.variables.insert(name, Variable { value, may_be_unset: false });
            }
            Action::Authenticate(IdentitySource::Fixed(_))
            | Action::Backend(BackendTarget::Fixed(_) | BackendTarget::Backend(..))
            | Action::Status(..)
            | Action::Body(_) => {}
        }
        Some(state)
    }

    /// A choice that may depend on the certificate leaves a trace in all that its branches set, and in what they do not
    /// set as well.
    fn choose(&mut self, choose: &'p Choose, state: State<'p>) -> Option<State<'p>> {
        let mut may_look = false;
        let mut end = self.branches(choose, state, &mut may_look)?;
        if may_look {
            choose.visit_slots(&mut |slot| {
                self.steps += 1;
                end.of_certificate.insert(slot);
            });
        }
        Some(end)
    }

    fn branches(
        &mut self,
        choose: &'p Choose,
        mut state: State<'p>,
        may_look: &mut bool,
    ) -> Option<State<'p>> {
        let mut end = None;
        for branch in &choose.branches {
            let (truth, looked) = match &branch.condition {
                Condition::Constant(holds) => (Truth::from(*holds), Truth::NEVER),
                Condition::Expression(expression) => {
                    let Some(Outcomes { all: truth, looked }) = self.condition(expression, &state) else {
                        return end;
                    };
                    if expression.dependencies.certificate {
                        self.is_expected |= truth == Truth::TRUE;
                        let is_let_off =
                            branch.decides_rejection && truth == Truth::FALSE && self.depth_above == 0;
                        if is_let_off && self.is_let_off.is_none() {
                            self.is_let_off = Some(branch.position);
                        }
                    }
                    (truth, looked)
                }
            };
            *may_look |= looked != Truth::NEVER;
            let looked = if branch.decides_rejection { looked } else { Truth::NEVER };
            if looked != Truth::NEVER {
                self.judged_here(branch.position);
            }
            if truth.may_hold {
                let mut taken = if truth.may_fail { self.copy(&state) } else { std::mem::take(&mut state) };
                if looked.may_hold {
                    taken.judge();
                }
                let through = self.steps(&branch.steps, taken);
                end = join(end, through);
                if !truth.may_fail {
                    return end;
                }
            }
            if looked.may_fail {
                state.judge();
            }
        }
        if let Some(steps) = &choose.otherwise {
            let through = self.steps(steps, state);
            return join(end, through);
        }
        if let Some(end) = end {
            state = state.join(end);
        }
        Some(state)
    }

    fn copy(&mut self, state: &State<'p>) -> State<'p> {
        self.steps += state.variables.len() + state.of_certificate.len() + state.choices.len();
        state.clone()
    }

    /// Whether its value may depend on the certificate.
    fn looks(&mut self, expression: &'p Expression, state: &State<'p>) -> bool {
        expression.dependencies.certificate
            || self.evaluate(state, |evaluation| Some(evaluation.looks(&expression.root))).unwrap_or(true)
    }

    /// None if the expression fails.
    fn value(&mut self, expression: &'p Expression, state: &State<'p>) -> Option<Seen<'p>> {
        self.evaluate(state, |evaluation| evaluation.value(&expression.root))
    }

    fn condition(&mut self, expression: &'p Expression, state: &State<'p>) -> Option<Outcomes> {
        self.evaluate(state, |evaluation| evaluation.outcomes(&expression.root))
    }

    /// A rule of the document itself that looks at the certificate.
    fn judged_here(&mut self, position: Position) {
        if self.depth_above == 0 {
            self.judged_at.get_or_insert(position);
        }
    }

    fn evaluate<T>(
        &mut self,
        state: &State<'p>,
        ask: impl FnOnce(&mut Evaluation<'_, 'p>) -> Option<T>,
    ) -> Option<T> {
        let mut evaluation = Evaluation {
            caller: self.caller,
            variables: &state.variables,
            of_certificate: &state.of_certificate,
            locals: std::mem::take(&mut self.locals),
            may_fault: false,
            steps: 0,
        };
        evaluation.locals.clear();
        let found = ask(&mut evaluation);
        self.may_end |= evaluation.may_fault || found.is_none();
        self.steps += evaluation.steps;
        self.locals = evaluation.locals;
        found
    }
}
