//! Compilation of documents: sections, or a fragment without sections.

use std::collections::HashSet;

use super::{
    ANY, Compiler, Element,
    backend::{id_list, known_ids},
};
use crate::apim::{
    decision::is_rejection,
    error::{FindingKind, Position},
    guard::{self, GUARD},
    program::{Action, CertificateKey, CertificateReference, ElementLocation, Program, Section, Step},
};

impl Compiler<'_> {
    /// Compiles the root elements of a document.
    pub(crate) fn document(&mut self, roots: &[Element]) -> Program {
        let start = roots.first().map_or(Position { line: 1, column: 1 }, |root| root.position);
        let mut program = Program::default();
        match roots {
            [] => self.findings.error(start, "the document is empty"),
            [root] if root.name == "policies" => self.policies(root, &mut program),
            [root] if root.name == "fragment" => {
                self.check_shape(root, &[], ANY);
                program.inbound = self.inbound(&root.children);
                self.inherit(&mut program, &["backend", "outbound", "on-error"]);
            }
            roots => {
                program.inbound = self.inbound(roots);
                self.inherit(&mut program, &["backend", "outbound", "on-error"]);
            }
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
        let mut missing = Vec::new();
        for name in ["inbound", "backend", "outbound", "on-error"] {
            let sections: Vec<_> = root.children.iter().filter(|child| child.name == name).collect();
            let section = match sections.as_slice() {
                [] => {
                    missing.push(name);
                    continue;
                }
                [section] => section,
                [_, second, ..] => {
                    self.findings.error(second.position, format!("duplicate <{name}>; keep one"));
                    continue;
                }
            };
            self.check_shape(section, &[], ANY);
            match name {
                "inbound" => program.inbound = self.inbound(&section.children),
                "backend" => self.backend(section),
                "outbound" => {
                    self.section = Section::Outbound;
                    program.outbound = self.steps(&section.children, "");
                }
                _ => {
                    self.section = Section::OnError;
                    program.on_error = self.steps(&section.children, "");
                }
            }
        }
        if missing.contains(&"backend") && !missing.contains(&"inbound") {
            self.findings.warn(root.position, "<backend> is missing; <backend><base /></backend> is assumed");
        }
        self.inherit(program, &missing);
    }

    fn inbound(&mut self, elements: &[Element]) -> Vec<Step> {
        self.section = Section::Inbound;
        let steps = self.steps(elements, "");
        if self.base.is_some() && !self.analysis.includes_base {
            let position = elements.first().map_or(Position { line: 1, column: 1 }, |first| first.position);
            let message = "<inbound> has no <base />: the rules of the base document do not run";
            self.findings.warn(position, message);
        }
        steps
    }

    /// Takes missing sections from the base document, so that omitting a section does not drop its rules.
    fn inherit(&mut self, program: &mut Program, missing: &[&str]) {
        let Some(base) = &self.base else { return };
        for name in missing {
            let (section, steps) = match *name {
                "inbound" => {
                    self.analysis.includes_base = true;
                    (Section::Inbound, &mut program.inbound)
                }
                "outbound" => (Section::Outbound, &mut program.outbound),
                "on-error" => (Section::OnError, &mut program.on_error),
                _ => continue,
            };
            *steps = vec![Step {
                location: base_location(section, self.scope_name),
                action: Action::Base(base.clone()),
            }];
        }
    }

    fn backend(&mut self, section: &Element) {
        self.section = Section::Backend;
        for child in &section.children {
            match child.name.as_str() {
                "base" => self.check_shape(child, &[], &[]),
                "forward-request" => self.check_shape(child, &[], &[]),
                other => {
                    let message = format!(
                        "<{other}> is not supported in <backend>; use <base /> or <forward-request />"
                    );
                    self.findings.error(child.position, message);
                }
            }
        }
        match section.children.len() {
            0 => {
                let message =
                    "empty <backend>: requests would not be forwarded; write <base /> or <forward-request />";
                self.findings.error(section.position, message);
            }
            1 => {}
            _ => self
                .findings
                .error(section.position, "<backend> forwards the request more than once; keep one element"),
        }
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

    /// Reports that self-made certificates can be admitted: an error, or a warning if allowed.
    fn report_unanchored(&mut self, position: Position) {
        const PROBLEM: &str = "certificates are judged but not proven: a self-made certificate can pass";
        let kind = FindingKind::Unanchored;
        let remedy = format!("add at the top level of <inbound>: {GUARD}");
        if self.allow_unanchored {
            self.findings.warn_about(kind, position, PROBLEM, &remedy);
        } else {
            let remedy = format!("{remedy}, or call allow_unanchored");
            self.findings.error_about(kind, position, PROBLEM, &remedy);
        }
    }

    fn lint_rules(&mut self, program: &Program, start: Position) {
        let ruling = &program.ruling;
        if let Some(position) = ruling.judged_at.filter(|_| !ruling.has_guard) {
            self.report_unanchored(position);
        }
        let message = if !program.used.certificate {
            Some("the caller's certificate is not read: all requests pass, and no certificate is admitted")
        } else if ruling.judged_at.is_none() {
            Some(match has_success_response(program) {
                true => {
                    "no rule rejects by the caller's certificate: a status below 400 is not a rejection, and no certificate is \
                     admitted; write <set-status code=\"403\" />"
                }
                false => "no rule rejects by the caller's certificate: all requests pass",
            })
        } else {
            None
        };
        if let Some(message) = message {
            self.findings.warn(start, message);
        }
        guard::warn_of_missing_null_test(program, &mut self.findings);
        let mut variables = HashSet::new();
        program.visit(&mut |step| {
            if let Action::Variable(name, _) = &step.action {
                variables.insert(name.clone());
            }
        });
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
        for CertificateReference { key, position, needs_private_key, backend } in &self.certificate_references
        {
            let (found, missing) = match key {
                CertificateKey::Id(id) => (deployed.by_id(id), format!("id {id:?}")),
                CertificateKey::Thumbprint(thumbprint) => {
                    (deployed.by_thumbprint(*thumbprint), format!("thumbprint {thumbprint}"))
                }
            };
            let is_without_key = match found {
                Some(found) if found.has_private_key() || !needs_private_key => continue,
                found => found.is_some(),
            };
            let missing = match backend {
                Some(backend) => format!("{missing} (identity of the backend {backend:?})"),
                None => missing,
            };
            if is_without_key {
                let problem = format!(
                    "certificate with the {missing}: no private key, so it cannot be presented to a backend"
                );
                if self.only_known_certificates {
                    self.findings.error(*position, problem);
                } else {
                    self.findings.warn(*position, problem);
                }
            } else if self.only_known_certificates {
                let problem = format!("no certificate has the {missing}");
                let remedy = known_ids("certificates", deployed.ids().into_iter());
                self.findings.error_about(FindingKind::Certificate, *position, &problem, &remedy);
            } else {
                let problem = format!("no certificate has the {missing} at present");
                self.findings.warn_about(FindingKind::Certificate, *position, &problem, "");
            }
        }
    }

    /// Warns of callers looked up in a deployment that contains none.
    fn lint_lookups(&mut self, program: &Program) {
        let mut found = None;
        program.visit(&mut |step| {
            let mut looks =
                step.expressions().into_iter().filter(|(expression, _)| expression.looks_up_caller());
            found = found.or_else(|| looks.next().map(|(_, position)| position));
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

/// Returns true if any `return-response` has a status below 400.
fn has_success_response(program: &Program) -> bool {
    let mut found = false;
    program.visit(&mut |step| {
        found |= matches!(&step.action, Action::Return(response) if !is_rejection(response.status));
    });
    found
}

fn base_location(section: Section, scope: &'static str) -> ElementLocation {
    ElementLocation {
        position: Position { line: 1, column: 1 },
        element: "base",
        path: "base[1]".into(),
        id: None,
        section,
        scope,
    }
}
