//! Compilation of documents: sections, or a fragment without sections.

use super::{
    ANY, Compiler, Element,
    backend::{id_list, known_ids},
    missing_certificate,
};
use crate::apim::{
    decision::is_rejection,
    error::{FindingKind, Position},
    program::{
        Action, CertificateKey, CertificateReference, Choices, ElementLocation, Program, Section, Step,
    },
    reach::{self, Caller},
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
        let (mut used, mut judged) = (self.analysis.used, self.analysis.judged);
        self.check_variables_of_base();
        program.set_variables = std::mem::take(&mut self.analysis.set_variables);
        program.variable_dependencies = std::mem::take(&mut self.analysis.variable_dependencies);
        program.deciding_variables = std::mem::take(&mut self.analysis.deciding_variables);
        if let Some(base) = &self.base
            && self.analysis.includes_base
        {
            (used, judged) = (used.and(base.used), judged.and(base.judged));
            for (name, uses) in &base.set_variables {
                let known = program.set_variables.entry(name.clone()).or_default();
                *known = known.and(*uses);
            }
            for (name, dependencies) in &base.variable_dependencies {
                program
                    .variable_dependencies
                    .entry(name.clone())
                    .or_default()
                    .extend(dependencies.iter().cloned());
            }
            program.deciding_variables.extend(base.deciding_variables.iter().cloned());
        }
        program.used = used;
        program.chooses = Choices::of(&program.inbound);
        program.judged = judged;
        self.lint(&mut program, start);
        program
    }

    /// Rejects variables from caller input that identity or backend of the base document depend on.
    fn check_variables_of_base(&mut self) {
        let Some(base) = self.base.clone().filter(|_| self.analysis.includes_base) else { return };
        for (name, uses, position) in std::mem::take(&mut self.analysis.settings) {
            if !base.deciding_variables.contains(&name) {
                continue;
            }
            if uses.request {
                let message = format!(
                    "variable {name:?}: the caller would choose identity or backend of the base document, which depend on it; \
                     set it to constants"
                );
                self.findings.error(position, message);
            } else if uses.certificate {
                self.analysis.certificate_decides_base.push((position, uses.content));
            }
        }
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

    /// Reports findings about the document as a whole, and missing certificates.
    fn lint(&mut self, program: &mut Program, start: Position) {
        // An element that did not compile could be the one that seems to be missing.
        if !self.findings.has_errors() {
            self.check_self_made_certificates(program, start);
            self.lint_rules(program, start);
            self.lint_lookups(program);
        }
        self.lint_references();
    }

    /// Analyzes which callers with a self-made certificate, or without a certificate, can pass.
    fn check_self_made_certificates(&mut self, program: &mut Program, start: Position) {
        let stranger = reach::run(&program.inbound, Caller::Stranger);
        // Dependencies of variables and headers on the certificate are found only by this analysis.
        program.judged.certificate |= stranger.judged_at.is_some();
        let judged = program.judged;
        // An expression before the rule that proves the certificate is allowed: the rule still rejects.
        let own = std::mem::take(&mut self.analysis.certificate_decides).into_iter();
        let own = own.filter(|(element, _, by_content)| stranger.may_choose_at(*element, *by_content));
        let base = std::mem::take(&mut self.analysis.certificate_decides_base).into_iter();
        let base = base.filter(|(_, by_content)| stranger.may_choose_above(*by_content));
        let positions = own.map(|(_, attribute, _)| attribute).chain(base.map(|(position, _)| position));
        for position in positions {
            let message = "the caller would choose this value with a self-made certificate; on every path to it, reject \
                           certificates without a chain (VerifyNoRevocation(), validate-trust) or a known thumbprint";
            self.findings.error(position, message);
        }
        let is_anchored = !stranger.may_be_admitted;
        if !is_anchored {
            let position = stranger.is_let_off.or(stranger.judged_at).unwrap_or(start);
            self.report_unanchored(position);
        }
        let without_certificate = reach::run(&program.inbound, Caller::WithoutCertificate);
        if judged.certificate && without_certificate.always_passes && !without_certificate.is_expected {
            let message = "requests without a certificate pass; write context.Request.Certificate == null || ... in front, \
                           or add a <when> for them";
            self.findings.warn(without_certificate.is_let_off.unwrap_or(start), message);
        }
        (program.proves, program.is_anchored) = (!stranger.may_pass, is_anchored);
    }

    /// Reports that self-made certificates can be admitted: an error, or a warning if allowed.
    fn report_unanchored(&mut self, position: Position) {
        const PROBLEM: &str = "certificates are judged but not proven: a self-made certificate can pass";
        const REMEDY: &str = "add ... || !context.Request.Certificate.VerifyNoRevocation(), or ... || \
                              context.Request.Certificate.Thumbprint != \"...\"";
        let kind = FindingKind::Unanchored;
        if self.allow_unanchored {
            self.findings.warn_about(kind, position, PROBLEM, REMEDY);
        } else {
            self.findings.error_about(
                kind,
                position,
                PROBLEM,
                &format!("{REMEDY}, or call allow_unanchored"),
            );
        }
    }

    fn lint_rules(&mut self, program: &Program, start: Position) {
        let judged = program.judged;
        let message = if !program.used.certificate {
            Some("the caller's certificate is not read: all requests pass, and no certificate is admitted")
        } else if !judged.certificate {
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
        if let Some(failing) = missing_certificate::failing(program) {
            self.findings.warn(failing.position, failing.message);
        }
        for (name, position) in std::mem::take(&mut self.analysis.read_variables) {
            if !program.set_variables.contains_key(&name) {
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
