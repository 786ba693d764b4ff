//! Expressions, as far as their values are known.

use std::collections::HashSet;

use super::{
    Caller,
    state::Variables,
    value::{Seen, Truth, What},
};
use crate::apim::{
    expression::{CertificateText, Comparison, Constant, Kind, Node, RequestText, Statement, Type},
    program::Slot,
};

pub(super) struct Evaluation<'s, 'p> {
    pub(super) caller: Caller,
    pub(super) variables: &'s Variables<'p>,
    pub(super) of_certificate: &'s HashSet<Slot<'p>>,
    pub(super) locals: Vec<Option<Seen<'p>>>,
    /// Some way to the value fails.
    pub(super) may_fault: bool,
    pub(super) steps: usize,
}

/// Knowledge after statements.
struct Ran<'p> {
    returned: Option<Seen<'p>>,
    goes_on: bool,
}

impl<'p> Evaluation<'_, 'p> {
    /// Records that the expression can fail. Returns None.
    pub(super) fn fault<T>(&mut self) -> Option<T> {
        self.may_fault = true;
        None
    }

    pub(super) fn condition(&mut self, node: &'p Node) -> Option<Truth> {
        self.value(node).map(Seen::as_condition)
    }

    /// The value of something of which a member is asked.
    pub(super) fn target(&mut self, node: &'p Node) -> Option<Seen<'p>> {
        let value = self.value(node)?;
        self.not_null(value)
    }

    pub(super) fn not_null(&mut self, value: Seen<'p>) -> Option<Seen<'p>> {
        self.may_fault |= value.is_nullable;
        if value.what == What::Nothing { None } else { Some(Seen::of(value.what)) }
    }

    fn set(&mut self, slot: usize, value: Seen<'p>) {
        if self.locals.len() <= slot {
            self.locals.resize(slot + 1, None);
        }
        if let Some(local) = self.locals.get_mut(slot) {
            *local = Some(value);
        }
    }

    /// Possible results of a condition over a local, without paths that fail.
    fn condition_over(&mut self, slot: usize, value: Seen<'p>, condition: &'p Node) -> Truth {
        self.set(slot, value);
        self.condition(condition).unwrap_or(Truth::NEVER)
    }

    pub(super) fn value(&mut self, node: &'p Node) -> Option<Seen<'p>> {
        self.steps += 1;
        let entry = Seen::of(What::Entry);
        let other = Seen::of(What::Other);
        let unknown = Seen::truth(Truth::UNKNOWN);
        Some(match &node.kind {
            Kind::Constant(constant) => of_constant(constant),
            Kind::Local(slot) => self.locals.get(*slot).copied().flatten().unwrap_or(Seen::UNKNOWN),
            Kind::Certificate => match self.caller {
                Caller::Stranger => Seen::of(What::Certificate),
                Caller::WithoutCertificate => Seen::NULL,
            },
            Kind::CertificateText(which, certificate) => {
                let certificate = self.target(certificate)?;
                Seen::of(match (certificate.what, which) {
                    (What::Certificate, CertificateText::Thumbprint) => What::Thumbprint,
                    (What::Entry, _) => What::Fixed,
                    _ => What::Other,
                })
            }
            Kind::Not(operand) => Seen::truth(self.condition(operand)?.not()),
            Kind::And(operands) => self.conditions(operands, Truth::TRUE)?,
            Kind::Or(operands) => self.conditions(operands, Truth::FALSE)?,
            Kind::Equal { one, other, is_negated } => {
                let (one, other) = (self.value(one)?, self.value(other)?);
                let truth = one.equals(other, true);
                Seen::truth(if *is_negated { truth.not() } else { truth })
            }
            Kind::Order(comparison, one, other) => {
                let (one, other) = (self.value(one)?, self.value(other)?);
                Seen::truth(order(*comparison, one, other))
            }
            Kind::Ternary(condition, then, otherwise) => {
                let truth = self.condition(condition)?;
                let then = if truth.may_hold { self.value(then) } else { None };
                let otherwise = if truth.may_fail { self.value(otherwise) } else { None };
                either(then, otherwise)?
            }
            Kind::Coalesce(first, second) => {
                let first = self.value(first)?;
                if !first.is_nullable {
                    return Some(first);
                }
                let second = self.value(second);
                match first.what {
                    What::Nothing => second?,
                    what => either(Some(Seen::of(what)), second)?,
                }
            }
            Kind::IfNotNull { target, slot, rest } => {
                let target = self.value(target)?;
                let null = target.is_nullable.then_some(Seen::NULL);
                if target.what == What::Nothing {
                    return null;
                }
                self.set(*slot, Seen::of(target.what));
                either(self.value(rest), null)?
            }
            Kind::Concat(parts) => {
                let mut what = What::Fixed;
                for part in parts {
                    let part = self.value(part)?;
                    what = match (what, part.what) {
                        (what, _) if part.is_exact() => what,
                        (What::Fixed, What::Thumbprint | What::Hash) if !part.is_nullable => What::Hash,
                        _ => What::Other,
                    };
                }
                Seen::of(what)
            }
            Kind::Array(items) => {
                let mut is_fixed = true;
                for item in items {
                    is_fixed &= self.target(item)?.what.is_fixed();
                }
                Seen::of(if is_fixed { What::Fixed } else { What::Other })
            }
            Kind::Cast(ty, inner) => {
                let value = self.value(inner)?;
                self.cast(value, *ty)?
            }
            Kind::Block(statements) => self.block(statements).returned?,
            Kind::Call(function, arguments) => self.call(*function, arguments)?,
            Kind::AnyText { list, slot, condition, is_all } => {
                let list = self.target(list)?;
                let item = Seen::of(if list.what.is_fixed() { What::Fixed } else { What::Other });
                let truth = self.condition_over(*slot, item, condition);
                Seen::truth(quantified(truth, *is_all))
            }
            Kind::Variable(name) => match self.variables.get(&**name) {
                Some(variable) => {
                    self.may_fault |= variable.may_be_unset;
                    variable.value
                }
                None => return self.fault(),
            },
            Kind::VariableOr(name, ty, default) => {
                let Some(variable) = self.variables.get(&**name).copied() else { return self.value(default) };
                let set = self.cast(variable.value, *ty);
                let unset = if variable.may_be_unset { self.value(default) } else { None };
                either(set, unset)?
            }
            Kind::HasVariable(name) => Seen::truth(match self.variables.get(&**name) {
                Some(variable) if variable.may_be_unset => Truth::UNKNOWN,
                variable => variable.is_some().into(),
            }),
            Kind::Deployed(key) => {
                let key = self.value(key)?;
                if key.what.is_own_thumbprint() || key.what == What::Nothing {
                    return self.fault();
                }
                self.may_fault = true;
                entry
            }
            Kind::HasDeployed(key) => match self.target(key)?.what {
                what if what.is_own_thumbprint() => Seen::truth(Truth::FALSE),
                _ => unknown,
            },
            Kind::AnyDeployed(None) => unknown,
            Kind::AnyDeployed(Some((slot, condition))) => {
                let truth = self.condition_over(*slot, entry, condition);
                Seen::truth(quantified(truth, false))
            }
            Kind::AllDeployed(slot, condition) => {
                let truth = self.condition_over(*slot, entry, condition);
                Seen::truth(quantified(truth, true))
            }
            Kind::AnyByThumbprint(key, rest) => {
                // Without entries the key is not evaluated.
                let found = match self.value(key) {
                    Some(key) if !key.what.is_own_thumbprint() && key.what != What::Nothing => match rest {
                        Some((slot, condition)) => self.condition_over(*slot, entry, condition),
                        None => Truth::UNKNOWN,
                    },
                    _ => Truth::FALSE,
                };
                Seen::truth(quantified(found, false))
            }
            Kind::FirstDeployed { slot, condition, or_default } => {
                let truth = self.condition_over(*slot, entry, condition);
                let found = truth.may_hold.then_some(entry);
                if *or_default {
                    either(found, Some(Seen::NULL))?
                } else {
                    self.may_fault = true;
                    found?
                }
            }
            Kind::Header(_, default) | Kind::Query(_, default) => {
                self.may_fault |= matches!(node.kind, Kind::Query(..));
                either(Some(other), self.value(default))?
            }
            Kind::Headers(_) | Kind::Queries(_) => {
                self.may_fault = true;
                other
            }
            Kind::HasHeader(_) => unknown,
            Kind::HasQuery(_) => {
                self.may_fault = true;
                unknown
            }
            Kind::Now | Kind::Port | Kind::DeploymentCount => other,
            Kind::Request(RequestText::IpAddress) | Kind::LastError(_) => Seen::UNKNOWN,
            Kind::Request(_) => other,
        })
    }

    /// `&&` of what all holds at first, `||` of what all fails.
    fn conditions(&mut self, operands: &'p [Node], neutral: Truth) -> Option<Seen<'p>> {
        let is_and = neutral == Truth::TRUE;
        let mut truth = Truth::NEVER;
        let mut goes_on = true;
        for operand in operands {
            let Some(next) = self.condition(operand) else {
                goes_on = false;
                break;
            };
            let (may_end, may_go_on) =
                if is_and { (next.may_fail, next.may_hold) } else { (next.may_hold, next.may_fail) };
            if may_end {
                truth = truth.join(neutral.not());
            }
            if !may_go_on {
                goes_on = false;
                break;
            }
        }
        if goes_on {
            truth = truth.join(neutral);
        }
        if truth == Truth::NEVER { None } else { Some(Seen::truth(truth)) }
    }

    /// Something made of others. Made of several of which the caller chooses each, it would be what the caller likes.
    pub(super) fn made_of(&mut self, parts: &'p [Node]) -> Option<Seen<'p>> {
        let mut is_exact = true;
        for part in parts {
            is_exact &= self.value(part)?.is_exact();
        }
        Some(Seen::of(if is_exact { What::Fixed } else { What::Other }))
    }

    fn cast(&mut self, value: Seen<'p>, ty: Type) -> Option<Seen<'p>> {
        let value = if ty.can_be_null() { value } else { self.not_null(value)? };
        self.may_fault |= match value.what {
            What::Nothing => false,
            What::Bool(_) => ty != Type::BOOL,
            What::Int(_) => ty != Type::INT,
            What::Text(_) | What::Thumbprint => ty != Type::TEXT,
            _ => true,
        };
        Some(value)
    }

    fn block(&mut self, statements: &'p [Statement]) -> Ran<'p> {
        let mut returned = None;
        for statement in statements {
            self.steps += 1;
            let goes_on = match statement {
                Statement::Set(slot, value) => match self.value(value) {
                    Some(value) => {
                        self.set(*slot, value);
                        true
                    }
                    None => false,
                },
                Statement::Return(value) => {
                    let value = self.value(value);
                    returned = either(returned, value);
                    false
                }
                Statement::If(condition, then, otherwise) => match self.condition(condition) {
                    Some(truth) => {
                        let ran = self.branch(truth, then, otherwise);
                        returned = either(returned, ran.returned);
                        ran.goes_on
                    }
                    None => false,
                },
            };
            if !goes_on {
                return Ran { returned, goes_on: false };
            }
        }
        Ran { returned, goes_on: true }
    }

    fn branch(&mut self, truth: Truth, then: &'p [Statement], otherwise: &'p [Statement]) -> Ran<'p> {
        if truth != Truth::UNKNOWN {
            return self.block(if truth.may_hold { then } else { otherwise });
        }
        self.steps += self.locals.len();
        let before = self.locals.clone();
        let one = self.block(then);
        let locals = std::mem::replace(&mut self.locals, before);
        let two = self.block(otherwise);
        if one.goes_on && two.goes_on {
            for (slot, local) in locals.into_iter().enumerate() {
                match (local, self.locals.get(slot).copied().flatten()) {
                    (Some(local), Some(known)) => self.set(slot, known.join(local)),
                    (Some(local), None) => self.set(slot, local),
                    (None, _) => {}
                }
            }
        } else if one.goes_on {
            self.locals = locals;
        }
        Ran { returned: either(one.returned, two.returned), goes_on: one.goes_on || two.goes_on }
    }
}

/// One of two values, of which either may be missing.
fn either<'p>(one: Option<Seen<'p>>, other: Option<Seen<'p>>) -> Option<Seen<'p>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.join(other)),
        (one, other) => one.or(other),
    }
}

/// Possible results of `Any` or `All` of a list, which may be empty, from those of the condition for one entry.
fn quantified(truth: Truth, is_all: bool) -> Truth {
    truth.join(Truth::from(is_all))
}

fn order(comparison: Comparison, one: Seen<'_>, other: Seen<'_>) -> Truth {
    match (one.what, other.what) {
        // A comparison with null is false.
        (What::Nothing, _) | (_, What::Nothing) => Truth::FALSE,
        (What::Int(this), What::Int(that)) if !one.is_nullable && !other.is_nullable => {
            Truth::from(match comparison {
                Comparison::Less => this < that,
                Comparison::LessOrEqual => this <= that,
                Comparison::Greater => this > that,
                Comparison::GreaterOrEqual => this >= that,
                Comparison::Equal | Comparison::NotEqual => return Truth::UNKNOWN,
            })
        }
        _ => Truth::UNKNOWN,
    }
}

fn of_constant(constant: &Constant) -> Seen<'_> {
    match constant {
        Constant::Null => Seen::NULL,
        Constant::Bool(value) => Seen::truth(Truth::from(*value)),
        Constant::Int(value) => Seen::of(What::Int(*value)),
        Constant::Text(text) => Seen::of(What::Text(text)),
        Constant::Double(_)
        | Constant::Char(_)
        | Constant::DateTime(_)
        | Constant::TimeSpan(_)
        | Constant::Bytes(_) => Seen::of(What::Fixed),
    }
}
