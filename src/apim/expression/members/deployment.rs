//! `context.Deployment.Certificates`: its entries, keys and certificates.

use super::{
    Base::{self, Bool, Int, Text},
    Checked, Checker, Dependencies, Fault, Function, Kind, MemberUse, NO_KEY, Node,
    Parameter::{Condition, Of},
    Row, Tag, Type, Typed, Value, member, method, same,
};
use crate::{
    apim::{
        dotnet,
        expression::{Comparison, node::Select},
    },
    certificate::Thumbprint,
};

const LOOK_UP: fn(&mut Dependencies) = |inputs| inputs.entries = true;

pub(super) const DEPLOYMENT: &[Row] = &[same("Certificates", Base::ENTRIES)];

pub(super) const ENTRIES: &[Row] = &[
    member("Count", Int, |e, _| Ok(e.inputs.deployed().len().into())),
    same("Values", Base::ENTRY_VALUES),
    same("Keys", Base::ENTRY_KEYS),
    method("[]", &[Of(Text)], Base::Certificate, |e, a| {
        let (deployed, key) = (e.deployed(), a.text(0).ok().and_then(thumbprint));
        key.and_then(|key| deployed.by_thumbprint(key)).map(Value::from).ok_or(NO_KEY)
    })
    .reads(LOOK_UP)
    .tag(Tag::LookUp),
    CONTAINS_KEY,
];

pub(super) const ENTRY_KEYS: &[Row] = &[Row { names: "Contains", ..CONTAINS_KEY }, FIRST_OR_DEFAULT];

pub(super) const ENTRY_VALUES: &[Row] = &[FIRST_OR_DEFAULT];

/// Members of entries, keys and values.
pub(super) const ENTRIES_OR_PARTS: &[Row] = &[
    member("Any()", Bool, |e, _| Ok(Value::Bool(!e.deployed().is_empty()))),
    member("Count()", Int, |e, _| Ok(e.inputs.deployed().len().into())),
    ANY.reads(LOOK_UP),
    ALL.reads(LOOK_UP),
    condition("First", Base::Object, |_, mut a| match a.rest(0) {
        [] => Err(Fault::NotFound("Sequence contains no matching element")),
        _ => Ok(a.take(0)),
    })
    .reads(LOOK_UP),
];

pub(super) const PAIR: &[Row] = &[
    member("Key", Text, |_, a| Ok(Value::borrowed(dotnet::thumbprint(a.pair(0)?.certificate()))))
        .tag(Tag::Key),
    member("Value", Base::Certificate, |_, a| Ok(a.pair(0)?.into())).tag(Tag::Value),
];

/// A null key is an exception in .NET, not a missing key.
const CONTAINS_KEY: Row = method("ContainsKey", &[Of(Text)], Bool, |e, a| {
    let (deployed, key) = (e.deployed(), thumbprint(a.text(0)?));
    Ok(Value::Bool(key.is_some_and(|key| deployed.contains(key))))
})
.reads(LOOK_UP)
.tag(Tag::LookUp);

/// A method with a condition on the items of a list. Its argument is the first item that satisfies the condition, if
/// there is one; that of `All` is the first that does not.
const fn condition(names: &'static str, result: Base, function: Function) -> Row {
    method(names, &[Condition], result, function).hook(select)
}

pub(super) const ANY: Row =
    condition("Any", Bool, |_, a| Ok(Value::Bool(!a.rest(0).is_empty()))).tag(Tag::Any);

pub(super) const ALL: Row =
    condition("All", Bool, |_, a| Ok(Value::Bool(a.rest(0).is_empty()))).tag(Tag::All);

const FIRST_OR_DEFAULT: Row =
    condition("FirstOrDefault", Base::Object, |_, mut a| Ok(a.take(0))).reads(LOOK_UP);

/// Parses a thumbprint in .NET's form only: 40 upper-case hex digits.
pub(crate) fn thumbprint(text: &str) -> Option<Thumbprint> {
    let is_upper = |digit: u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit);
    (text.len() == 40 && text.bytes().all(is_upper)).then(|| text.parse().ok()).flatten()
}

fn select(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    let MemberUse { row, base, .. } = *member;
    let mut nodes = member.typed(0);
    let Some((condition, Type { base: Base::Lambda(slot), .. })) = nodes.pop() else { return Ok(None) };
    let list = nodes.pop().map_or_else(|| member.constant(Value::Null), |(list, _)| list);
    if base == Base::Texts {
        checker.lint_any(&list, slot, &condition, member.range.start);
    }
    let (key, condition) = match row.tag == Tag::Any && base != Base::Texts {
        true => look_up(condition, slot),
        false => (None, condition),
    };
    let item = base.item().unwrap_or(row.result);
    let ty = if row.result == Bool { Type::BOOL } else { item.into() };
    Ok(Some((member.node(Kind::Select(Box::new(Select { row, base, list, slot, key, condition }))), ty)))
}

/// Splits off the key of a condition whose first comparison is of the entry's thumbprint with a value that does not
/// read the entry.
fn look_up(condition: Node, slot: usize) -> (Option<Node>, Node) {
    let Node { kind, range } = condition;
    let mut parts = match kind {
        Kind::And(parts) => parts.into_vec(),
        kind => vec![Node { kind, range: range.clone() }],
    };
    let key = match key_of(parts.remove(0), slot) {
        Ok(key) => Some(key),
        Err(first) => {
            parts.insert(0, first);
            None
        }
    };
    (key, Node { kind: Kind::And(parts.into()), range })
}

/// The key in `entry.Value.Thumbprint == key` and `entry.Key == key`, or the condition if it is not such a comparison.
fn key_of(Node { kind, range }: Node, slot: usize) -> Result<Node, Node> {
    let is_key = |entry: &Node, key: &Node| is_thumbprint(entry, slot) && !key.reads_local(slot);
    match kind {
        Kind::Compare(Comparison::Equal, entry, key) if is_key(&entry, &key) => Ok(*key),
        Kind::Compare(Comparison::Equal, key, entry) if is_key(&entry, &key) => Ok(*key),
        kind => Err(Node { kind, range }),
    }
}

/// True for the thumbprint of the entry in a local: the local itself if it is a key.
fn is_thumbprint(node: &Node, slot: usize) -> bool {
    match &node.kind {
        Kind::Local(local) => *local == slot,
        Kind::Call(Row { tag: Tag::Thumbprint | Tag::Key | Tag::Value, .. }, inner) => {
            inner.first().is_some_and(|inner| is_thumbprint(inner, slot))
        }
        _ => false,
    }
}
