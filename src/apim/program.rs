//! A document compiled: what is done, in order.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use http::{HeaderName, HeaderValue, StatusCode, Uri};
use hyper::ext::ReasonPhrase;

use super::{
    backend::Backend,
    elements::validate::Validation,
    error::Position,
    expression::{Dependencies, Expression},
    outcome::ChosenIdentity,
};
use crate::certificate::Thumbprint;

/// The sections of a document.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) inbound: Vec<Step>,
    pub(crate) outbound: Vec<Step>,
    pub(crate) on_error: Vec<Step>,
    /// What anything looks at, and what rules that can refuse look at, documents above included.
    pub(crate) used: Dependencies,
    pub(crate) judged: Dependencies,
    /// Nobody comes to the end of `<inbound>` with a certificate that they made themselves.
    pub(crate) proves: bool,
    /// No certificate is admitted that its caller may have made itself.
    pub(crate) is_anchored: bool,
    /// What is chosen for the backend in `<inbound>`.
    pub(crate) chooses: Choices,
    /// The variables that are set, each with what its values are made of.
    pub(crate) set_variables: HashMap<Arc<str>, Dependencies>,
    /// Variables of which the values of variables are made.
    pub(crate) made_of: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// Variables that decide as whom, or where, the backend is called.
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
    /// Shows every element, in the order of the text; those of a document above where it runs first.
    pub(crate) fn visit<'p>(&'p self, see: &mut impl FnMut(&'p Step)) {
        for section in [Section::Inbound, Section::Outbound, Section::OnError] {
            visit(self.section(section), section, &mut Vec::new(), see);
        }
    }
}

/// Documents above may stand in a text many times, and there again others: each is shown once.
fn visit<'p>(
    steps: &'p [Step],
    section: Section,
    shown: &mut Vec<*const Program>,
    see: &mut impl FnMut(&'p Step),
) {
    for step in steps {
        see(step);
        match &step.action {
            Action::Base(above) if !shown.contains(&Arc::as_ptr(above)) => {
                shown.push(Arc::as_ptr(above));
                visit(above.section(section), section, shown, see);
            }
            Action::Choose(choose) => {
                for branch in &choose.branches {
                    visit(&branch.steps, section, shown, see);
                }
                visit(choose.otherwise.as_deref().unwrap_or_default(), section, shown, see);
            }
            _ => {}
        }
    }
}

/// One element.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) place: Place,
    pub(crate) action: Action,
}

impl Step {
    /// The expressions of the element itself, each with its place; those of elements inside of it are theirs.
    pub(crate) fn expressions(&self) -> Vec<(&Expression, Position)> {
        let here = |expression| (expression, self.place.position);
        match &self.action {
            Action::Choose(choose) => choose
                .branches
                .iter()
                .filter_map(|branch| match &branch.condition {
                    Condition::Expression(expression) => Some((expression, branch.position)),
                    Condition::Constant(_) => None,
                })
                .collect(),
            Action::Return(reply) => {
                let headers = reply.headers.iter().flat_map(HeaderChange::expressions);
                headers.chain(reply.body.as_ref().and_then(Template::expression)).map(here).collect()
            }
            Action::Authenticate(IdentitySource::Id(expression) | IdentitySource::Thumbprint(expression))
            | Action::Backend(Target::Expression(expression)) => vec![here(expression)],
            Action::Header(change) => change.expressions().map(here).collect(),
            Action::Variable(_, template) | Action::Body(template) => {
                template.expression().map(here).into_iter().collect()
            }
            Action::Base(_)
            | Action::Validate(_)
            | Action::Status(..)
            | Action::Authenticate(IdentitySource::Fixed(_))
            | Action::Backend(Target::Fixed(_) | Target::Backend(..)) => Vec::new(),
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

/// Where an element stands, as `context.LastError` tells it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) position: Position,
    pub(crate) element: &'static str,
    pub(crate) path: String,
    pub(crate) id: Option<String>,
    pub(crate) section: Section,
    pub(crate) scope: &'static str,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// The same section of the document above.
    Base(Arc<Program>),
    Choose(Choose),
    Return(Box<Reply>),
    Validate(Box<Validation>),
    Authenticate(IdentitySource),
    Backend(Target),
    Header(HeaderChange),
    Variable(Arc<str>, Template),
    /// In on-error only.
    Status(StatusCode, Option<ReasonPhrase>),
    Body(Template),
}

#[derive(Debug)]
pub(crate) struct Choose {
    pub(crate) branches: Vec<Branch>,
    pub(crate) otherwise: Option<Vec<Step>>,
    /// Whether a branch can refuse the request.
    pub(crate) can_refuse: bool,
    /// What any branch chooses, and what `otherwise` does.
    pub(crate) chooses: Choices,
    pub(crate) otherwise_chooses: Choices,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) position: Position,
    pub(crate) path: String,
    pub(crate) condition: Condition,
    pub(crate) steps: Vec<Step>,
    /// Whether this branch or what comes after it can refuse the request, so that passing the condition means something.
    pub(crate) decides_refusal: bool,
    pub(crate) chooses: Choices,
}

/// A variable or header that an element sets and a later condition can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot<'p> {
    Variable(&'p str),
    /// A header of the request.
    Header(&'p HeaderName),
}

impl Choose {
    /// Shows what any branch may set, `otherwise` included.
    pub(crate) fn visit_slots<'p>(&'p self, see: &mut impl FnMut(Slot<'p>)) {
        for steps in self.branches.iter().map(|branch| &branch.steps).chain(&self.otherwise) {
            visit(steps, Section::Inbound, &mut Vec::new(), &mut |step| match &step.action {
                Action::Variable(name, _) => see(Slot::Variable(name)),
                Action::Header(change) => see(Slot::Header(&change.name)),
                _ => {}
            });
        }
    }
}

/// Whether the identity is chosen, or the backend.
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
            Action::Base(above) => above.chooses,
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

    /// Whether there is nothing in the other that is not here.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.and(other) == self
    }
}

#[derive(Debug)]
pub(crate) enum Condition {
    Constant(bool),
    Expression(Expression),
}

/// `return-response`.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<ReasonPhrase>,
    pub(crate) headers: Vec<HeaderChange>,
    pub(crate) body: Option<Template>,
}

/// A text, or an expression that makes one; null makes none.
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

/// `exists-action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderMode {
    Override,
    Skip,
    Append,
    Delete,
}

impl HeaderMode {
    /// Whether what the header held before may still be there.
    pub(crate) fn keeps(self) -> bool {
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
pub(crate) enum Target {
    Fixed(Uri),
    Expression(Box<Expression>),
    /// One that is known, under its id.
    Backend(Arc<str>, Backend),
}

impl Target {
    /// The URL, if it is known at load.
    pub(crate) fn known_url(&self) -> Option<&Uri> {
        match self {
            Self::Fixed(uri) => Some(uri),
            Self::Backend(_, backend) => Some(backend.base_url()),
            Self::Expression(_) => None,
        }
    }

    /// The id by which it is named.
    pub(crate) fn id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Backend(id, _) => Some(id),
            Self::Fixed(_) | Self::Expression(_) => None,
        }
    }

    /// The identity that belongs to it.
    pub(crate) fn identity(&self) -> Option<&ChosenIdentity> {
        match self {
            Self::Backend(_, backend) => backend.identity(),
            Self::Fixed(_) | Self::Expression(_) => None,
        }
    }
}

/// Where a document names a certificate, for those who check whether it exists.
#[derive(Debug, Clone)]
pub(crate) struct CertificateReference {
    pub(crate) named: CertificateKey,
    pub(crate) position: Position,
    /// Whether it is shown to backends, which takes its private key; else it is an issuer.
    pub(crate) is_shown: bool,
    /// The backend whose identity it is. None if the document names it itself.
    pub(crate) backend: Option<Arc<str>>,
}

/// An identity that a document names.
#[derive(Debug, Clone)]
pub(crate) enum CertificateKey {
    Id(Arc<str>),
    Thumbprint(Thumbprint),
}

impl CertificateKey {
    /// What names it; nothing does where the certificate itself is there.
    pub(crate) fn of(identity: &ChosenIdentity) -> Option<Self> {
        match identity {
            ChosenIdentity::Id(id) => Some(Self::Id(id.clone())),
            ChosenIdentity::Thumbprint(thumbprint) => Some(Self::Thumbprint(*thumbprint)),
            #[cfg(feature = "identity")]
            ChosenIdentity::Embedded(_) => None,
        }
    }
}
