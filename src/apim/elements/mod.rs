//! Compilation of elements. Any other element is an error.

mod authentication;
mod backend;
mod choose;
mod respond;
mod sections;
mod set;
mod unsupported;
mod validate;
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
    program::{
        Action, CertificateKey, CertificateReference, ElementLocation, Program, Section, Step, Template,
    },
    reader::{Attribute, Element, Text},
};
use crate::policy::TrustAnchors;

/// Compiler of one document.
#[derive(Debug)]
pub(crate) struct Compiler<'a> {
    pub(crate) findings: Findings,
    pub(crate) trust: Option<&'a TrustAnchors>,
    pub(crate) scope: Scope,
    pub(crate) deployment: Option<&'a dyn Deployment>,
    /// True if literal certificate references must exist at load.
    pub(crate) only_known_certificates: bool,
    /// True if self-made certificates may be admitted.
    pub(crate) allow_unanchored: bool,
    /// True if a private key in the text is an error.
    pub(crate) only_referenced_identities: bool,
    pub(crate) base: Option<Arc<Program>>,
    pub(crate) scope_name: &'static str,
    pub(crate) section: Section,
    /// Backends by id.
    pub(crate) backends: &'a BTreeMap<Arc<str>, Backend>,
    /// Literal certificate references.
    pub(crate) certificate_references: Vec<CertificateReference>,
    pub(crate) analysis: DocumentAnalysis,
}

/// Facts collected about the document for findings about it as a whole.
#[derive(Debug, Default)]
pub(crate) struct DocumentAnalysis {
    /// Inputs that any element reads.
    pub(crate) used: Dependencies,
    /// Names of the variables that this document sets.
    pub(crate) variables: HashSet<Arc<str>>,
    /// Reads of variables without a default.
    pub(crate) read_variables: Vec<(Arc<str>, Position)>,
    pub(crate) includes_base: bool,
    /// The first `<base />` in `<inbound>` without a base document.
    pub(crate) unresolved_base: Option<Position>,
}

/// Children of an element that contains policies, checked when they are compiled.
const ANY: &[&str] = &["*"];

impl Compiler<'_> {
    /// Compiles the elements of a section or a branch.
    fn steps(&mut self, elements: &[Element], parent: &str) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for element in elements {
            let number = numbers.entry(&element.name).or_default();
            *number += 1;
            let path = match parent {
                "" => format!("{}[{number}]", element.name),
                parent => format!("{parent}/{}[{number}]", element.name),
            };
            if let Some(action) = self.action(element, &path) {
                let location = ElementLocation {
                    position: element.position,
                    element: known_name(&element.name),
                    path,
                    id: element.attribute("id").map(|id| id.value.value.clone()),
                    section: self.section,
                    scope: self.scope_name,
                };
                steps.push(Step { location, action });
            }
        }
        self.lint_order(&steps);
        steps
    }

    /// Warns of unreachable elements, and of elements that a later one overrides.
    fn lint_order(&mut self, steps: &[Step]) {
        for pair in steps.windows(2) {
            if let [Step { location, action: Action::Return(_) }, next] = pair {
                let line = location.position.line;
                let message = format!("unreachable: <return-response> on line {line} ends the section");
                self.findings.warn(next.location.position, message);
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
                let line = last.location.position.line;
                let message = format!("no effect: <{}> on line {line} overrides it", last.location.element);
                self.findings.warn(earlier.location.position, message);
            }
        }
    }

    fn action(&mut self, element: &Element, path: &str) -> Option<Action> {
        let is_error = self.section == Section::OnError;
        let is_inbound = self.section == Section::Inbound;
        match element.name.as_str() {
            "base" if path.contains('/') => {
                self.error(element, "<base> is not allowed here; write it directly in a section")
            }
            "base" => self.include_base(element),
            "choose" => self.choose(element, path),
            "return-response" if self.section == Section::Outbound => {
                self.error(element, "<return-response> is not supported in <outbound>; move it to <inbound>")
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
                let message = format!("<{}> is only supported in <inbound>; move it there", element.name);
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
                let message = match unsupported::similar(other).filter(|similar| *similar != other) {
                    Some(similar) => format!("unknown element <{other}>; did you mean <{similar}>?"),
                    None => format!(
                        "<{other}> is not supported and would not be enforced; remove it, or implement it in the backend"
                    ),
                };
                self.error(element, message)
            }
        }
    }

    fn include_base(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &[], &[]);
        self.analysis.includes_base = true;
        if self.base.is_none() && self.section == Section::Inbound {
            self.analysis.unresolved_base.get_or_insert(element.position);
        }
        Some(Action::Base(self.base.clone().unwrap_or_default()))
    }

    fn error<T>(&mut self, element: &Element, message: impl Into<String>) -> Option<T> {
        self.findings.error(element.position, message);
        None
    }

    /// Reports unknown attributes and children, text between elements, and named values.
    fn check_shape(&mut self, element: &Element, attributes: &[&str], children: &[&str]) {
        for attribute in &element.attributes {
            if !attributes.contains(&attribute.name.as_str()) && attribute.name != "id" {
                self.unknown_attribute(element, attribute, attributes);
            }
            self.check_plain(&attribute.value);
        }
        for child in element.children.iter().filter(|_| children != ANY) {
            if !children.contains(&child.name.as_str()) {
                let mut message = format!("<{}> is not allowed in <{}>", child.name, element.name);
                if let [first, more @ ..] = children {
                    let all: Vec<_> = more.iter().map(|known| format!(", <{known}>")).collect();
                    message.push_str(&format!("; allowed: <{first}>{}", all.concat()));
                }
                self.findings.error(child.position, message);
            }
        }
        let allows_text = children.is_empty() && self::allows_text(&element.name);
        if !allows_text && !element.text.value.trim().is_empty() {
            self.findings.error(element.text.start(), format!("text is not allowed in <{}>", element.name));
        }
    }

    fn unknown_attribute(&mut self, element: &Element, attribute: &Attribute, known: &[&str]) {
        let Attribute { name, position, .. } = attribute;
        let problem = format!("attribute {name} of <{}> is not supported", element.name);
        if element.name == "forward-request" && matches!(name.as_str(), "timeout" | "timeout-ms") {
            let remedy = "remove it, since the server's own limits apply";
            self.findings.error_about(FindingKind::Timeout, *position, &problem, remedy);
            return;
        }
        let known = match known {
            [] => "the element has no attributes".to_owned(),
            [only] => format!("supported: {only}"),
            known => format!("supported: {}", known.join(", ")),
        };
        self.findings.error(*position, format!("{problem}; {known}"));
    }

    /// Reports a named value, which only APIM substitutes. Returns true if there is one; other errors of the text are then
    /// not reported.
    fn reject_named_value(&mut self, text: &Text) -> bool {
        let Some(start) = named_value(&text.value) else { return false };
        let message = "named values {{...}} are not supported; write the value";
        self.findings.error(text.position(start), message);
        true
    }

    fn check_plain(&mut self, text: &Text) {
        self.reject_named_value(text);
        if !expression::is_expression(&text.value)
            && let Some(start) = text.value.find("@(").or_else(|| text.value.find("@{"))
        {
            let message = "an expression must be the whole value; use $\"...\" or + inside it to concatenate";
            self.findings.error(text.position(start), message);
        }
    }

    /// Records a literal certificate reference.
    fn add_reference(&mut self, key: CertificateKey, position: Position, needs_private_key: bool) {
        self.certificate_references.push(CertificateReference {
            key,
            position,
            needs_private_key,
            backend: None,
        });
    }

    /// Returns a required attribute that is not empty.
    fn required<'e>(&mut self, element: &'e Element, name: &str) -> Option<&'e Attribute> {
        match element.attribute(name) {
            Some(attribute) if self.reject_named_value(&attribute.value) => None,
            Some(attribute) if !attribute.value.value.trim().is_empty() => Some(attribute),
            Some(attribute) => {
                self.findings.error(attribute.position, format!("attribute {name} is empty"));
                None
            }
            None => self.error(element, format!("attribute {name} of <{}> is missing", element.name)),
        }
    }

    /// Returns the value of an attribute that must not be an expression.
    fn literal<'e>(&mut self, attribute: &'e Attribute) -> Option<&'e str> {
        if self.reject_named_value(&attribute.value) {
            return None;
        }
        if expression::is_expression(&attribute.value.value) {
            let message = format!("{}: expressions are not supported; write a literal", attribute.name);
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
                let message = format!("{name}: expected true or false, found {:?}", short(other));
                self.findings.error(attribute.position, message);
                None
            }
        }
    }

    fn compile(&mut self, text: &Text, wanted: Type) -> Option<Expression> {
        if self.reject_named_value(text) {
            return None;
        }
        let scope = Scope { has_error: self.section == Section::OnError, ..self.scope };
        let compiled = expression::compile(text, wanted, scope, &mut self.findings)?;
        self.analysis.used = self.analysis.used.and(compiled.dependencies);
        self.analysis.read_variables.extend(compiled.variables.iter().cloned());
        if self.section == Section::Outbound && compiled.dependencies.time {
            let message =
                "DateTime.Now is not supported in <outbound>; read it in <inbound> with <set-variable>";
            self.findings.error(text.start(), message);
        }
        Some(compiled)
    }

    /// Compiles a literal or an expression.
    fn template(&mut self, text: &Text, wanted: Type) -> Option<Template> {
        if expression::is_expression(&text.value) {
            return Some(Template::Expression(Box::new(self.compile(text, wanted)?)));
        }
        Some(Template::Literal(text.value.as_str().into()))
    }
}

/// Returns the byte offset of a named value, as in `{{name}}` and in `{{{name}}}`.
fn named_value(text: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Each name is scanned once, since it ends at the next brace.
    text.char_indices().map(|(start, _)| start).find(|start| {
        let inside = text.get(*start..).and_then(|rest| rest.strip_prefix("{{"));
        let after = inside.map(|inside| (inside, inside.trim_start_matches(is_part)));
        after.is_some_and(|(inside, after)| after.len() < inside.len() && after.starts_with("}}"))
    })
}

fn allows_text(element: &str) -> bool {
    matches!(element, "value" | "set-body")
}

/// Returns the name of a supported element as a constant.
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
