//! The compiled form of a document.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use http::{HeaderName, HeaderValue, StatusCode, Uri};
use hyper::ext::ReasonPhrase;

use super::{
    backend::Backend,
    decision::ChosenIdentity,
    error::Position,
    expression::{Dependencies, Expression},
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
    /// Inputs that rejecting rules read, including the base document.
    pub(crate) judged: Dependencies,
    /// True if no request passes `<inbound>` with a self-made certificate.
    pub(crate) proves: bool,
    /// True if no self-made certificate is admitted.
    pub(crate) is_anchored: bool,
    /// Choices for the backend in `<inbound>`.
    pub(crate) chooses: Choices,
    /// Variables that are set, with the inputs of their values.
    pub(crate) set_variables: HashMap<Arc<str>, Dependencies>,
    /// For each variable, the variables that its values depend on.
    pub(crate) variable_dependencies: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// Variables that identity or backend depend on.
    pub(crate) deciding_variables: HashSet<Arc<str>>,
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
                    Condition::Expression(expression) => Some((expression, branch.position)),
                    Condition::Constant(_) => None,
                })
                .collect(),
            Action::Return(element) => {
                let headers = element.headers.iter().flat_map(HeaderChange::expressions);
                headers.chain(element.body.as_ref().and_then(Template::expression)).map(here).collect()
            }
            Action::Authenticate(IdentitySource::Id(expression) | IdentitySource::Thumbprint(expression))
            | Action::Backend(BackendTarget::Expression(expression)) => vec![here(expression)],
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
    /// Choices of all branches together.
    pub(crate) chooses: Choices,
    /// Choices of `otherwise`.
    pub(crate) otherwise_chooses: Choices,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) position: Position,
    pub(crate) path: String,
    pub(crate) condition: Condition,
    pub(crate) steps: Vec<Step>,
    /// True if this branch or a later one can reject the request, so that the condition decides about it.
    pub(crate) decides_rejection: bool,
    pub(crate) chooses: Choices,
}

/// A variable or request header, set by an element and readable by later conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot<'p> {
    Variable(&'p str),
    /// A header of the request.
    Header(&'p HeaderName),
}

impl Choose {
    /// Visits the slots that any branch can set, including `otherwise`.
    pub(crate) fn visit_slots<'p>(&'p self, visitor: &mut impl FnMut(Slot<'p>)) {
        for steps in self.branches.iter().map(|branch| &branch.steps).chain(&self.otherwise) {
            visit(steps, Section::Inbound, &mut Vec::new(), &mut |step| match &step.action {
                Action::Variable(name, _) => visitor(Slot::Variable(name)),
                Action::Header(change) => visitor(Slot::Header(&change.name)),
                _ => {}
            });
        }
    }
}

/// Choices that elements can make for the backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    pub(crate) identity: bool,
    pub(crate) backend: bool,
}

impl Choices {
    pub(crate) fn of(steps: &[Step]) -> Self {
        let of_step = |step: &Step| match &step.action {
            Action::Authenticate(_) => Self { identity: true, backend: false },
            Action::Backend(_) => Self { identity: false, backend: true },
            Action::Choose(choose) => choose.chooses,
            Action::Base(base) => base.chooses,
            _ => Self::default(),
        };
        steps.iter().map(of_step).fold(Self::default(), Self::and)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { identity: self.identity || other.identity, backend: self.backend || other.backend }
    }

    pub(crate) fn any(self) -> bool {
        self.identity || self.backend
    }

    /// Returns true if all choices of `other` are included.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.and(other) == self
    }
}

#[derive(Debug)]
pub(crate) enum Condition {
    Constant(bool),
    Expression(Expression),
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

impl HeaderMode {
    /// Returns true if the previous value can remain.
    pub(crate) fn keeps_value(self) -> bool {
        matches!(self, Self::Skip | Self::Append)
    }
}

#[derive(Debug)]
pub(crate) enum IdentitySource {
    Fixed(ChosenIdentity),
    /// An expression for an id.
    Id(Box<Expression>),
    /// An expression for a thumbprint.
    Thumbprint(Box<Expression>),
}

#[derive(Debug)]
pub(crate) enum BackendTarget {
    Fixed(Uri),
    Expression(Box<Expression>),
    /// A configured backend, with its id.
    Backend(Arc<str>, Backend),
}

impl BackendTarget {
    /// Returns the URL if it is known at load.
    pub(crate) fn known_url(&self) -> Option<&Uri> {
        match self {
            Self::Fixed(uri) => Some(uri),
            Self::Backend(_, backend) => Some(backend.base_url()),
            Self::Expression(_) => None,
        }
    }

    /// Returns the backend id.
    pub(crate) fn id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Backend(id, _) => Some(id),
            Self::Fixed(_) | Self::Expression(_) => None,
        }
    }

    /// Returns the identity of the backend.
    pub(crate) fn identity(&self) -> Option<&ChosenIdentity> {
        match self {
            Self::Backend(_, backend) => backend.identity(),
            Self::Fixed(_) | Self::Expression(_) => None,
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
