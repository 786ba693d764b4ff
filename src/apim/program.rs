//! The compiled form of a document.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode, Uri};
use hyper::ext::ReasonPhrase;

use super::{
    backend::Backend,
    decision::ChosenIdentity,
    error::Position,
    expression::{Dependencies, Expression},
    guard::Ruling,
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

impl Program {
    pub(crate) fn section(&self, section: Section) -> &[Step] {
        match section {
            Section::Inbound => &self.inbound,
            Section::Outbound => &self.outbound,
            Section::OnError => &self.on_error,
            Section::Backend => &[],
        }
    }
}

impl Program {
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
        let here = |expression| (expression, self.location.position);
        match &self.action {
            Action::Choose(choose) => choose
                .branches
                .iter()
                .filter_map(|branch| match &branch.condition {
                    Condition::Expression(expression) => Some((&**expression, branch.position)),
                    Condition::Constant(_) => None,
                })
                .collect(),
            Action::Return(element) => {
                let headers = element.headers.iter().flat_map(HeaderChange::expressions);
                headers.chain(element.body.as_ref().and_then(Template::expression)).map(here).collect()
            }
            Action::Authenticate(
                IdentitySource::Id(expression, _) | IdentitySource::Thumbprint(expression, _),
            )
            | Action::Backend(BackendTarget::Expression(expression, _)) => vec![here(expression)],
            Action::Header(change) => change.expressions().map(here).collect(),
            Action::Variable(_, template) | Action::Body(template) => {
                template.expression().map(here).into_iter().collect()
            }
            Action::Base(_)
            | Action::Validate(_)
            | Action::Status(..)
            | Action::Authenticate(IdentitySource::Fixed(_))
            | Action::Backend(BackendTarget::Fixed(_) | BackendTarget::Backend(..)) => Vec::new(),
        }
    }
}

impl Template {
    pub(crate) fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Expression(expression) => Some(expression),
            Self::Literal(_) => None,
        }
    }
}

impl HeaderChange {
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.values.iter().filter_map(|value| match value {
            HeaderText::Expression(expression) => Some(&**expression),
            HeaderText::Literal(_) => None,
        })
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
    Authenticate(IdentitySource),
    Backend(BackendTarget),
    Header(HeaderChange),
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
    pub(crate) condition: Condition,
    pub(crate) steps: Vec<Step>,
    /// True if this branch or a later one can reject the request, so that the condition decides about it.
    pub(crate) decides_rejection: bool,
}

#[derive(Debug)]
pub(crate) enum Condition {
    Constant(bool),
    Expression(Box<Expression>),
}

/// The element `return-response`.
#[derive(Debug)]
pub(crate) struct ReturnResponse {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<ReasonPhrase>,
    pub(crate) headers: Vec<HeaderChange>,
    pub(crate) body: Option<Template>,
}

/// A literal or an expression for a string; null yields none.
#[derive(Debug)]
pub(crate) enum Template {
    Literal(Arc<str>),
    Expression(Box<Expression>),
}

#[derive(Debug)]
pub(crate) struct HeaderChange {
    pub(crate) name: HeaderName,
    pub(crate) mode: HeaderMode,
    pub(crate) values: Vec<HeaderText>,
}

#[derive(Debug)]
pub(crate) enum HeaderText {
    Literal(HeaderValue),
    Expression(Box<Expression>),
}

/// The attribute `exists-action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderMode {
    Override,
    Skip,
    Append,
    Delete,
}

#[derive(Debug)]
pub(crate) enum IdentitySource {
    Fixed(ChosenIdentity),
    /// An expression for an id, with the position of the attribute.
    Id(Box<Expression>, Position),
    /// An expression for a thumbprint, with the position of the attribute.
    Thumbprint(Box<Expression>, Position),
}

#[derive(Debug)]
pub(crate) enum BackendTarget {
    Fixed(Uri),
    /// An expression for a URL, with the position of the attribute.
    Expression(Box<Expression>, Position),
    /// A configured backend, with its id.
    Backend(Arc<str>, Backend),
}

impl BackendTarget {
    /// Returns the URL if it is known at load.
    pub(crate) fn known_url(&self) -> Option<&Uri> {
        match self {
            Self::Fixed(uri) => Some(uri),
            Self::Backend(_, backend) => Some(backend.base_url()),
            Self::Expression(..) => None,
        }
    }

    /// Returns the backend id.
    pub(crate) fn id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Backend(id, _) => Some(id),
            Self::Fixed(_) | Self::Expression(..) => None,
        }
    }

    /// Returns the identity of the backend.
    pub(crate) fn identity(&self) -> Option<&ChosenIdentity> {
        match self {
            Self::Backend(_, backend) => backend.identity(),
            Self::Fixed(_) | Self::Expression(..) => None,
        }
    }
}

/// A literal reference to a certificate, checked against the deployment.
#[derive(Debug, Clone)]
pub(crate) struct CertificateReference {
    pub(crate) key: CertificateKey,
    pub(crate) position: Position,
    /// True if the certificate is presented to backends, which needs its private key; otherwise it is an issuer.
    pub(crate) needs_private_key: bool,
    /// The backend with this identity. None if the document names it directly.
    pub(crate) backend: Option<Arc<str>>,
}

/// The key of a certificate in the deployment.
#[derive(Debug, Clone)]
pub(crate) enum CertificateKey {
    Id(Arc<str>),
    Thumbprint(Thumbprint),
}

impl CertificateKey {
    /// Returns the key of an identity. None for an embedded one.
    pub(crate) fn of(identity: &ChosenIdentity) -> Option<Self> {
        match identity {
            ChosenIdentity::Id(id) => Some(Self::Id(id.clone())),
            ChosenIdentity::Thumbprint(thumbprint) => Some(Self::Thumbprint(*thumbprint)),
            #[cfg(feature = "identity")]
            ChosenIdentity::Embedded(_) => None,
        }
    }
}
