//! Documents: sections, or a fragment without them.

use super::{
    ANY, Compiler, Dependencies, Element,
    backend::{listed, named},
    nobody,
};
use crate::apim::{
    error::{FindingKind, Position},
    outcome::refuses_with,
    program::{Action, CertificateKey, CertificateReference, Choices, Place, Program, Section, Step},
    reach::{self, Caller},
};

impl Compiler<'_> {
    /// Compiles the roots of a text.
    pub(crate) fn document(&mut self, roots: &[Element]) -> Program {
        let start = roots.first().map_or(Position { line: 1, column: 1 }, |root| root.position);
        let mut program = Program::default();
        match roots {
            [] => self.findings.error(start, "the document holds no policies"),
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
        let mut above = Dependencies::default();
        let mut judged_above = Dependencies::default();
        self.judge_variables_of_base();
        program.set_variables = std::mem::take(&mut self.facts.set_variables);
        program.made_of = std::mem::take(&mut self.facts.made_of);
        program.deciding_variables = std::mem::take(&mut self.facts.deciding_variables);
        if let Some(base) = &self.base
            && self.facts.includes_base
        {
            (above, judged_above) = (base.used, base.judged);
            for (name, made_of) in &base.set_variables {
                let known = program.set_variables.entry(name.clone()).or_default();
                *known = known.and(*made_of);
            }
            for (name, parts) in &base.made_of {
                program.made_of.entry(name.clone()).or_default().extend(parts.iter().cloned());
            }
            program.deciding_variables.extend(base.deciding_variables.iter().cloned());
        }
        program.used = self.facts.used.and(above);
        program.chooses = Choices::of(&program.inbound);
        program.judged = self.facts.judged.and(judged_above);
        self.lint(&mut program, start);
        program
    }

    /// Refuses a variable by which the caller would choose what the document above decides by it.
    fn judge_variables_of_base(&mut self) {
        let Some(base) = self.base.clone().filter(|_| self.facts.includes_base) else { return };
        for (name, made_of, position) in std::mem::take(&mut self.facts.settings) {
            if !base.deciding_variables.contains(&name) {
                continue;
            }
            if made_of.request {
                let message = format!(
                    "the caller would choose this: by the variable {name:?} the document above decides as whom, or where, \
                     the backend is called"
                );
                self.findings.error(position, message);
            } else if made_of.certificate {
                self.facts.certificate_decides_above.push((position, made_of.content));
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
                    self.findings.error(second.position, format!("<{name}> stands only once"));
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
            self.findings.warn(root.position, "<backend> is missing: taken as <backend><base /></backend>");
        }
        self.inherit(program, &missing);
    }

    fn inbound(&mut self, elements: &[Element]) -> Vec<Step> {
        self.section = Section::Inbound;
        let steps = self.steps(elements, "");
        if self.base.is_some() && !self.facts.includes_base {
            let position = elements.first().map_or(Position { line: 1, column: 1 }, |first| first.position);
            let message = "without <base /> in <inbound> the rules of the document above do not run";
            self.findings.warn(position, message);
        }
        steps
    }

    /// A section that is not there is the document above's: its rules are not lost by leaving one out.
    fn inherit(&mut self, program: &mut Program, missing: &[&str]) {
        let Some(base) = &self.base else { return };
        for name in missing {
            let (section, steps) = match *name {
                "inbound" => {
                    self.facts.includes_base = true;
                    (Section::Inbound, &mut program.inbound)
                }
                "outbound" => (Section::Outbound, &mut program.outbound),
                "on-error" => (Section::OnError, &mut program.on_error),
                _ => continue,
            };
            *steps = vec![Step {
                place: base_place(section, self.scope_name),
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
                        "<{other}> in <backend> is not supported: <base /> and <forward-request /> are"
                    );
                    self.findings.error(child.position, message);
                }
            }
        }
        match section.children.len() {
            0 => {
                let message =
                    "an empty <backend> would not forward the request: write <base /> or <forward-request />";
                self.findings.error(section.position, message);
            }
            1 => {}
            _ => self.findings.error(section.position, "<backend> forwards the request once"),
        }
    }

    /// What the document as a whole gives away, and certificates that are not there.
    fn lint(&mut self, program: &mut Program, start: Position) {
        // What could not be compiled may well be what seems to be missing.
        if !self.findings.has_errors() {
            self.judge_strangers(program, start);
            self.lint_whole(program, start);
            self.lint_look_ups(program);
        }
        self.lint_names();
    }

    /// Follows callers through the document who have nothing to show.
    fn judge_strangers(&mut self, program: &mut Program, start: Position) {
        let stranger = reach::run(&program.inbound, Caller::Stranger);
        // A variable or header that depends on the certificate is found on the way only.
        program.judged.certificate |= stranger.judged_at.is_some();
        let judged = program.judged;
        // Such an expression may stand in front of the rule that proves the certificate: that refuses all the same.
        let own = std::mem::take(&mut self.facts.certificate_decides).into_iter();
        let own = own.filter(|(element, _, by_content)| stranger.may_choose_at(*element, *by_content));
        let above = std::mem::take(&mut self.facts.certificate_decides_above).into_iter();
        let above = above.filter(|(_, by_content)| stranger.may_choose_above(*by_content));
        let positions = own.map(|(_, attribute, _)| attribute).chain(above.map(|(position, _)| position));
        for position in positions {
            let message = "the caller would choose this by what it writes into a certificate of its own: on every way \
                           here, refuse what has no chain (VerifyNoRevocation(), validate-trust) or not the thumbprint \
                           that you know";
            self.findings.error(position, message);
        }
        let is_anchored = !stranger.may_be_admitted;
        if !is_anchored {
            let position = stranger.is_let_off.or(stranger.judged_at).unwrap_or(start);
            self.complain_unanchored(position);
        }
        let nobody = reach::run(&program.inbound, Caller::Nobody);
        if judged.certificate && nobody.always_passes && !nobody.is_expected {
            let message = "a caller without a certificate is passed on: only those who have one are refused. Write \
                           context.Request.Certificate == null || ... in front, or a <when> of its own for callers \
                           without one";
            self.findings.warn(nobody.is_let_off.unwrap_or(start), message);
        }
        (program.proves, program.is_anchored) = (!stranger.may_pass, is_anchored);
    }

    /// Refuses certificates that nothing proves, or warns of them where they are allowed.
    fn complain_unanchored(&mut self, position: Position) {
        const PROBLEM: &str = "certificates are judged and none is proven, so a self-made one can pass";
        const REMEDY: &str = "write ... || !context.Request.Certificate.VerifyNoRevocation(), or ... || \
                              context.Request.Certificate.Thumbprint != \"...\"";
        let about = FindingKind::Unanchored;
        if self.allow_unanchored {
            self.findings.warn_about(about, position, PROBLEM, REMEDY);
        } else {
            self.findings.error_about(about, position, PROBLEM, &format!("{REMEDY}; or allow_unanchored"));
        }
    }

    fn lint_whole(&mut self, program: &Program, start: Position) {
        let judged = program.judged;
        let message = if !program.used.certificate {
            Some(
                "the document does not look at the caller's certificate: everyone passes, and nobody is admitted",
            )
        } else if !judged.certificate {
            Some(match answers_success(program) {
                true => {
                    "no rule refuses by the caller's certificate: an answer below 400 turns nobody away, and whoever passes is \
                     not admitted. Write <set-status code=\"403\" />"
                }
                false => "no rule refuses by the caller's certificate: everyone passes",
            })
        } else {
            None
        };
        if let Some(message) = message {
            self.findings.warn(start, message);
        }
        if let Some(failing) = nobody::failing(program) {
            self.findings.warn(failing.position, failing.message);
        }
        for (name, position) in std::mem::take(&mut self.facts.read_variables) {
            if !program.set_variables.contains_key(&name) {
                let message = format!(
                    "nothing sets the variable {name:?}, so this always fails: use GetValueOrDefault, or set it first"
                );
                self.findings.warn(position, message);
            }
        }
    }

    /// Certificates that are named and are not there now.
    fn lint_names(&mut self) {
        let deployed = self.deployment.map(|deployment| deployment.certificates()).unwrap_or_default();
        for CertificateReference { named, position, is_shown, backend } in &self.named {
            let (found, missing) = match named {
                CertificateKey::Id(id) => (deployed.by_id(id), format!("id {id:?}")),
                CertificateKey::Thumbprint(thumbprint) => {
                    (deployed.by_thumbprint(*thumbprint), format!("thumbprint {thumbprint}"))
                }
            };
            let is_without_key = match found {
                Some(found) if found.has_private_key() || !is_shown => continue,
                found => found.is_some(),
            };
            let missing = match backend {
                Some(backend) => format!("{missing} (the identity of the backend {backend:?})"),
                None => missing,
            };
            if is_without_key {
                let problem = format!(
                    "the certificate with the {missing} has no private key: no backend can be shown it"
                );
                if self.only_known {
                    self.findings.error(*position, problem);
                } else {
                    self.findings.warn(*position, problem);
                }
            } else if self.only_known {
                let problem = format!("there is no certificate with the {missing}");
                let remedy = listed(deployed.ids().into_iter());
                self.findings.error_about(FindingKind::Certificate, *position, &problem, &remedy);
            } else {
                let problem = format!("the deployment has no certificate with the {missing} now");
                self.findings.warn_about(FindingKind::Certificate, *position, &problem, "");
            }
        }
    }

    /// Callers that are looked up where none of them is.
    fn lint_look_ups(&mut self, program: &Program) {
        let mut found = None;
        program.visit(&mut |step| {
            let mut looks =
                step.expressions().into_iter().filter(|(expression, _)| expression.looks_up_caller());
            found = found.or_else(|| looks.next().map(|(_, position)| position));
        });
        let Some(position) = found else { return };
        let deployed = self.deployment.map(|deployment| deployment.certificates()).unwrap_or_default();
        // One of which only the certificate is there is somebody else's.
        if deployed.iter().any(|entry| !entry.has_private_key()) {
            return;
        }
        let problem = match deployed.is_empty() {
            true => "callers are looked up in context.Deployment.Certificates, which is empty now".to_owned(),
            false => format!(
                "callers are looked up in context.Deployment.Certificates, which now holds only what is presented to back \
                 ends, and hardly by callers ({})",
                named(&deployed.ids())
            ),
        };
        self.findings.warn_about(
            FindingKind::Callers,
            position,
            &problem,
            "add the callers' certificates there",
        );
    }
}

/// Whether it answers requests with success, or sends them elsewhere.
fn answers_success(program: &Program) -> bool {
    let mut found = false;
    program.visit(&mut |step| {
        found |= matches!(&step.action, Action::Return(reply) if !refuses_with(reply.status));
    });
    found
}

fn base_place(section: Section, scope: &'static str) -> Place {
    Place {
        position: Position { line: 1, column: 1 },
        element: "base",
        path: "base[1]".into(),
        id: None,
        section,
        scope,
    }
}
