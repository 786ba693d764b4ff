//! Inputs and values of expressions.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::syntax::{Slot, is_path, look_up, visit, visit_statements};
use crate::apim::{
    expression::{Dependencies, Expr, ExprKind, Expression, Stmt, SyntaxTree},
    program::Template,
};

/// The inputs that an expression reads itself, and the slots.
#[derive(Debug, Default)]
pub(super) struct Reads<'p> {
    pub(super) dependencies: Dependencies,
    pub(super) slots: Vec<Slot<'p>>,
}

impl<'p> Reads<'p> {
    pub(super) fn of(expression: &'p Expression) -> Self {
        let mut reads = Self { dependencies: expression.dependencies, slots: Vec::new() };
        visit(&expression.syntax, &mut |expr| {
            reads.slots.extend(look_up(expr).map(|(slot, _)| slot));
            // The number of entries counts too.
            reads.dependencies.deployment |= is_path(expr, &["context", "Deployment"]);
        });
        reads
    }

    fn add(&mut self, other: Self) {
        self.dependencies = self.dependencies.and(other.dependencies);
        self.slots.extend(other.slots);
    }
}

/// The values that elements of `<inbound>` set.
#[derive(Debug, Default)]
pub(super) struct Assignments<'p> {
    variables: HashMap<&'p str, Vec<&'p Template>>,
    reads: HashMap<Slot<'p>, Reads<'p>>,
}

impl<'p> Assignments<'p> {
    /// Adds a `set-variable` below conditions with these inputs.
    pub(super) fn add_variable(&mut self, name: &'p str, value: &'p Template, conditions: Dependencies) {
        self.variables.entry(name).or_default().push(value);
        self.add(Slot::Variable(name), value.expression(), conditions);
    }

    /// Adds values below conditions with these inputs.
    pub(super) fn add(
        &mut self,
        slot: Slot<'p>,
        values: impl IntoIterator<Item = &'p Expression>,
        conditions: Dependencies,
    ) {
        let reads = self.reads.entry(slot).or_default();
        reads.dependencies = reads.dependencies.and(conditions);
        values.into_iter().for_each(|value| reads.add(Reads::of(value)));
    }

    /// Returns all inputs, including those of slots.
    pub(super) fn dependencies_of(&self, reads: &Reads<'p>) -> Dependencies {
        let mut found = reads.dependencies;
        let (mut open, mut seen): (Vec<_>, HashSet<_>) = (reads.slots.iter().collect(), HashSet::new());
        while let Some(slot) = open.pop() {
            if seen.insert(slot)
                && let Some(reads) = self.reads.get(slot)
            {
                found = found.and(reads.dependencies);
                open.extend(&reads.slots);
            }
        }
        found
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
