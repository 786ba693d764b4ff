//! Compilation of documents: sections, or a fragment without sections.

use std::collections::HashSet;

use super::{
    ANY, Compiler, Element,
    backend::{id_list, known_ids},
};
use crate::apim::{
    backend::ChosenIdentity,
    decision::is_rejection,
    error::{FindingKind, Position},
    expression::Expression,
    guard::{self, GUARD},
    program::{Action, CertificateReference, ElementLocation, Program, Section, Step},
};

impl Compiler<'_> {
    /// Compiles the root elements of a document.
    pub(crate) fn document(&mut self, roots: &[Element]) -> Program {
        let start = roots.first().map_or(Position { line: 1, column: 1 }, |root| root.position);
        let mut program = Program::default();
        let elements = match roots {
            [root] if root.name == "policies" => {
                self.policies(root, &mut program);
                None
            }
            [root] if root.name == "fragment" => {
                self.check_shape(root, &[], ANY);
                Some(root.children.as_slice())
            }
            [] => self.error(start, "the document is empty"),
            roots => Some(roots),
        };
        if let Some(elements) = elements {
            program.inbound = self.inbound(elements);
            program.outbound = self.inherited(Section::Outbound);
            program.on_error = self.inherited(Section::OnError);
        }
        program.used = self.analysis.used;
        if let Some(base) = self.base.as_ref().filter(|_| self.analysis.includes_base) {
            program.used = program.used.and(base.used);
        }
        self.lint(&mut program, start);
        program
    }

    fn policies(&mut self, root: &Element, program: &mut Program) {
        self.check_shape(root, &[], &["inbound", "backend", "outbound", "on-error"]);
        for section in [Section::Inbound, Section::Backend, Section::Outbound, Section::OnError] {
            let name = section.as_str();
            let mut found = root.children.iter().filter(|child| child.name == name);
            let steps = match (found.next(), found.next()) {
                (None, _) => self.inherited(section),
                (Some(element), None) => {
                    self.check_shape(element, &[], ANY);
                    self.section = section;
                    match section {
                        Section::Inbound => self.inbound(&element.children),
                        Section::Backend => self.backend(element),
                        Section::Outbound | Section::OnError => self.steps(&element.children, ""),
                    }
                }
                (_, Some(second)) => {
                    self.findings.error(second.position, format!("duplicate <{name}>; keep one"));
                    continue;
                }
            };
            match section {
                Section::Inbound => program.inbound = steps,
                Section::Backend => {}
                Section::Outbound => program.outbound = steps,
                Section::OnError => program.on_error = steps,
            }
        }
        let contains = |name: &str| root.children.iter().any(|child| child.name == name);
        if contains("inbound") && !contains("backend") {
            self.findings.warn(root.position, "<backend> is missing; <backend><base /></backend> is assumed");
        }
    }

    fn inbound(&mut self, elements: &[Element]) -> Vec<Step> {
        let steps = self.steps(elements, "");
        if self.base.is_some() && !self.analysis.includes_base {
            let position = elements.first().map_or(Position { line: 1, column: 1 }, |first| first.position);
            let message = "<inbound> has no <base />: the rules of the base document do not run";
            self.findings.warn(position, message);
        }
        steps
    }

    /// Returns the steps of a missing section: those of the base document, so that its rules run.
    fn inherited(&mut self, section: Section) -> Vec<Step> {
        let Some(base) = self.base.clone() else { return Vec::new() };
        self.analysis.includes_base |= section == Section::Inbound;
        let location = ElementLocation {
            position: Position { line: 1, column: 1 },
            element: "base",
            path: "base[1]".into(),
            id: None,
            section,
            scope: self.scope_name,
        };
        vec![Step { location, action: Action::Base(base) }]
    }

    /// Checks `<backend>`, which has no steps.
    fn backend(&mut self, section: &Element) -> Vec<Step> {
        for child in &section.children {
            if !matches!(child.name.as_str(), "base" | "forward-request") {
                let other = &child.name;
                let message =
                    format!("<{other}> is not supported in <backend>; use <base /> or <forward-request />");
                self.findings.error(child.position, message);
                continue;
            }
            self.check_shape(child, &[], &[]);
        }
        let message = match section.children.len() {
            0 => "empty <backend>: requests would not be forwarded; write <base /> or <forward-request />",
            1 => return Vec::new(),
            _ => "<backend> forwards the request more than once; keep one element",
        };
        self.findings.error(section.position, message);
        Vec::new()
    }

    /// Applies the guard rule, and reports findings about the document as a whole and missing certificates.
    fn lint(&mut self, program: &mut Program, start: Position) {
        // An element that did not compile could be the one that seems to be missing.
        if !self.findings.has_errors() {
            program.ruling = guard::judge(program, &mut self.findings);
            self.lint_rules(program, start);
            self.lint_lookups(program);
        }
        self.lint_references();
    }

    /// Warns of unreachable elements, and of elements that a later one overrides.
    pub(super) fn lint_order(&mut self, steps: &[Step]) {
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

    fn lint_rules(&mut self, program: &Program, start: Position) {
        const UNANCHORED: &str = "certificates are judged but not proven: a self-made certificate can pass";
        const UNREAD: &str =
            "the caller's certificate is not read: all requests pass, and no certificate is admitted";
        const NOT_REJECTING: &str = "no rule rejects by the caller's certificate: a status below 400 is not a rejection, and no \
                                     certificate is admitted; write <set-status code=\"403\" />";
        const NO_RULE: &str = "no rule rejects by the caller's certificate: all requests pass";
        let (mut variables, mut has_success_response) = (HashSet::new(), false);
        program.visit(&mut |step| match &step.action {
            Action::Variable(name, _) => {
                variables.insert(name);
            }
            Action::Return(response) => has_success_response |= !is_rejection(response.status),
            _ => {}
        });
        match program.ruling.judged_at {
            Some(_) if program.ruling.has_guard => {}
            Some(position) => {
                let remedy = format!("add at the top level of <inbound>: {GUARD}");
                if self.allow_unanchored {
                    self.findings.warn_about(FindingKind::Unanchored, position, UNANCHORED, &remedy);
                } else {
                    let remedy = format!("{remedy}, or call allow_unanchored");
                    self.findings.error_about(FindingKind::Unanchored, position, UNANCHORED, &remedy);
                }
            }
            None if !program.used.certificate => self.findings.warn(start, UNREAD),
            None if has_success_response => self.findings.warn(start, NOT_REJECTING),
            None => self.findings.warn(start, NO_RULE),
        }
        guard::warn_of_missing_null_test(program, &mut self.findings);
        for (name, position) in std::mem::take(&mut self.analysis.read_variables) {
            if !variables.contains(&name) {
                let message = format!(
                    "variable {name:?} is never set: this expression always fails; use GetValueOrDefault, or set it first"
                );
                self.findings.warn(position, message);
            }
        }
    }

    /// Reports literal references to certificates that are not in the deployment.
    fn lint_references(&mut self) {
        let deployed = self.deployment.map(|deployment| deployment.certificates()).unwrap_or_default();
        for CertificateReference { identity, position, needs_private_key, backend } in
            &self.certificate_references
        {
            let (found, key) = match identity {
                ChosenIdentity::Id(id) => (deployed.by_id(id), format!("id {id:?}")),
                ChosenIdentity::Thumbprint(thumbprint) => {
                    (deployed.by_thumbprint(*thumbprint), format!("thumbprint {thumbprint}"))
                }
                #[cfg(feature = "identity")]
                ChosenIdentity::Embedded(_) => continue,
            };
            let key = match backend {
                Some(backend) => format!("{key} (identity of the backend {backend:?})"),
                None => key,
            };
            let (kind, problem, remedy) = match found {
                Some(found) if found.has_private_key() || !needs_private_key => continue,
                Some(_) => {
                    let problem = format!(
                        "certificate with the {key}: no private key, so it cannot be presented to a backend"
                    );
                    (FindingKind::Document, problem, String::new())
                }
                None if self.only_known_certificates => {
                    let remedy = known_ids("certificates", deployed.ids().into_iter());
                    (FindingKind::Certificate, format!("no certificate has the {key}"), remedy)
                }
                None => {
                    let problem = format!("no certificate has the {key} at present");
                    (FindingKind::Certificate, problem, String::new())
                }
            };
            if self.only_known_certificates {
                self.findings.error_about(kind, *position, &problem, &remedy);
            } else {
                self.findings.warn_about(kind, *position, &problem, &remedy);
            }
        }
    }

    /// Warns of callers looked up in a deployment that contains none.
    fn lint_lookups(&mut self, program: &Program) {
        let mut found = None;
        program.visit(&mut |step| {
            let mut expressions = step.expressions().into_iter();
            let looks_up = |(expression, _): &(&Expression, _)| expression.looks_up_caller();
            found = found.or_else(|| expressions.find(looks_up).map(|(_, position)| position));
        });
        let Some(position) = found else { return };
        let deployed = self.deployment.map(|deployment| deployment.certificates()).unwrap_or_default();
        // A certificate without a private key belongs to a caller.
        if deployed.iter().any(|entry| !entry.has_private_key()) {
            return;
        }
        let problem = match deployed.is_empty() {
            true => "callers are looked up in context.Deployment.Certificates, which is empty".to_owned(),
            false => format!(
                "callers are looked up in context.Deployment.Certificates, which contains only identities for backends ({})",
                id_list(&deployed.ids())
            ),
        };
        self.findings.warn_about(FindingKind::Callers, position, &problem, "add the callers' certificates");
    }
}
