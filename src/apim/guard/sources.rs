//! Inputs and values of expressions.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::syntax::{variable, visit_statements};
use crate::apim::{
    expression::{Dependencies, Expr, ExprKind, Expression, Slot, Stmt, SyntaxTree},
    program::Template,
};

/// A value of the composition that others depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    Slot(Slot),
    /// The conditions around elements, by number.
    Conditions(usize),
}

/// The inputs of an expression or of several, and the sources whose inputs count too.
#[derive(Debug, Default)]
pub(super) struct Reads {
    dependencies: Dependencies,
    sources: Vec<Source>,
}

impl Reads {
    pub(super) fn of(expression: &Expression) -> Self {
        let sources = expression.reads.iter().cloned().map(Source::Slot).collect();
        Self { dependencies: expression.dependencies, sources }
    }

    /// The inputs of a validation.
    pub(super) fn of_certificate() -> Self {
        Self {
            dependencies: Dependencies { certificate: true, ..Dependencies::default() },
            sources: Vec::new(),
        }
    }

    pub(super) fn of_conditions(around: Conditions) -> Self {
        let sources = around.map(Source::Conditions).into_iter().collect();
        Self { dependencies: Dependencies::default(), sources }
    }

    fn add(&mut self, other: Self) {
        self.dependencies = self.dependencies.and(other.dependencies);
        self.sources.extend(other.sources);
    }
}

/// The number of the conditions around an element; none at the top level.
pub(super) type Conditions = Option<usize>;

/// The values that elements of `<inbound>` set, and the conditions around them.
#[derive(Debug, Default)]
pub(super) struct Assignments<'p> {
    variables: HashMap<&'p str, Vec<&'p Template>>,
    reads: HashMap<Source, Reads>,
    conditions: usize,
}

impl<'p> Assignments<'p> {
    /// Adds a condition to those around it.
    pub(super) fn add_condition(&mut self, around: Conditions, condition: &Expression) -> Conditions {
        let mut reads = Reads::of(condition);
        reads.add(Reads::of_conditions(around));
        let number = self.conditions;
        self.conditions += 1;
        self.reads.insert(Source::Conditions(number), reads);
        Some(number)
    }

    /// Adds a `set-variable`.
    pub(super) fn add_variable(&mut self, name: &'p str, value: &'p Template, around: Conditions) {
        self.variables.entry(name).or_default().push(value);
        self.add(Slot::Variable(name.into()), value.expression(), around);
    }

    /// Adds values of a slot.
    pub(super) fn add<'e>(
        &mut self,
        slot: Slot,
        values: impl IntoIterator<Item = &'e Expression>,
        around: Conditions,
    ) {
        let reads = self.reads.entry(Source::Slot(slot)).or_default();
        reads.add(Reads::of_conditions(around));
        values.into_iter().for_each(|value| reads.add(Reads::of(value)));
    }

    /// Returns all inputs, including those of sources.
    pub(super) fn dependencies_of<'s>(&'s self, reads: &'s Reads) -> Dependencies {
        let mut found = reads.dependencies;
        let (mut open, mut seen): (Vec<_>, HashSet<_>) = (reads.sources.iter().collect(), HashSet::new());
        while let Some(source) = open.pop() {
            if seen.insert(source)
                && let Some(reads) = self.reads.get(source)
            {
                found = found.and(reads.dependencies);
                open.extend(&reads.sources);
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
                    let (name, default) = variable(expr)?;
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
