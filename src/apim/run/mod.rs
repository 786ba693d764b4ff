//! A compiled document, run for one request.

mod effect;
mod explain;
mod failure;
pub(crate) mod headers;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use hyper::ext::ReasonPhrase;

use self::{failure::Failure, headers::ResponseChange};
use super::{
    document::Inner,
    error::Position,
    explain::{Line, said},
    expression::{Evaluation, Inputs, State, Value, trust_failure},
    facts::RequestFacts,
    outcome::{Answer, Cause, ChosenIdentity, Forward, Forwarding, Outcome, UNREADABLE},
    program::{Action, Choices, Choose, Condition, IdentitySource, Place, Section, Step, Target},
};
use crate::{
    certificate::{Presented, Timestamp},
    policy::Verification,
};

/// Decides about a request; `lines` is told what happened, for explanations. In shadow nobody is refused.
pub(crate) fn evaluate(
    document: &Inner,
    facts: &RequestFacts<'_>,
    now: Timestamp,
    is_shadow: bool,
    lines: Option<&mut Vec<Line>>,
) -> Outcome {
    let is_unreadable =
        document.program.used.certificate && matches!(facts.presented, Presented::Unreadable(_));
    if is_unreadable && !is_shadow {
        return Outcome::Respond(unreadable());
    }
    let inputs = Inputs::new(*facts, now, document.trust.as_ref(), document.deployment.as_deref());
    let run = Run {
        inputs: &inputs,
        state: State::default(),
        section: Section::Inbound,
        changed: Vec::new(),
        response: Vec::new(),
        forwarding: Forwarding::default(),
        of_backend: None,
        answer: None,
        judged: false,
        ignored: false,
        is_shadow,
        is_stuck: false,
        chooses: document.program.chooses.any(),
        is_callers_choice: false,
        refusals: 0,
        refused: is_unreadable.then(|| Box::new(unreadable())),
        lines,
        depth: 0,
    };
    let mut outcome = run.request(document);
    // VerdictCache with the verdict: whoever is told of the refusal need not verify the chain again.
    if document.program.used.trust
        && let Some(answer) = outcome.refusal_mut()
        && let (Presented::Certificate(certificate), Some(trust)) = (facts.presented, &document.trust)
    {
        answer.cause.chain = trust_failure(certificate, trust, now);
    }
    outcome
}

/// Null would stand for it in expressions, and a document may let those pass who present nothing.
fn unreadable() -> Answer {
    Answer {
        status: StatusCode::FORBIDDEN,
        reason: Some(ReasonPhrase::from_static(b"Invalid client certificate")),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        cause: Cause {
            position: Position { line: 1, column: 1 },
            element: "policies",
            code: Some(UNREADABLE),
            message: "The certificate cannot be read.".into(),
            chain: None,
        },
    }
}

/// Whether the next element runs.
enum Flow {
    Go,
    End(Box<Answer>),
}

type Ran = Result<Flow, Box<Failure>>;

struct Run<'r, 'l> {
    inputs: &'r Inputs<'r>,
    state: State<'r>,
    section: Section,
    /// Names of the request's headers that were changed.
    changed: Vec<HeaderName>,
    response: Vec<ResponseChange>,
    forwarding: Forwarding,
    /// The identity of the backend that was chosen last. One that the document chooses itself counts in its place.
    of_backend: Option<&'r ChosenIdentity>,
    /// The answer that `on-error` works on.
    answer: Option<Answer>,
    /// A rule that could have refused the request looked at the certificate.
    judged: bool,
    /// A validation failed and was ignored.
    ignored: bool,
    /// Refusals are remembered, and the next element runs.
    is_shadow: bool,
    /// The identity or the backend could not be chosen: the request does not go on, in shadow either.
    is_stuck: bool,
    /// The document chooses an identity or a backend.
    chooses: bool,
    /// One was chosen by what the caller's certificate says, which only rules that refuse have proved.
    is_callers_choice: bool,
    /// How many refusals were not carried out.
    refusals: usize,
    /// The first refusal that was not carried out.
    refused: Option<Box<Answer>>,
    lines: Option<&'l mut Vec<Line>>,
    depth: usize,
}

fn json(status: StatusCode, message: &str) -> String {
    format!(r#"{{"statusCode":{},"message":"{message}"}}"#, status.as_u16())
}

impl<'r> Run<'r, '_> {
    fn request(mut self, document: &'r Inner) -> Outcome {
        for section in [Section::Inbound, Section::Outbound] {
            self.section = section;
            match self.steps(document.program.section(section)) {
                Ok(Flow::Go) => {}
                Ok(Flow::End(answer)) => return Outcome::Respond(*answer),
                Err(failure) => return Outcome::Respond(self.fail(*failure, document)),
            }
        }
        if self.is_callers_choice
            && let Some(refused) = self.refused
        {
            return Outcome::Respond(*refused);
        }
        if self.forwarding.identity.is_none() {
            self.forwarding.identity = self.of_backend.cloned();
        }
        let headers = self.state.headers.take();
        if let Some(headers) = &headers {
            let values = |name: &HeaderName| headers.get_all(name).iter().cloned().collect();
            self.forwarding.headers = self.changed.iter().map(|name| (name.clone(), values(name))).collect();
        }
        let has_certificate = matches!(self.inputs.facts.presented, Presented::Certificate(_));
        let is_admitted = has_certificate && self.judged && !self.ignored && self.refused.is_none();
        let variables = self.state.variables.iter().filter_map(|variable| match &variable.value {
            Value::Text(text) => Some((variable.name.into(), text.clone().into_owned())),
            _ => None,
        });
        Outcome::Forward(Forward {
            variables: variables.collect(),
            headers,
            forwarding: self.forwarding,
            response: self.response,
            admits: is_admitted.then(|| Verification::of(document.program.is_anchored)),
            refused: self.refused,
        })
    }

    /// Runs `on-error` on the answer that a failure makes.
    fn fail(&mut self, failure: Failure, document: &'r Inner) -> Answer {
        self.state.last_error = Some(failure.error.clone());
        self.section = Section::OnError;
        self.depth = 0;
        let answer = failure.into_answer();
        let cause = answer.cause.clone();
        self.answer = Some(answer);
        self.note(|| "on-error runs".into());
        match self.steps(document.program.section(Section::OnError)) {
            Ok(Flow::Go) => {}
            Ok(Flow::End(mut answer)) => {
                answer.cause = cause;
                return *answer;
            }
            // What was changed before is lost with it.
            Err(again) => return Answer { cause, ..again.into_answer() },
        }
        self.answer.take().unwrap_or_else(unreadable)
    }

    fn steps(&mut self, steps: &'r [Step]) -> Ran {
        for step in steps {
            let ended = match self.step(step) {
                Ok(Flow::Go) => continue,
                // Without its choice the request would go to the route's backend under the route's identity, which
                // the document means for others.
                Err(failure) if matches!(step.action, Action::Authenticate(_) | Action::Backend(_)) => {
                    self.is_stuck = true;
                    return Err(failure);
                }
                // Nor is it known what it would have chosen had a condition or a variable not failed.
                Err(failure)
                    if failure.is_fault
                        && self.chooses
                        && self.section == Section::Inbound
                        && !matches!(step.action, Action::Header(_) | Action::Return(_)) =>
                {
                    self.is_stuck = true;
                    return Err(failure);
                }
                Err(failure) if self.is_shadow && !self.is_stuck => Box::new(failure.into_answer()),
                Ok(Flow::End(answer)) if self.is_shadow && !self.is_stuck && answer.refuses() => answer,
                ended => return ended,
            };
            self.refusals += 1;
            self.refused.get_or_insert(ended);
        }
        Ok(Flow::Go)
    }

    fn evaluation(&mut self) -> Evaluation<'_, 'r> {
        Evaluation { inputs: self.inputs, state: &mut self.state }
    }

    fn step(&mut self, step: &'r Step) -> Ran {
        let place = &step.place;
        let failed = |fault| Box::new(Failure::of_fault(place, &place.path, fault));
        match &step.action {
            Action::Base(program) => return self.steps(program.section(self.section)),
            Action::Choose(choose) => return self.choose(choose, place),
            Action::Return(reply) => {
                let answer = self.reply(reply, place).map_err(failed)?;
                self.note_at(place.position, || {
                    format!("return-response answers {}", said(answer.status, answer.reason()))
                });
                return Ok(Flow::End(Box::new(answer)));
            }
            Action::Validate(validation) => {
                self.state.certificate_read = true;
                let judged = validation.judge(self.inputs);
                self.explain_validation(validation, judged, place.position);
                match judged {
                    Ok(()) => self.judged = true,
                    Err(_) if validation.ignore_error => self.ignored = true,
                    Err(invalid) => return Err(Box::new(Failure::of_certificate(place, invalid))),
                }
            }
            Action::Authenticate(source) => {
                let identity = self.identity(source).map_err(failed)?;
                if let IdentitySource::Id(expression) | IdentitySource::Thumbprint(expression) = source {
                    self.is_callers_choice |=
                        expression.dependencies.certificate || expression.dependencies.variables;
                }
                self.note_at(place.position, || format!("the backend is called as {identity}"));
                self.forwarding.identity = Some(identity);
            }
            Action::Backend(target) => {
                let uri = self.target(target).map_err(failed)?;
                if let Target::Expression(expression) = target {
                    self.is_callers_choice |=
                        expression.dependencies.certificate || expression.dependencies.variables;
                }
                self.explain_backend(target, &uri, place.position);
                self.forwarding.base_url = Some(uri);
                self.forwarding.backend = target.id().cloned();
                self.of_backend = target.identity();
            }
            Action::Header(change) => self.change_header(change, place).map_err(failed)?,
            Action::Variable(name, template) => {
                let set = self.set_variable(name, template);
                set.map_err(failed)?;
                self.explain_variable(name, place.position);
            }
            Action::Status(status, reason) => {
                if let Some(answer) = &mut self.answer {
                    (answer.status, answer.reason) = (*status, reason.clone());
                }
            }
            Action::Body(template) => {
                let body = self.text(template).map_err(failed)?.unwrap_or_default();
                if let Some(answer) = &mut self.answer {
                    answer.body = Bytes::from(body.into_owned());
                }
            }
        }
        Ok(Flow::Go)
    }

    /// A choice by the certificate leaves a trace in all that its branches set, and in what they do not set as well.
    fn choose(&mut self, choose: &'r Choose, place: &'r Place) -> Ran {
        let mut saw_certificate = false;
        let ran = self.first_that_holds(choose, place, &mut saw_certificate);
        if saw_certificate {
            choose.visit_slots(&mut |slot| {
                self.state.certificate_dependent.insert(slot);
            });
        }
        ran
    }

    /// Runs the branch that applies.
    fn first_that_holds(&mut self, choose: &'r Choose, place: &'r Place, saw_certificate: &mut bool) -> Ran {
        for branch in &choose.branches {
            let holds = match &branch.condition {
                Condition::Constant(holds) => *holds,
                Condition::Expression(expression) => {
                    self.state.certificate_read = false;
                    let holds = self.evaluation().condition(&expression.root);
                    *saw_certificate |= self.state.certificate_read;
                    self.judged |= branch.decides_refusal && self.state.certificate_read;
                    self.explain_condition(expression, &holds, branch.position);
                    holds.map_err(|fault| {
                        Box::new(Failure::of_fault(place, &branch.path, fault).at("when", branch.position))
                    })?
                }
            };
            if holds {
                return self.branch(choose, &branch.steps, branch.chooses);
            }
        }
        match &choose.otherwise {
            Some(steps) => {
                self.note(|| "otherwise applies".into());
                self.branch(choose, steps, choose.otherwise_chooses)
            }
            None => Ok(Flow::Go),
        }
    }

    /// In shadow, whoever is refused in a branch that chooses less than another does is answered: it would go on
    /// without the choice that others get.
    fn branch(&mut self, choose: &'r Choose, steps: &'r [Step], chooses: Choices) -> Ran {
        let refusals = self.refusals;
        let ran = self.deeper(|run| run.steps(steps))?;
        if self.refusals > refusals
            && !chooses.covers(choose.chooses)
            && let Some(refused) = self.refused.take()
        {
            self.is_stuck = true;
            return Ok(Flow::End(refused));
        }
        Ok(ran)
    }

    fn deeper(&mut self, run: impl FnOnce(&mut Self) -> Ran) -> Ran {
        self.depth += 1;
        let ran = run(self);
        self.depth -= 1;
        ran
    }
}
