//! Compilation of elements. Any other element is an error.

mod authentication;
mod backend;
mod choose;
mod respond;
mod sections;
mod set;
mod unsupported;
mod validate;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Display,
    str::FromStr,
    sync::Arc,
};

use super::{
    backend::{Backend, ChosenIdentity},
    deployment::Deployment,
    error::{FindingKind, Findings, Position, short},
    expression::{self, Base, Dependencies, Expression, Scope, Type},
    program::{Action, CertificateReference, ElementLocation, Program, Section, Step, Template},
    reader::{Attribute, Element, Text},
    trust::DocumentTrust,
};
use crate::certificate::Thumbprint;

/// Compiler of one document.
#[derive(Debug)]
pub(crate) struct Compiler<'a> {
    pub(crate) findings: Findings,
    pub(crate) trust: Option<&'a DocumentTrust>,
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
                    element: unsupported::known(&element.name).unwrap_or("policies"),
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

    fn action(&mut self, element: &Element, path: &str) -> Option<Action> {
        let is_error = self.section == Section::OnError;
        let is_inbound = self.section == Section::Inbound;
        match element.name.as_str() {
            "base" if path.contains('/') => {
                self.error(element.position, "<base> is not allowed here; write it directly in a section")
            }
            "base" => self.include_base(element),
            "choose" => self.choose(element, path),
            "return-response" if self.section == Section::Outbound => self.error(
                element.position,
                "<return-response> is not supported in <outbound>; move it to <inbound>",
            ),
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
                self.error(element.position, message)
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
                self.error(element.position, message)
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

    fn error<T>(&mut self, position: Position, message: impl Into<String>) -> Option<T> {
        self.findings.error(position, message);
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
        let allows_text = children.is_empty() && matches!(element.name.as_str(), "value" | "set-body");
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

    /// Records a literal certificate reference, of the document or of a backend.
    fn add_reference(
        &mut self,
        identity: &ChosenIdentity,
        position: Position,
        needs_private_key: bool,
        backend: Option<Arc<str>>,
    ) {
        #[cfg(feature = "identity")]
        if matches!(identity, ChosenIdentity::Embedded(_)) {
            return;
        }
        let identity = identity.clone();
        self.certificate_references.push(CertificateReference {
            identity,
            position,
            needs_private_key,
            backend,
        });
    }

    /// Returns a required attribute that is not empty.
    fn required<'e>(&mut self, element: &'e Element, name: &str) -> Option<&'e Attribute> {
        match element.attribute(name) {
            Some(attribute) if self.reject_named_value(&attribute.value) => None,
            Some(attribute) if !attribute.value.value.trim().is_empty() => Some(attribute),
            Some(attribute) => self.error(attribute.position, format!("attribute {name} is empty")),
            None => {
                self.error(element.position, format!("attribute {name} of <{}> is missing", element.name))
            }
        }
    }

    /// Returns the value of an attribute that must not be an expression.
    fn literal<'e>(&mut self, attribute: &'e Attribute) -> Option<&'e str> {
        if self.reject_named_value(&attribute.value) {
            return None;
        }
        if expression::is_expression(&attribute.value.value) {
            let message = format!("{}: expressions are not supported; write a literal", attribute.name);
            return self.error(attribute.position, message);
        }
        Some(&attribute.value.value)
    }

    /// Reads an attribute with one of a few values.
    fn choice<T: Copy>(
        &mut self,
        element: &Element,
        name: &str,
        default: T,
        expected: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let Some(attribute) = element.attribute(name) else { return Some(default) };
        let written = self.literal(attribute)?;
        let Some((_, choice)) = choices.iter().find(|(known, _)| *known == written) else {
            let message = format!("{name}: expected {expected}, found {:?}", short(written));
            return self.error(attribute.position, message);
        };
        Some(*choice)
    }

    /// Parses a literal.
    fn parsed<T: FromStr<Err: Display>>(&mut self, position: Position, text: &str) -> Option<T> {
        text.parse().map_or_else(|invalid: T::Err| self.error(position, invalid.to_string()), Some)
    }

    fn thumbprint(&mut self, position: Position, text: &str) -> Option<Thumbprint> {
        match self.parsed(position, text)? {
            thumbprint @ Thumbprint::Sha1(_) => Some(thumbprint),
            _ => self.error(position, "invalid thumbprint; use SHA-1, 40 hex digits, as in APIM"),
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

    /// Compiles an expression, or a literal with `literal`.
    fn template<T>(
        &mut self,
        text: &Text,
        wanted: Type,
        literal: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> Option<Template<T>> {
        if expression::is_expression(&text.value) {
            return Some(Template::Expression(Box::new(self.compile(text, wanted)?)));
        }
        literal(self, &text.value).map(Template::Literal)
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

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}
