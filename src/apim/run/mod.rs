//! A compiled document, run for one request.

mod explain;
pub(crate) mod headers;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use self::headers::{ResponseChange, apply};
use super::{
    document::Inner,
    elements::{base_url, validate::Invalid},
    error::Position,
    explain::Line,
    expression::{Evaluated, Evaluation, Expression, Fault, Inputs, LastError, State, Value, Variable},
    facts::RequestFacts,
    outcome::{Answer, Cause, ChosenIdentity, Forward, Forwarding, Outcome},
    program::{
        Action, Choose, Condition, HeaderChange, HeaderText, IdentitySource, Place, Reply, Section, Step,
        Target, Template,
    },
};
use crate::certificate::{Presented, Thumbprint, Timestamp};

/// Decides about a request; `lines` is told what happened, for explanations.
pub(crate) fn evaluate(
    document: &Inner,
    facts: &RequestFacts<'_>,
    now: Timestamp,
    lines: Option<&mut Vec<Line>>,
) -> Outcome {
    let inputs = Inputs::new(*facts, now, document.trust.as_ref(), document.deployment.as_deref());
    let run = Run {
        inputs: &inputs,
        state: State::default(),
        section: Section::Inbound,
        changed: Vec::new(),
        response: Vec::new(),
        forwarding: Forwarding::default(),
        answer: None,
        judged: false,
        ignored: false,
        lines,
        depth: 0,
    };
    run.request(document)
}

/// Whether the next element runs.
enum Flow {
    Go,
    End(Box<Answer>),
}

/// Why the section was left.
struct Failure {
    error: LastError,
    position: Position,
    element: &'static str,
    status: StatusCode,
    body: String,
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
    /// The answer that `on-error` works on.
    answer: Option<Answer>,
    /// A rule that could have refused the request looked at the certificate.
    judged: bool,
    /// A validation failed and was ignored.
    ignored: bool,
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
        let headers = self.state.headers.take();
        if let Some(headers) = &headers {
            let values = |name: &HeaderName| headers.get_all(name).iter().cloned().collect();
            self.forwarding.headers =
                self.changed.drain(..).map(|name| (values(&name), name)).map(|(v, n)| (n, v)).collect();
        }
        let has_certificate = matches!(self.inputs.facts.presented, Presented::Certificate(_));
        let variables = self.state.variables.iter().filter_map(|variable| match &variable.value {
            Value::Text(text) => Some((variable.name.into(), text.clone().into_owned())),
            _ => None,
        });
        Outcome::Forward(Forward {
            variables: variables.collect(),
            headers,
            forwarding: self.forwarding,
            response: self.response,
            admits: has_certificate && self.judged && !self.ignored,
        })
    }

    /// Runs `on-error` on the answer that a failure makes.
    fn fail(&mut self, failure: Failure, document: &'r Inner) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let cause = Cause {
            position: failure.position,
            element: failure.element,
            code: Some(failure.error.reason),
            message: failure.error.message.clone(),
        };
        let plain = |headers: HeaderMap, cause: Cause, status: StatusCode, body: String| Answer {
            status,
            reason: None,
            headers,
            body: Bytes::from(body),
            cause,
        };
        self.state.last_error = Some(failure.error);
        self.section = Section::OnError;
        self.depth = 0;
        self.answer = Some(plain(headers.clone(), cause.clone(), failure.status, failure.body));
        self.note(|| "on-error runs".into());
        match self.steps(document.program.section(Section::OnError)) {
            Ok(Flow::Go) => {}
            Ok(Flow::End(mut answer)) => {
                answer.cause = cause;
                return *answer;
            }
            Err(again) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                return plain(headers, cause, status, again.body);
            }
        }
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        self.answer
            .take()
            .unwrap_or_else(|| plain(headers, cause, status, json(status, "Internal server error")))
    }

    fn steps(&mut self, steps: &'r [Step]) -> Ran {
        for step in steps {
            if let Flow::End(answer) = self.step(step)? {
                return Ok(Flow::End(answer));
            }
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
                self.note_at(place.position, || format!("return-response answers {}", answer.status));
                return Ok(Flow::End(Box::new(answer)));
            }
            Action::Validate(validation) => {
                self.state.saw_certificate = true;
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
                self.note_at(place.position, || format!("the back end is called as {identity:?}"));
                self.forwarding.identity = Some(identity);
            }
            Action::Backend(target) => {
                let uri = self.target(target).map_err(failed)?;
                self.note_at(place.position, || format!("the request goes to {uri}"));
                self.forwarding.base_url = Some(uri);
            }
            Action::Header(change) => self.change_header(change, place).map_err(failed)?,
            Action::Variable(name, template) => {
                let set = self.set_variable(name, template);
                set.map_err(failed)?;
                self.note_at(place.position, || format!("variable {name:?} is set"));
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

    fn choose(&mut self, choose: &'r Choose, place: &'r Place) -> Ran {
        for branch in &choose.branches {
            let holds = match &branch.condition {
                Condition::Constant(holds) => *holds,
                Condition::Expression(expression) => {
                    self.state.saw_certificate = false;
                    let holds = self.evaluation().condition(&expression.root);
                    self.judged |= choose.can_refuse && self.state.saw_certificate;
                    self.explain_condition(expression, &holds, branch.position);
                    holds.map_err(|fault| Box::new(Failure::of_fault(place, &branch.path, fault)))?
                }
            };
            if holds {
                return self.deeper(|run| run.steps(&branch.steps));
            }
        }
        match &choose.otherwise {
            Some(steps) => {
                self.note(|| "otherwise applies".into());
                self.deeper(|run| run.steps(steps))
            }
            None => Ok(Flow::Go),
        }
    }

    fn deeper(&mut self, run: impl FnOnce(&mut Self) -> Ran) -> Ran {
        self.depth += 1;
        let ran = run(self);
        self.depth -= 1;
        ran
    }

    fn reply(&mut self, reply: &'r Reply, place: &Place) -> Evaluated<Answer> {
        let mut headers = HeaderMap::new();
        for change in &reply.headers {
            let values = self.header_values(change)?;
            apply(&mut headers, &change.name, change.mode, &values);
        }
        let body = match &reply.body {
            Some(template) => self.text(template)?.unwrap_or_default().into_owned(),
            None => String::new(),
        };
        Ok(Answer {
            status: reply.status,
            reason: reply.reason.clone(),
            headers,
            body: Bytes::from(body),
            cause: Cause {
                position: place.position,
                element: place.element,
                code: None,
                message: String::new(),
            },
        })
    }

    fn expression_text(&mut self, expression: &'r Expression) -> Evaluated<Option<Cow<'r, str>>> {
        match self.evaluation().value(&expression.root)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(Fault::InvalidCast),
        }
    }

    fn text(&mut self, template: &'r Template) -> Evaluated<Option<Cow<'r, str>>> {
        match template {
            Template::Literal(text) => Ok(Some(Cow::Borrowed(text))),
            Template::Expression(expression) => self.expression_text(expression),
        }
    }

    fn header_values(&mut self, change: &'r HeaderChange) -> Evaluated<Vec<HeaderValue>> {
        const INVALID: Fault = Fault::Format("The value holds a character that no header may hold.");
        let mut values = Vec::with_capacity(change.values.len());
        for value in &change.values {
            values.push(match value {
                HeaderText::Literal(value) => value.clone(),
                HeaderText::Expression(expression) => match self.expression_text(expression)? {
                    Some(text) => HeaderValue::from_bytes(text.as_bytes()).map_err(|_| INVALID)?,
                    None => continue,
                },
            });
        }
        Ok(values)
    }

    fn change_header(&mut self, change: &'r HeaderChange, place: &Place) -> Evaluated<()> {
        let values = self.header_values(change)?;
        self.note_at(place.position, || match values.first() {
            Some(first) => format!("header {} is set to {first:?}", change.name),
            None => format!("header {} is removed", change.name),
        });
        match self.section {
            Section::OnError => {
                if let Some(answer) = &mut self.answer {
                    apply(&mut answer.headers, &change.name, change.mode, &values);
                }
            }
            Section::Outbound => {
                self.response.push(ResponseChange { name: change.name.clone(), mode: change.mode, values });
            }
            Section::Inbound | Section::Backend => {
                let headers = self.state.headers.get_or_insert_with(|| self.inputs.facts.headers.clone());
                apply(headers, &change.name, change.mode, &values);
                if !self.changed.contains(&change.name) {
                    self.changed.push(change.name.clone());
                }
            }
        }
        Ok(())
    }

    fn set_variable(&mut self, name: &'r str, template: &'r Template) -> Evaluated<()> {
        self.state.saw_certificate = false;
        let value = match template {
            Template::Literal(text) => Value::Text(Cow::Borrowed(&**text)),
            Template::Expression(expression) => self.evaluation().value(&expression.root)?,
        };
        let variable = Variable { name, value, is_of_certificate: self.state.saw_certificate };
        match self.state.variables.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = variable,
            None => self.state.variables.push(variable),
        }
        Ok(())
    }

    fn identity(&mut self, source: &'r IdentitySource) -> Evaluated<ChosenIdentity> {
        const NONE: Fault = Fault::Format("The expression names no certificate.");
        match source {
            IdentitySource::Fixed(identity) => Ok(identity.clone()),
            IdentitySource::Id(expression) => match self.expression_text(expression)? {
                Some(id) if !id.is_empty() => Ok(ChosenIdentity::Id(id.into())),
                _ => Err(NONE),
            },
            IdentitySource::Thumbprint(expression) => {
                let text = self.expression_text(expression)?.ok_or(NONE)?;
                match text.parse::<Thumbprint>() {
                    Ok(thumbprint @ Thumbprint::Sha1(_)) => Ok(ChosenIdentity::Thumbprint(thumbprint)),
                    _ => Err(NONE),
                }
            }
        }
    }

    fn target(&mut self, target: &'r Target) -> Evaluated<http::Uri> {
        match target {
            Target::Fixed(uri) => Ok(uri.clone()),
            Target::Expression(expression) => {
                let text = self.expression_text(expression)?;
                text.and_then(|text| base_url(&text))
                    .ok_or(Fault::Format("The expression yields no base URL."))
            }
        }
    }
}

impl Failure {
    fn of_fault(place: &Place, path: &str, fault: Fault) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self {
            error: LastError {
                source: place.element.to_owned(),
                reason: "ExpressionValueEvaluationFailure",
                message: format!("Expression evaluation failed. {}", fault.message()),
                scope: place.scope,
                section: place.section.as_str(),
                path: path.to_owned(),
                policy_id: place.id.clone(),
            },
            position: place.position,
            element: place.element,
            status,
            body: json(status, "Internal server error"),
        }
    }

    fn of_certificate(place: &Place, invalid: Invalid) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        Self {
            error: LastError {
                source: place.element.to_owned(),
                reason: invalid.code,
                message: invalid.message.to_owned(),
                scope: place.scope,
                section: place.section.as_str(),
                path: place.path.clone(),
                policy_id: place.id.clone(),
            },
            position: place.position,
            element: place.element,
            status,
            body: json(status, invalid.answer),
        }
    }
}
