//! Static analysis of requests without a certificate, for a warning at load.

use std::collections::HashMap;

use super::choose::can_reject;
use crate::apim::{
    error::Position,
    expression::{Constant, Expression, Function, Kind, Node, Statement},
    program::{Action, Choose, Condition, Program, Step},
};

/// An expression that fails for every request without a certificate.
pub(super) struct Failing {
    pub(super) position: Position,
    pub(super) message: String,
}

/// Returns the first expression that certainly fails for requests without a certificate.
pub(super) fn failing(program: &Program) -> Option<Failing> {
    let mut walk = Walk { variables: HashMap::new(), locals: HashMap::new(), steps: 0 };
    match walk.steps(&program.inbound) {
        Flow::Fails(failing) => Some(failing),
        Flow::Goes | Flow::Ends | Flow::Open => None,
    }
}

/// The value of an expression without a certificate.
#[derive(Debug, Clone, Copy)]
enum Worth {
    Null,
    Bool(bool),
    /// Some value, and not null.
    Value,
    /// Depends on the rest of the request.
    Request,
    /// Unknown.
    Unknown,
    /// Evaluating this range fails.
    Fails(crate::apim::expression::SourceRange),
}

enum Flow {
    Goes,
    Ends,
    /// Unknown whether a later element runs.
    Open,
    Fails(Failing),
}

/// Maximum number of analyzed elements, since a base document can be included many times.
const MOST_STEPS: usize = 100_000;

struct Walk<'p> {
    variables: HashMap<&'p str, Worth>,
    locals: HashMap<usize, Worth>,
    steps: usize,
}

impl<'p> Walk<'p> {
    fn steps(&mut self, steps: &'p [Step]) -> Flow {
        for step in steps {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Flow::Open;
            }
            match self.step(step) {
                Flow::Goes => {}
                other => return other,
            }
        }
        Flow::Goes
    }

    fn step(&mut self, step: &'p Step) -> Flow {
        let position = step.location.position;
        let ends = match &step.action {
            Action::Base(above) => return self.steps(&above.inbound),
            Action::Choose(choose) => return self.choose(choose),
            Action::Return(_) => true,
            Action::Validate(validation) => !validation.ignore_error,
            Action::Variable(name, template) => {
                let worth = template.expression().map_or(Worth::Value, |expression| self.whole(expression));
                self.variables.insert(name, worth);
                false
            }
            _ => false,
        };
        for (expression, _) in step.expressions() {
            if let Worth::Fails(range) = self.whole(expression) {
                let message =
                    format!("requests without a certificate fail with 500 at {}", part(expression, range));
                return Flow::Fails(Failing { position, message });
            }
        }
        if ends { Flow::Ends } else { Flow::Goes }
    }

    fn choose(&mut self, choose: &'p Choose) -> Flow {
        let mut goes = false;
        for branch in &choose.branches {
            let worth = match &branch.condition {
                Condition::Constant(holds) => Worth::Bool(*holds),
                Condition::Expression(expression) => self.whole(expression),
            };
            match worth {
                Worth::Bool(false) => {}
                Worth::Bool(true) => return self.end(&branch.steps, goes),
                Worth::Fails(range) => {
                    let Condition::Expression(expression) = &branch.condition else { return Flow::Open };
                    let remedy = match can_reject(&branch.steps) {
                        true => "context.Request.Certificate == null ||",
                        false => "context.Request.Certificate != null &&",
                    };
                    let message = format!(
                        "requests without a certificate fail with 500 at {}; write {remedy} in front",
                        part(expression, range)
                    );
                    return Flow::Fails(Failing { position: branch.position, message });
                }
                // Some requests take this branch.
                Worth::Request => match self.aside(&branch.steps) {
                    Flow::Goes => goes = true,
                    Flow::Ends => {}
                    other => return other,
                },
                Worth::Null | Worth::Value | Worth::Unknown => return Flow::Open,
            }
        }
        match &choose.otherwise {
            Some(steps) => self.end(steps, goes),
            None => Flow::Goes,
        }
    }

    /// Analyzes the last possible branch.
    fn end(&mut self, steps: &'p [Step], goes: bool) -> Flow {
        match if goes { self.aside(steps) } else { self.steps(steps) } {
            Flow::Ends if goes => Flow::Goes,
            other => other,
        }
    }

    /// Analyzes elements that run for some requests only; the variables that they set are unknown afterwards.
    fn aside(&mut self, steps: &'p [Step]) -> Flow {
        let before = self.variables.clone();
        let flow = self.steps(steps);
        let changed = std::mem::replace(&mut self.variables, before);
        for name in changed.into_keys() {
            self.variables.entry(name).and_modify(|worth| *worth = Worth::Unknown).or_insert(Worth::Unknown);
        }
        flow
    }

    fn whole(&mut self, expression: &'p Expression) -> Worth {
        self.locals.clear();
        self.worth(&expression.root)
    }

    fn worth(&mut self, node: &'p Node) -> Worth {
        match &node.kind {
            Kind::Constant(Constant::Null) | Kind::Certificate => Worth::Null,
            Kind::Constant(Constant::Bool(value)) => Worth::Bool(*value),
            Kind::Constant(_) => Worth::Value,
            Kind::Now
            | Kind::Request(_)
            | Kind::Port
            | Kind::Header(..)
            | Kind::Headers(_)
            | Kind::HasHeader(_)
            | Kind::Query(..)
            | Kind::Queries(_)
            | Kind::HasQuery(_) => Worth::Request,
            Kind::Local(slot) => self.locals.get(slot).copied().unwrap_or(Worth::Unknown),
            Kind::Variable(name) => self.variables.get(&**name).copied().unwrap_or(Worth::Unknown),
            Kind::VariableOr(name, _, default) => match self.variables.get(&**name) {
                Some(worth) => *worth,
                None => self.worth(default),
            },
            Kind::CertificateText(_, certificate) => match self.worth(certificate) {
                Worth::Null => Worth::Fails(node.range),
                other => unknown_unless_failing(other),
            },
            Kind::Call(function, arguments) => self.call(*function, arguments, node),
            Kind::Not(operand) => match self.worth(operand) {
                Worth::Bool(holds) => Worth::Bool(!holds),
                other => other,
            },
            Kind::And(operands) => self.operands(operands, false),
            Kind::Or(operands) => self.operands(operands, true),
            Kind::Equal { one, other, is_negated } => match (self.worth(one), self.worth(other)) {
                (Worth::Fails(range), _) | (_, Worth::Fails(range)) => Worth::Fails(range),
                (Worth::Null, Worth::Null) => Worth::Bool(!is_negated),
                (Worth::Null, Worth::Value | Worth::Bool(_))
                | (Worth::Value | Worth::Bool(_), Worth::Null) => Worth::Bool(*is_negated),
                (Worth::Bool(one), Worth::Bool(other)) => Worth::Bool((one == other) != *is_negated),
                (one, other) => together([one, other]),
            },
            Kind::Order(_, one, other) => match (self.worth(one), self.worth(other)) {
                (Worth::Fails(range), _) | (_, Worth::Fails(range)) => Worth::Fails(range),
                (Worth::Null, _) | (_, Worth::Null) => Worth::Bool(false),
                (one, other) => together([one, other]),
            },
            Kind::Ternary(condition, then, otherwise) => match self.worth(condition) {
                Worth::Bool(true) => self.worth(then),
                Worth::Bool(false) => self.worth(otherwise),
                Worth::Request => together([self.worth(then), self.worth(otherwise)]),
                other => unknown_unless_failing(other),
            },
            Kind::Coalesce(first, second) => match self.worth(first) {
                Worth::Null => self.worth(second),
                Worth::Request => together([Worth::Request, self.worth(second)]),
                other => other,
            },
            Kind::IfNotNull { target, .. } => match self.worth(target) {
                Worth::Null => Worth::Null,
                other => unknown_unless_failing(other),
            },
            Kind::Concat(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.worth(part)).collect();
                match together(parts) {
                    Worth::Request => Worth::Request,
                    other => unknown_unless_failing(other),
                }
            }
            Kind::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.worth(item)).collect();
                unknown_unless_failing(together(items))
            }
            Kind::AnyByThumbprint(one, _)
            | Kind::HasDeployed(one)
            | Kind::Deployed(one)
            | Kind::AnyDeployed(Some((_, one)))
            | Kind::AllDeployed(_, one)
            | Kind::FirstDeployed { condition: one, .. }
            | Kind::Cast(_, one) => unknown_unless_failing(self.worth(one)),
            Kind::AnyText { list, .. } => unknown_unless_failing(self.worth(list)),
            Kind::Block(statements) => self.block(statements).unwrap_or(Worth::Unknown),
            Kind::LastError(_) | Kind::HasVariable(_) | Kind::DeploymentCount | Kind::AnyDeployed(None) => {
                Worth::Unknown
            }
        }
    }

    fn call(&mut self, function: Function, arguments: &'p [Node], node: &Node) -> Worth {
        let worths: Vec<_> = arguments.iter().map(|argument| self.worth(argument)).collect();
        match (function, worths.first()) {
            (Function::IsNullOrEmpty | Function::IsNullOrWhiteSpace, Some(Worth::Null)) => Worth::Bool(true),
            (
                Function::NotBefore
                | Function::NotAfter
                | Function::Verify
                | Function::SimpleName { .. }
                | Function::DnsName { .. }
                | Function::HasPrivateKey
                | Function::Version
                | Function::SignatureAlgorithm { .. }
                | Function::RawData
                | Function::Sha1
                | Function::SerialReversed,
                Some(Worth::Null),
            ) => Worth::Fails(node.range),
            _ => together(worths),
        }
    }

    /// Evaluates `&&` and `||` in order, up to the deciding operand.
    fn operands(&mut self, operands: &'p [Node], decides: bool) -> Worth {
        let mut open = false;
        for operand in operands {
            match self.worth(operand) {
                Worth::Bool(holds) if holds != decides => {}
                Worth::Bool(_) if open => return Worth::Request,
                Worth::Request => open = true,
                other => return other,
            }
        }
        if open { Worth::Request } else { Worth::Bool(!decides) }
    }

    /// Returns the result of a block; None if it is unknown.
    fn block(&mut self, statements: &'p [Statement]) -> Option<Worth> {
        for statement in statements {
            match statement {
                Statement::Set(slot, value) => match self.worth(value) {
                    failing @ Worth::Fails(_) => return Some(failing),
                    worth => {
                        self.locals.insert(*slot, worth);
                    }
                },
                Statement::Return(value) => return Some(self.worth(value)),
                Statement::If(condition, then, otherwise) => {
                    let branch = match self.worth(condition) {
                        Worth::Bool(true) => then,
                        Worth::Bool(false) => otherwise,
                        other => return Some(unknown_unless_failing(other)),
                    };
                    if branch.iter().any(|statement| !matches!(statement, Statement::Set(..))) {
                        return self.block(branch);
                    }
                    if let Some(failing) = self.block(branch) {
                        return Some(failing);
                    }
                }
            }
        }
        None
    }
}

fn unknown_unless_failing(worth: Worth) -> Worth {
    match worth {
        Worth::Fails(_) => worth,
        _ => Worth::Unknown,
    }
}

/// Combines the values of operands that are all evaluated.
fn together(worths: impl IntoIterator<Item = Worth>) -> Worth {
    let mut made = Worth::Request;
    for worth in worths {
        match worth {
            Worth::Fails(_) => return worth,
            Worth::Request | Worth::Value | Worth::Bool(_) => {}
            Worth::Null | Worth::Unknown => made = Worth::Unknown,
        }
    }
    made
}

fn part(expression: &Expression, range: crate::apim::expression::SourceRange) -> &str {
    expression.source.get(range.start..range.end).unwrap_or("certificate")
}
