//! Elements of a document, compiled. Whatever is not listed here is an error.

mod authentication;
mod backend;
mod choice;
mod choose;
mod nobody;
mod respond;
mod sections;
mod set;
mod unsupported;
pub(crate) mod validate;
mod variables;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{
    backend::Backend,
    deployment::Deployment,
    error::{FindingKind, Findings, Position, short},
    expression::{self, Base, Dependencies, Expression, Scope, Type},
    program::{Action, CertificateKey, CertificateReference, Place, Program, Section, Step, Template},
    reader::{Attribute, Element, Text},
};
use crate::policy::TrustAnchors;

/// What a document is compiled against.
#[derive(Debug)]
pub(crate) struct Compiler<'a> {
    pub(crate) findings: Findings,
    pub(crate) trust: Option<&'a TrustAnchors>,
    pub(crate) scope: Scope,
    pub(crate) deployment: Option<&'a dyn Deployment>,
    /// Whether a certificate that is named literally must be there now.
    pub(crate) only_known: bool,
    /// Whether certificates may be admitted that nothing proves.
    pub(crate) allow_unanchored: bool,
    /// Whether no private key may stand in the text.
    pub(crate) refuses_keys: bool,
    pub(crate) base: Option<Arc<Program>>,
    pub(crate) scope_name: &'static str,
    pub(crate) section: Section,
    /// Backends by their ids.
    pub(crate) backends: &'a BTreeMap<Arc<str>, Backend>,
    /// Identities that are named, with their places.
    pub(crate) named: Vec<CertificateReference>,
    pub(crate) facts: Facts,
}

/// What the compiled document does, for warnings about it as a whole.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What conditions and validations that can refuse look at.
    pub(crate) judged: Dependencies,
    /// What anything looks at.
    pub(crate) used: Dependencies,
    pub(crate) set_variables: HashMap<Arc<str>, Dependencies>,
    /// Variables of which the values of variables are made.
    pub(crate) made_of: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// Variables that decide as whom, or where, the backend is called.
    pub(crate) deciding_variables: HashSet<Arc<str>>,
    /// Where variables are set, and from what.
    pub(crate) settings: Vec<(Arc<str>, Dependencies, Position)>,
    /// Where the certificate decides as whom, or where, the backend is called: element, attribute, and whether what
    /// is written in it does, and not its thumbprint alone.
    pub(crate) certificate_decides: Vec<(Position, Position, bool)>,
    /// Where a variable is made of it by which the document above decides that.
    pub(crate) certificate_decides_above: Vec<(Position, bool)>,
    pub(crate) read_variables: Vec<(Arc<str>, Position)>,
    pub(crate) includes_base: bool,
    /// The first `<base />` of `<inbound>` that stands for nothing.
    pub(crate) empty_base: Option<Position>,
}

/// The children of an element that holds policies: they are judged when they are compiled.
const ANY: &[&str] = &["*"];

impl Compiler<'_> {
    /// The elements of a section or a branch.
    fn steps(&mut self, elements: &[Element], above: &str) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for element in elements {
            let number = numbers.entry(&element.name).or_default();
            *number += 1;
            let path = match above {
                "" => format!("{}[{number}]", element.name),
                above => format!("{above}/{}[{number}]", element.name),
            };
            if let Some(action) = self.action(element, &path) {
                let place = Place {
                    position: element.position,
                    element: known_name(&element.name),
                    path,
                    id: element.attribute("id").map(|id| id.value.value.clone()),
                    section: self.section,
                    scope: self.scope_name,
                };
                steps.push(Step { place, action });
            }
        }
        self.lint_order(&steps);
        steps
    }

    /// Elements that never run, and choices that never count, among others of the same list.
    fn lint_order(&mut self, steps: &[Step]) {
        for pair in steps.windows(2) {
            if let [Step { place, action: Action::Return(_) }, next] = pair {
                let line = place.position.line;
                let message =
                    format!("this never runs: <return-response> in line {line} has answered by then");
                self.findings.warn(next.place.position, message);
            }
        }
        let is_choice: [fn(&Action) -> bool; 3] = [
            |action| matches!(action, Action::Authenticate(_)),
            |action| matches!(action, Action::Backend(_)),
            |action| matches!(action, Action::Body(_)),
        ];
        for is_choice in is_choice {
            let mut choices = steps.iter().filter(|step| is_choice(&step.action)).rev();
            let Some(last) = choices.next() else { continue };
            for earlier in choices {
                let line = last.place.position.line;
                let message = format!("this has no effect: <{}> in line {line} counts", last.place.element);
                self.findings.warn(earlier.place.position, message);
            }
        }
    }

    fn action(&mut self, element: &Element, path: &str) -> Option<Action> {
        let is_error = self.section == Section::OnError;
        let is_inbound = self.section == Section::Inbound;
        match element.name.as_str() {
            "base" if path.contains('/') => self.error(element, "<base> stands directly in a section"),
            "base" => self.include_base(element),
            "choose" => self.choose(element, path),
            "return-response" if self.section == Section::Outbound => {
                self.error(element, "<return-response> in <outbound> is not supported: answer in <inbound>")
            }
            "return-response" => self.return_response(element),
            "set-header" => self.set_header(element).map(Action::Header),
            "set-variable" => self.set_variable(element),
            "set-status" if is_error => {
                self.set_status(element).map(|(status, reason)| Action::Status(status, reason))
            }
            "set-body" if is_error => self.set_body(element).map(Action::Body),
            "validate-client-certificate" | "authentication-certificate" | "set-backend-service"
                if !is_inbound =>
            {
                let message = format!("<{}> stands in <inbound>", element.name);
                self.error(element, message)
            }
            "validate-client-certificate" => self.validate_client_certificate(element),
            "authentication-certificate" => self.authentication_certificate(element),
            "set-backend-service" => self.set_backend_service(element),
            other => {
                if let Some((name, remedy)) = unsupported::remedy(other) {
                    let problem = format!("<{other}> is not supported here");
                    let kind = FindingKind::Element(name);
                    self.findings.error_about(kind, element.position, &problem, remedy);
                    return None;
                }
                let message = match unsupported::meant(other).filter(|meant| *meant != other) {
                    Some(meant) => format!("<{other}> is not known: did you mean <{meant}>?"),
                    None => format!(
                        "<{other}> is not supported, so what it demands would not be enforced: remove it, or do it in the \
                         backend"
                    ),
                };
                self.error(element, message)
            }
        }
    }

    fn include_base(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &[], &[]);
        let decides = self.base.as_ref().is_some_and(|base| !base.deciding_variables.is_empty());
        if decides && self.facts.includes_base && self.section == Section::Inbound {
            let message = "<base /> stands here again, and the document above decides by variables as whom, or where, the \
                           backend is called: what it set itself would decide the second time";
            return self.error(element, message);
        }
        self.facts.includes_base = true;
        if self.base.is_none() && self.section == Section::Inbound {
            self.facts.empty_base.get_or_insert(element.position);
        }
        Some(Action::Base(self.base.clone().unwrap_or_default()))
    }

    fn error<T>(&mut self, element: &Element, message: impl Into<String>) -> Option<T> {
        self.findings.error(element.position, message);
        None
    }

    /// Complains about attributes and children that are not known, texts between elements, and named values.
    fn check_shape(&mut self, element: &Element, attributes: &[&str], children: &[&str]) {
        for attribute in &element.attributes {
            if !attributes.contains(&attribute.name.as_str()) && attribute.name != "id" {
                self.unknown_attribute(element, attribute, attributes);
            }
            self.check_plain(&attribute.value);
        }
        for child in element.children.iter().filter(|_| children != ANY) {
            if !children.contains(&child.name.as_str()) {
                let mut message = format!("<{}> does not stand in <{}>", child.name, element.name);
                if let [first, more @ ..] = children {
                    let all: Vec<_> = more.iter().map(|known| format!(", <{known}>")).collect();
                    let do_it = if more.is_empty() { "does" } else { "do" };
                    message.push_str(&format!(": <{first}>{} {do_it}", all.concat()));
                }
                self.findings.error(child.position, message);
            }
        }
        let may_hold_text = children.is_empty() && holds_text(&element.name);
        if !may_hold_text && !element.text.value.trim().is_empty() {
            self.findings.error(element.text.start(), format!("a text does not stand in <{}>", element.name));
        }
    }

    fn unknown_attribute(&mut self, element: &Element, attribute: &Attribute, known: &[&str]) {
        let Attribute { name, position, .. } = attribute;
        let problem = format!("attribute {name} of <{}> is not supported", element.name);
        if element.name == "forward-request" && matches!(name.as_str(), "timeout" | "timeout-ms") {
            let remedy =
                "leave it out: the server's own limits say how long a backend may take, not the document";
            self.findings.error_about(FindingKind::Timeout, *position, &problem, remedy);
            return;
        }
        let known = match known {
            [] => "it has none".to_owned(),
            [only] => format!("only {only} is"),
            known => format!("{} are", known.join(", ")),
        };
        self.findings.error(*position, format!("{problem}: {known}"));
    }

    /// Refuses a named value, which APIM fills in; here it would be taken as it stands. What else would be wrong with the
    /// text as it stands is no news then.
    fn refuse_named_value(&mut self, text: &Text) -> bool {
        let Some(start) = named_value(&text.value) else { return false };
        let message = "named values {{...}} are not supported: write the value in its place";
        self.findings.error(text.position(start), message);
        true
    }

    fn check_plain(&mut self, text: &Text) {
        self.refuse_named_value(text);
        if !expression::is_expression(&text.value)
            && let Some(start) = text.value.find("@(").or_else(|| text.value.find("@{"))
        {
            let message = "an expression is the whole value: write $\"...\" or + inside of it to join texts";
            self.findings.error(text.position(start), message);
        }
    }

    /// Remembers a certificate that the document names itself.
    fn name(&mut self, named: CertificateKey, position: Position, is_shown: bool) {
        self.named.push(CertificateReference { named, position, is_shown, backend: None });
    }

    /// An attribute that must be there and must not be empty.
    fn required<'e>(&mut self, element: &'e Element, name: &str) -> Option<&'e Attribute> {
        match element.attribute(name) {
            Some(attribute) if self.refuse_named_value(&attribute.value) => None,
            Some(attribute) if !attribute.value.value.trim().is_empty() => Some(attribute),
            Some(attribute) => {
                self.findings.error(attribute.position, format!("{name} is empty"));
                None
            }
            None => self.error(element, format!("<{}> needs the attribute {name}", element.name)),
        }
    }

    /// An attribute that is no expression.
    fn literal<'e>(&mut self, attribute: &'e Attribute) -> Option<&'e str> {
        if self.refuse_named_value(&attribute.value) {
            return None;
        }
        if expression::is_expression(&attribute.value.value) {
            let message =
                format!("{} must be written out: an expression is not supported here", attribute.name);
            self.findings.error(attribute.position, message);
            return None;
        }
        Some(&attribute.value.value)
    }

    fn flag(&mut self, element: &Element, name: &str, default: bool) -> Option<bool> {
        let Some(attribute) = element.attribute(name) else { return Some(default) };
        match self.literal(attribute)? {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                let message = format!("{name} is true or false, not {:?}", short(other));
                self.findings.error(attribute.position, message);
                None
            }
        }
    }

    fn compile(&mut self, text: &Text, wanted: Type) -> Option<Expression> {
        if self.refuse_named_value(text) {
            return None;
        }
        let scope = Scope { has_error: self.section == Section::OnError, ..self.scope };
        let mut compiled = expression::compile(text, wanted, scope, &mut self.findings)?;
        compiled.dependencies.content |=
            compiled.dependencies.certificate && choice::takes_apart(&compiled.root);
        // What a variable was made of is what this is made of.
        for name in &self.what_variables_are_made_of(&compiled.reads) {
            let above = self.base.as_ref().and_then(|base| base.set_variables.get(name));
            for made_of in self.facts.set_variables.get(name).into_iter().chain(above) {
                compiled.dependencies = compiled.dependencies.and(*made_of);
            }
        }
        self.facts.used = self.facts.used.and(compiled.dependencies);
        self.facts.read_variables.extend(compiled.variables.iter().cloned());
        if self.section == Section::Outbound && compiled.dependencies.time {
            let message =
                "DateTime.Now in <outbound> is not supported: take it in <inbound> with set-variable";
            self.findings.error(text.start(), message);
        }
        Some(compiled)
    }

    /// A text, or an expression for one.
    fn template(&mut self, text: &Text, wanted: Type) -> Option<Template> {
        if expression::is_expression(&text.value) {
            return Some(Template::Expression(Box::new(self.compile(text, wanted)?)));
        }
        Some(Template::Literal(text.value.as_str().into()))
    }
}

/// The byte at which a named value begins, as in `{{name}}` and in `{{{name}}}`.
fn named_value(text: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Each name is looked at once: it ends at the next brace.
    text.char_indices().map(|(start, _)| start).find(|start| {
        let inside = text.get(*start..).and_then(|rest| rest.strip_prefix("{{"));
        let after = inside.map(|inside| (inside, inside.trim_start_matches(is_part)));
        after.is_some_and(|(inside, after)| after.len() < inside.len() && after.starts_with("}}"))
    })
}

fn holds_text(element: &str) -> bool {
    matches!(element, "value" | "set-body")
}

/// The name as a constant, for places.
fn known_name(name: &str) -> &'static str {
    const NAMES: [&str; 10] = [
        "base",
        "choose",
        "return-response",
        "set-header",
        "set-variable",
        "set-status",
        "set-body",
        "validate-client-certificate",
        "authentication-certificate",
        "set-backend-service",
    ];
    NAMES.iter().find(|known| **known == name).copied().unwrap_or("policies")
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}
