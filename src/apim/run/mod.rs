//! Execution of a compiled document for one request.

mod effect;
mod explain;

use std::ops::ControlFlow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use hyper::ext::ReasonPhrase;

use self::effect::Failure;
use super::{
    backend::{ChosenIdentity, base_url},
    decision::{Cause, DocumentDecision, DocumentResponse, Forward, Forwarding, UNREADABLE},
    error::Position,
    explain::{ExplanationLine, status_line},
    expression::{Evaluation, Fault, Inputs, State, Trace, Value},
    headers::ResponseChange,
    program::{Action, BackendTarget, Choose, ElementLocation, Program, Section, Step, Template},
};
use crate::{certificate::Presented, policy::Verification};

/// Decides about a request. Adds a description of each step to `lines`.
///
/// In shadow mode rejections are withheld, unless identity or URL depend on an expression or a condition: the request
/// would then reach a backend, or use an identity, that the document did not choose for it.
pub(crate) fn evaluate(
    program: &Program,
    inputs: &Inputs<'_>,
    is_shadow: bool,
    lines: Option<&mut Vec<ExplanationLine>>,
) -> DocumentDecision {
    let is_shadow = is_shadow && !program.ruling.is_conditional;
    let is_unreadable =
        program.used.certificate && matches!(inputs.facts.presented, Presented::Unreadable(_));
    if is_unreadable && !is_shadow {
        return DocumentDecision::Respond(unreadable());
    }
    let execution = Execution {
        inputs,
        state: State::default(),
        section: Section::Inbound,
        changed: Vec::new(),
        response_changes: Vec::new(),
        forwarding: Forwarding::default(),
        backend_identity: None,
        error_response: None,
        has_judged: false,
        has_proved: false,
        has_ignored_failure: false,
        is_shadow,
        withheld: is_unreadable.then(|| Box::new(unreadable())),
        lines,
        depth: 0,
    };
    let mut decision = execution.request(program);
    // Stored in the decision, so that its report need not verify the chain again.
    if program.used.trust
        && let Some(response) = decision.rejection_mut()
        && let (Presented::Certificate(certificate), Some(trust)) = (inputs.facts.presented, inputs.trust)
    {
        response.cause.chain = trust.known_failure(certificate, program.used.revocation, inputs.now);
    }
    decision
}

/// The response to a certificate that cannot be read. Expressions would see null, and a document may accept requests
/// without a certificate.
fn unreadable() -> DocumentResponse {
    DocumentResponse {
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

/// Continues with the next element, or ends with a response.
type StepResult = Result<ControlFlow<Box<DocumentResponse>>, Box<Failure>>;

/// State of the execution for one request.
struct Execution<'r, 'l> {
    inputs: &'r Inputs<'r>,
    state: State<'r>,
    section: Section,
    /// Names of changed request headers.
    changed: Vec<HeaderName>,
    response_changes: Vec<ResponseChange>,
    forwarding: Forwarding,
    /// Identity of the backend chosen last; `authentication-certificate` takes precedence.
    backend_identity: Option<&'r ChosenIdentity>,
    /// The response that `on-error` changes.
    error_response: Option<DocumentResponse>,
    /// True if a rule that could have rejected the request has read the certificate.
    has_judged: bool,
    /// True if a validation has proven the certificate.
    has_proved: bool,
    /// True if a validation failed and was ignored.
    has_ignored_failure: bool,
    /// Rejections are withheld, and the next element runs.
    is_shadow: bool,
    /// The first withheld rejection.
    withheld: Option<Box<DocumentResponse>>,
    lines: Option<&'l mut Vec<ExplanationLine>>,
    depth: usize,
}

impl<'r> Execution<'r, '_> {
    fn request(mut self, program: &'r Program) -> DocumentDecision {
        for section in [Section::Inbound, Section::Outbound] {
            self.section = section;
            match self.steps(program.section(section)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(response)) => return DocumentDecision::Respond(*response),
                Err(failure) => return DocumentDecision::Respond(self.fail(*failure, program)),
            }
        }
        if self.forwarding.identity.is_none() {
            self.forwarding.identity = self.backend_identity.cloned();
        }
        let headers = self.state.headers.take();
        if let Some(headers) = &headers {
            let values = |name: &HeaderName| headers.get_all(name).iter().cloned().collect();
            self.forwarding.headers = self.changed.iter().map(|name| (name.clone(), values(name))).collect();
        }
        let has_certificate = matches!(self.inputs.facts.presented, Presented::Certificate(_));
        let is_admitted =
            has_certificate && self.has_judged && !self.has_ignored_failure && self.withheld.is_none();
        let variables = self.state.variables.iter().filter_map(|variable| match &variable.value {
            Value::Text(text) => Some((variable.name.into(), text.clone().into_owned())),
            _ => None,
        });
        DocumentDecision::Forward(Forward {
            variables: variables.collect(),
            headers,
            forwarding: self.forwarding,
            response: self.response_changes,
            admits: is_admitted.then(|| Verification::of(program.ruling.has_guard || self.has_proved)),
            withheld: self.withheld,
        })
    }

    /// Runs `on-error` on the response to a failure.
    fn fail(&mut self, failure: Failure, program: &'r Program) -> DocumentResponse {
        self.state.last_error = Some(failure.error);
        self.section = Section::OnError;
        self.depth = 0;
        let cause = failure.response.cause.clone();
        self.error_response = Some(failure.response);
        self.note(None, || "on-error runs".into());
        match self.steps(program.section(Section::OnError)) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(mut response)) => {
                response.cause = cause;
                return *response;
            }
            // A failure in `on-error` discards the changes before it.
            Err(again) => return DocumentResponse { cause, ..again.response },
        }
        self.error_response.take().unwrap_or_else(unreadable)
    }

    fn steps(&mut self, steps: &'r [Step]) -> StepResult {
        for step in steps {
            let ended = match self.step(step) {
                Ok(ControlFlow::Continue(())) => continue,
                Err(failure) if self.is_shadow => Box::new(failure.response),
                Ok(ControlFlow::Break(response)) if self.is_shadow && response.is_rejection() => response,
                ended => return ended,
            };
            self.withheld.get_or_insert(ended);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn evaluation(&mut self) -> Evaluation<'_, 'r> {
        Evaluation { inputs: self.inputs, state: &mut self.state }
    }

    fn step(&mut self, step: &'r Step) -> StepResult {
        let location = &step.location;
        let failed = |fault| Box::new(Failure::of_fault(location, &location.path, fault));
        match &step.action {
            Action::Base(program) => return self.steps(program.section(self.section)),
            Action::Choose(choose) => return self.choose(choose, location),
            Action::Return(element) => {
                let response = self.return_response(element, location).map_err(failed)?;
                self.note(location.position, || {
                    format!("return-response: {}", status_line(response.status, response.reason_phrase()))
                });
                return Ok(ControlFlow::Break(Box::new(response)));
            }
            Action::Validate(validation) => {
                let judged = validation.judge(self.inputs);
                self.explain_validation(validation, judged, location.position);
                match judged {
                    Ok(()) => {
                        self.has_judged = true;
                        self.has_proved |= validation.proves();
                    }
                    Err(_) if validation.ignore_error => self.has_ignored_failure = true,
                    Err(invalid) => return Err(Box::new(Failure::of_certificate(location, invalid))),
                }
            }
            Action::Authenticate(selection) => {
                let identity = self.identity(selection).map_err(failed)?;
                self.note(location.position, || format!("backend identity: {identity}"));
                self.forwarding.identity = Some(identity);
            }
            Action::Backend(selection) => {
                let (uri, id, identity) = match &selection.value {
                    Template::Literal(BackendTarget { id, backend }) => {
                        (backend.base_url().clone(), id.clone(), backend.identity())
                    }
                    Template::Expression(expression) => {
                        let text = self.expression_text(expression).map_err(failed)?;
                        let uri = text.and_then(|text| base_url(&text));
                        let uri = uri.ok_or(Fault::Format("The value is not a base URL.")).map_err(failed)?;
                        (uri, None, None)
                    }
                };
                self.explain_backend(id.as_deref(), identity, &uri, location.position);
                self.forwarding.base_url = Some(uri);
                self.forwarding.backend = id;
                self.backend_identity = identity;
            }
            Action::Header(change) => self.change_header(change, location).map_err(failed)?,
            Action::Variable(name, template) => {
                self.set_variable(name, template).map_err(failed)?;
                self.explain_variable(name, location.position);
            }
            Action::Status(status, reason) => {
                if let Some(response) = &mut self.error_response {
                    (response.status, response.reason) = (*status, reason.clone());
                }
            }
            Action::Body(template) => {
                let body = self.text(template).map_err(failed)?.unwrap_or_default();
                if let Some(response) = &mut self.error_response {
                    response.body = Bytes::from(body.into_owned());
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Runs the first branch whose condition is true.
    fn choose(&mut self, choose: &'r Choose, location: &'r ElementLocation) -> StepResult {
        for branch in &choose.branches {
            let holds = match &branch.condition {
                Template::Literal(holds) => *holds,
                Template::Expression(expression) => {
                    self.state.certificate_read = false;
                    self.state.trace = self.lines.is_some().then(Trace::default);
                    let holds = self.evaluation().condition(&expression.root);
                    self.has_judged |= branch.decides_rejection && self.state.certificate_read;
                    self.explain_condition(expression, &holds, branch.position);
                    holds.map_err(|fault| {
                        let mut failure = Failure::of_fault(location, &branch.path, fault);
                        // Operators see the `when`; `context.LastError` keeps the `choose`.
                        let cause = &mut failure.response.cause;
                        (cause.element, cause.position) = ("when", branch.position);
                        Box::new(failure)
                    })?
                }
            };
            if holds {
                return self.nested(|execution| execution.steps(&branch.steps));
            }
        }
        match &choose.otherwise {
            Some(steps) => {
                self.note(None, || "otherwise: branch taken".into());
                self.nested(|execution| execution.steps(steps))
            }
            None => Ok(ControlFlow::Continue(())),
        }
    }

    fn nested(&mut self, run: impl FnOnce(&mut Self) -> StepResult) -> StepResult {
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }
}
