//! Sources and values of expressions, on their syntax trees.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::syntax::{Slot, is_path, look_up, visit, visit_statements};
use crate::apim::{
    expression::{Expr, ExprKind, Expression, Stmt, SyntaxTree},
    program::{HeaderChange, Template},
};

/// Data that a value is computed from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) certificate: bool,
    /// Headers, URL, method and address.
    pub(super) request: bool,
    /// The time, the deployment and `context.LastError`.
    pub(super) other: bool,
}

impl Sources {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            certificate: self.certificate || other.certificate,
            request: self.request || other.request,
            other: self.other || other.other,
        }
    }

    /// Returns true if the caller sends any of the sources.
    pub(super) fn of_caller(self) -> bool {
        self.certificate || self.request
    }
}

/// The sources that an expression reads itself, and the slots.
#[derive(Debug, Default)]
pub(super) struct Reads<'p> {
    pub(super) sources: Sources,
    pub(super) slots: Vec<Slot<'p>>,
}

impl<'p> Reads<'p> {
    pub(super) fn of(syntax: &'p SyntaxTree) -> Self {
        let mut reads = Self::default();
        visit(syntax, &mut |expr| {
            reads.slots.extend(look_up(expr).map(|(slot, _)| slot));
            let ExprKind::Member(target, name, _) = &expr.kind else { return };
            if is_path(target, &["context", "Request"]) {
                reads.sources.certificate |= name == "Certificate";
                reads.sources.request |= name != "Certificate";
            } else if is_path(target, &["context"]) {
                reads.sources.other |= !matches!(name.as_str(), "Request" | "Variables");
            } else if is_path(target, &["DateTime"]) {
                reads.sources.other |= matches!(name.as_str(), "Now" | "UtcNow" | "Today");
            }
        });
        reads
    }
}

/// The values that elements of `<inbound>` set.
#[derive(Debug, Default)]
pub(super) struct Assignments<'p> {
    variables: HashMap<&'p str, Vec<&'p Template>>,
    reads: HashMap<Slot<'p>, Vec<Reads<'p>>>,
    sources: HashMap<Slot<'p>, Sources>,
}

impl<'p> Assignments<'p> {
    /// Adds a `set-variable` below conditions with these sources.
    pub(super) fn add_variable(&mut self, name: &'p str, value: &'p Template, conditions: Sources) {
        self.variables.entry(name).or_default().push(value);
        self.add(Slot::Variable(name), value.expression(), conditions);
    }

    /// Adds a `set-header` below conditions with these sources.
    pub(super) fn add_header(&mut self, change: &'p HeaderChange, conditions: Sources) {
        self.add(Slot::Header(change.name.clone()), change.expressions(), conditions);
    }

    fn add(&mut self, slot: Slot<'p>, values: impl IntoIterator<Item = &'p Expression>, conditions: Sources) {
        let reads = self.reads.entry(slot).or_default();
        reads.push(Reads { sources: conditions, slots: Vec::new() });
        reads.extend(values.into_iter().map(|value| Reads::of(&value.syntax)));
    }

    /// Resolves slots that depend on others. Call it after the last element was added.
    pub(super) fn resolve(&mut self) {
        loop {
            let mut resolved = HashMap::new();
            for (slot, reads) in &self.reads {
                let sources = reads.iter().map(|reads| self.sources_of(reads));
                resolved.insert(slot.clone(), sources.fold(Sources::default(), Sources::and));
            }
            if resolved == self.sources {
                return;
            }
            self.sources = resolved;
        }
    }

    /// Returns all sources, including those of slots.
    pub(super) fn sources_of(&self, reads: &Reads<'p>) -> Sources {
        let of_slots = reads.slots.iter().filter_map(|slot| self.sources.get(slot).copied());
        of_slots.fold(reads.sources, Sources::and)
    }

    /// Returns all possible values of an expression if they are literals of the document; null is omitted.
    pub(super) fn values(&self, syntax: &'p SyntaxTree) -> Option<BTreeSet<&'p str>> {
        let (mut values, mut seen) = (BTreeSet::new(), HashSet::new());
        let mut open: Vec<(&Expr, &[Stmt])> = results(syntax);
        while let Some((expr, block)) = open.pop() {
            match &expr.kind {
                ExprKind::Null => {}
                ExprKind::Text(text) => {
                    values.insert(text.as_str());
                }
                ExprKind::Ternary(_, one, other) | ExprKind::Coalesce(one, other) => {
                    open.extend([(&**one, block), (&**other, block)]);
                }
                ExprKind::Cast(_, value) => open.push((value, block)),
                ExprKind::Name(local) => {
                    if !seen.insert((block.as_ptr(), local.as_str())) {
                        continue;
                    }
                    let assigned = assigned(local, block);
                    if assigned.is_empty() {
                        return None;
                    }
                    open.extend(assigned.into_iter().map(|value| (value, block)));
                }
                _ => {
                    let (Slot::Variable(name), default) = look_up(expr)? else { return None };
                    open.extend(default.map(|default| (default, block)));
                    if !seen.insert((std::ptr::null(), name)) {
                        continue;
                    }
                    for value in self.variables.get(name).into_iter().flatten() {
                        match value {
                            Template::Literal(text) => {
                                values.insert(&**text);
                            }
                            Template::Expression(value) => open.extend(results(&value.syntax)),
                        }
                    }
                }
            }
        }
        Some(values)
    }
}

/// Returns the expressions whose value an expression can return, each with its block.
fn results(syntax: &SyntaxTree) -> Vec<(&Expr, &[Stmt])> {
    let block = match syntax {
        SyntaxTree::Expression(expr) => return vec![(expr, &[])],
        SyntaxTree::Block(block, _) => block,
    };
    let mut results = Vec::new();
    visit_statements(block, &mut |statement| {
        if let Stmt::Return(value) = statement {
            results.push((value, block.as_slice()));
        }
    });
    results
}

/// Returns all values that a block assigns to a local.
fn assigned<'p>(local: &str, block: &'p [Stmt]) -> Vec<&'p Expr> {
    let mut values = Vec::new();
    visit_statements(block, &mut |statement| match statement {
        Stmt::Declare { name, value, .. } | Stmt::Assign { name, value, .. } if name == local => {
            values.push(value);
        }
        _ => {}
    });
    values
}
