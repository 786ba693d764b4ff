//! The compiled form of a document.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

use super::{
    backend::{Backend, ChosenIdentity},
    error::Position,
    expression::{Dependencies, Expression},
    headers::HeaderChange,
    validation::Validation,
};
use crate::certificate::Thumbprint;

/// The sections of a document.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) inbound: Vec<Step>,
    pub(crate) outbound: Vec<Step>,
    pub(crate) on_error: Vec<Step>,
    /// Inputs that any element reads, including the base document.
    pub(crate) used: Dependencies,
    /// Result of the guard rule.
    pub(crate) ruling: Ruling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Inbound,
    Backend,
    Outbound,
    OnError,
}

impl Section {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Backend => "backend",
            Self::Outbound => "outbound",
            Self::OnError => "on-error",
        }
    }
}

/// Result of the guard rule for the composed `<inbound>`.
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

impl Program {
    pub(crate) fn section(&self, section: Section) -> &[Step] {
        match section {
            Section::Inbound => &self.inbound,
            Section::Outbound => &self.outbound,
            Section::OnError => &self.on_error,
            Section::Backend => &[],
        }
    }

    /// Returns true if an element checks revocation without a chain, which has an effect only with revocation lists.
    pub(crate) fn checks_revocation_without_chain(&self) -> bool {
        let mut found = false;
        self.visit(&mut |step| {
            found |= matches!(&step.action, Action::Validate(it) if it.revocation && !it.trust);
        });
        found
    }

    /// Visits every element in document order; elements of the base document at its first `<base />`.
    pub(crate) fn visit<'p>(&'p self, visitor: &mut impl FnMut(&'p Step)) {
        for section in [Section::Inbound, Section::Outbound, Section::OnError] {
            visit(self.section(section), section, &mut Vec::new(), visitor);
        }
    }
}

/// Visits the elements of a section. A base document is visited once, however often it is included.
fn visit<'p>(
    steps: &'p [Step],
    section: Section,
    visited: &mut Vec<*const Program>,
    visitor: &mut impl FnMut(&'p Step),
) {
    for step in steps {
        visitor(step);
        match &step.action {
            Action::Base(base) if !visited.contains(&Arc::as_ptr(base)) => {
                visited.push(Arc::as_ptr(base));
                visit(base.section(section), section, visited, visitor);
            }
            Action::Choose(choose) => {
                for branch in &choose.branches {
                    visit(&branch.steps, section, visited, visitor);
                }
                visit(choose.otherwise.as_deref().unwrap_or_default(), section, visited, visitor);
            }
            _ => {}
        }
    }
}

/// One element.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) location: ElementLocation,
    pub(crate) action: Action,
}

impl Step {
    /// Returns the expressions of the element, without those of nested elements, with their positions.
    pub(crate) fn expressions(&self) -> Vec<(&Expression, Position)> {
        let found: Vec<_> = match &self.action {
            Action::Choose(choose) => {
                let conditions = choose.branches.iter();
                return conditions
                    .filter_map(|branch| Some((branch.condition.expression()?, branch.position)))
                    .collect();
            }
            Action::Return(element) => {
                let body = element.body.as_ref().and_then(Template::expression);
                element.headers.iter().flat_map(HeaderTemplate::expressions).chain(body).collect()
            }
            Action::Authenticate(selection) => selection.value.expression().into_iter().collect(),
            Action::Backend(selection) => selection.value.expression().into_iter().collect(),
            Action::Header(change) => change.expressions().collect(),
            Action::Variable(_, template) | Action::Body(template) => {
                template.expression().into_iter().collect()
            }
            Action::Base(_) | Action::Validate(_) | Action::Status(..) => Vec::new(),
        };
        found.into_iter().map(|expression| (expression, self.location.position)).collect()
    }
}

/// The location of an element, as reported by `context.LastError`.
#[derive(Debug)]
pub(crate) struct ElementLocation {
    pub(crate) position: Position,
    pub(crate) element: &'static str,
    pub(crate) path: String,
    pub(crate) id: Option<String>,
    pub(crate) section: Section,
    pub(crate) scope: &'static str,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// The same section of the base document.
    Base(Arc<Program>),
    Choose(Choose),
    Return(Box<ReturnResponse>),
    Validate(Box<Validation>),
    Authenticate(Selection<ChosenIdentity>),
    Backend(Selection<BackendTarget>),
    Header(HeaderTemplate),
    Variable(Arc<str>, Template),
    /// Only in `on-error`.
    Status(StatusCode, Option<ReasonPhrase>),
    Body(Template),
}

#[derive(Debug)]
pub(crate) struct Choose {
    pub(crate) branches: Vec<Branch>,
    pub(crate) otherwise: Option<Vec<Step>>,
    /// True if a branch can reject the request.
    pub(crate) can_reject: bool,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) position: Position,
    pub(crate) path: String,
    pub(crate) condition: Template<bool>,
    pub(crate) steps: Vec<Step>,
    /// True if this branch or a later one can reject the request, so that the condition decides about it.
    pub(crate) decides_rejection: bool,
}

/// The element `return-response`.
#[derive(Debug)]
pub(crate) struct ReturnResponse {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<ReasonPhrase>,
    pub(crate) headers: Vec<HeaderTemplate>,
    pub(crate) body: Option<Template>,
}

/// A literal, checked at load, or an expression.
#[derive(Debug)]
pub(crate) enum Template<T = Arc<str>> {
    Literal(T),
    Expression(Box<Expression>),
}

impl<T> Template<T> {
    pub(crate) fn literal(&self) -> Option<&T> {
        match self {
            Self::Literal(literal) => Some(literal),
            Self::Expression(_) => None,
        }
    }

    pub(crate) fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Literal(_) => None,
            Self::Expression(expression) => Some(expression),
        }
    }
}

/// The element `set-header`. Null values are omitted.
pub(crate) type HeaderTemplate = HeaderChange<Template<HeaderValue>>;

impl HeaderTemplate {
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.values.iter().filter_map(Template::expression)
    }
}

/// The identity or the URL towards backends.
#[derive(Debug)]
pub(crate) struct Selection<T> {
    pub(crate) attribute: SelectionAttribute,
    pub(crate) position: Position,
    pub(crate) value: Template<T>,
}

/// The attribute of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SelectionAttribute {
    CertificateId,
    Thumbprint,
    Body,
    BaseUrl,
}

impl SelectionAttribute {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CertificateId => "certificate-id",
            Self::Thumbprint => "thumbprint",
            Self::Body => "body",
            Self::BaseUrl => "base-url",
        }
    }

    /// Returns the identity with this value.
    pub(crate) fn identity(self, value: &str) -> Option<ChosenIdentity> {
        match self {
            Self::CertificateId => (!value.is_empty()).then(|| ChosenIdentity::Id(value.into())),
            Self::Thumbprint => {
                let thumbprint = value.parse().ok().filter(|it| matches!(it, Thumbprint::Sha1(_)));
                thumbprint.map(ChosenIdentity::Thumbprint)
            }
            Self::Body | Self::BaseUrl => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct BackendTarget {
    /// Absent for a URL in the document.
    pub(crate) id: Option<Arc<str>>,
    pub(crate) backend: Backend,
}

/// A literal reference to a certificate, checked against the deployment.
#[derive(Debug)]
pub(crate) struct CertificateReference {
    pub(crate) identity: ChosenIdentity,
    pub(crate) position: Position,
    /// True if the certificate is presented to backends, which needs its private key; otherwise it is an issuer.
    pub(crate) needs_private_key: bool,
    /// The backend with this identity. None if the document names it directly.
    pub(crate) backend: Option<Arc<str>>,
}
