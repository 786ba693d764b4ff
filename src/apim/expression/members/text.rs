//! Members of `string`, `string[]` and `char`, and texts of values.

use std::borrow::Cow;

use super::{
    Base::{self, Bool, Char, Int, Text, Texts},
    Case::{Culture, Ordinal},
    Checked, Checker, Evaluated, Evaluation, Fault, Kind, MemberUse, Node,
    Parameter::{Any, Comparison, Of, Optional, TextOrChar},
    Row, Tag, Type, Typed, Value,
    deployment::{ALL, ANY},
    member, method,
};
use crate::apim::expression::{text, value::Arguments};

pub(super) const STRING: &[Row] = &[
    member("Length", Int, |_, a| Ok(text::length(a.text(0)?).into())),
    method("[]", &[Of(Int)], Char, |_, a| {
        text::char_at(a.text(0)?, a.int(1)?).map(Value::Char).ok_or(OUT_OF_RANGE)
    }),
    member("ToUpper()|ToUpperInvariant()", Text, |e, a| e.text(text::to_upper(a.text(0)?))).tag(Tag::Upper),
    member("ToLower()|ToLowerInvariant()", Text, |e, a| e.text(text::to_lower(a.text(0)?))).tag(Tag::Lower),
    member("ToString()", Text, to_text).tag(Tag::Same),
    method("Trim", &[Of(Char)], Text, |e, a| trim(e, a, true, true)).variadic().tag(Tag::Same),
    method("TrimStart", &[Of(Char)], Text, |e, a| trim(e, a, true, false)).variadic().tag(Tag::Same),
    method("TrimEnd", &[Of(Char)], Text, |e, a| trim(e, a, false, true)).variadic().tag(Tag::Same),
    method("Contains", &[TextOrChar, Comparison(Ordinal)], Bool, |_, a| {
        Ok(Value::Bool(a.case(2).find(a.text(0)?, a.text(1)?)?.is_some()))
    })
    .tag(Tag::Part),
    method("StartsWith", &[TextOrChar, Comparison(Culture)], Bool, |_, a| {
        Ok(Value::Bool(a.case(2).starts_with(a.text(0)?, a.text(1)?)?))
    })
    .tag(Tag::Part),
    method("EndsWith", &[TextOrChar, Comparison(Culture)], Bool, |_, a| {
        Ok(Value::Bool(a.case(2).ends_with(a.text(0)?, a.text(1)?)?))
    })
    .tag(Tag::Part),
    method("Equals", &[Of(Text), Comparison(Ordinal)], Bool, |_, a| {
        let one = a.text(0)?;
        a.text(1).map_or(Ok(false), |other| a.case(2).equal(one, other)).map(Value::Bool)
    })
    .tag(Tag::Equals),
    method("IndexOf", &[TextOrChar, Comparison(Culture)], Int, |_, a| {
        Ok(position(a.case(2).find(a.text(0)?, a.text(1)?)?))
    }),
    method("LastIndexOf", &[Of(Char)], Int, |_, a| {
        let text = a.text(0)?;
        Ok(position(text.rfind(a.char(1)?).map(|byte| text::position(text, byte))))
    }),
    method("Substring", &[Of(Int), Optional(Int)], Text, |e, mut a| {
        let (text, start, count) = (a.take(0), a.int(1)?, a.int(2).ok());
        part(e, text, |text| text::substring(text, start, count))
    }),
    method("Replace", &[TextOrChar, TextOrChar], Text, replace),
    method("Split", &[Any, Any], Texts, split).variadic().tag(Tag::Split).hook(separators),
];

pub(super) const LIST: &[Row] = &[
    member("Length|Count|Count()", Int, |_, a| Ok(a.texts(0)?.len().into())),
    method("[]", &[Of(Int)], Text, |e, a| {
        let index = usize::try_from(a.int(1)?).map_err(|_| OUT_OF_RANGE)?;
        item(e, a.texts(0)?.get(index))?.ok_or(OUT_OF_RANGE)
    }),
    member("First()", Text, |e, a| item(e, a.texts(0)?.first())?.ok_or(NO_ELEMENT)),
    member("FirstOrDefault()", Text, |e, a| Ok(item(e, a.texts(0)?.first())?.unwrap_or(Value::Null))),
    member("Last()", Text, |e, a| item(e, a.texts(0)?.last())?.ok_or(NO_ELEMENT)),
    member("Any()", Bool, |_, a| Ok(Value::Bool(!a.texts(0)?.is_empty()))),
    ANY,
    ALL,
    method("Contains", &[Of(Text)], Bool, |_, a| {
        let texts = a.texts(0)?;
        Ok(Value::Bool(a.text(1).is_ok_and(|wanted| texts.iter().any(|text| text == wanted))))
    })
    .tag(Tag::Contains),
];

/// Values with a text.
pub(super) const PRINTABLE: &[Row] = &[member("ToString()", Text, to_text)];

const NO_ELEMENT: Fault = Fault::NotFound("Sequence contains no elements");
const OUT_OF_RANGE: Fault = Fault::NotFound("Index was outside the bounds of the array.");

/// `ToString()` of a value that is not null.
pub(super) fn to_text<'r>(
    evaluation: &mut Evaluation<'_, 'r>,
    mut arguments: Arguments<'_, 'r>,
) -> Evaluated<Value<'r>> {
    match arguments.take(0) {
        Value::Null => Err(Fault::NullReference),
        text @ Value::Text(_) => Ok(text),
        other => evaluation.text(other.print()?.into_owned()),
    }
}

/// Applies a function that returns a part of a string, which borrows from the string if that is not a copy.
fn part<'r>(
    evaluation: &mut Evaluation<'_, 'r>,
    text: Value<'r>,
    select: impl Fn(&str) -> Evaluated<&str>,
) -> Evaluated<Value<'r>> {
    match text {
        Value::Text(Cow::Borrowed(text)) => select(text).map(Value::borrowed),
        Value::Text(Cow::Owned(text)) => evaluation.text(select(&text)?.to_owned()),
        _ => Err(Fault::NullReference),
    }
}

fn trim<'r>(
    evaluation: &mut Evaluation<'_, 'r>,
    mut arguments: Arguments<'_, 'r>,
    start: bool,
    end: bool,
) -> Evaluated<Value<'r>> {
    let text = arguments.take(0);
    let is_trimmed = |character: char| match arguments.rest(1) {
        [] => character.is_whitespace(),
        trimmed => is_one_of(trimmed, character),
    };
    part(evaluation, text, |text| {
        let text = if start { text.trim_start_matches(is_trimmed) } else { text };
        Ok(if end { text.trim_end_matches(is_trimmed) } else { text })
    })
}

fn is_one_of(characters: &[Value<'_>], character: char) -> bool {
    characters.iter().any(|one| matches!(one, Value::Char(one) if *one == character))
}

fn position<'r>(found: Option<usize>) -> Value<'r> {
    found.map_or(Value::Int(-1), Value::from)
}

fn replace<'r>(evaluation: &mut Evaluation<'_, 'r>, arguments: Arguments<'_, 'r>) -> Evaluated<Value<'r>> {
    let (text, old) = (arguments.text(0)?, arguments.text(1)?);
    if old.is_empty() {
        return Err(Fault::Format("String cannot be of zero length."));
    }
    let new = arguments.text(2).unwrap_or_default();
    // Charged before replacing: replacing short texts by long ones multiplies the length.
    evaluation.charge_bytes(text.len() + text.matches(old).count() * new.len())?;
    Ok(Value::Text(text.replace(old, new).into()))
}

/// Copies an element of a list.
fn item<'r>(
    evaluation: &mut Evaluation<'_, 'r>,
    item: Option<&Cow<'r, str>>,
) -> Evaluated<Option<Value<'r>>> {
    let value = item.cloned().map(Value::Text);
    value.iter().try_for_each(|value| evaluation.charge_copy(value))?;
    Ok(value)
}

/// The parts of a string between characters or occurrences of a string.
fn parts<'t: 'b, 'b>(
    text: &'t str,
    by: &'b [Value<'_>],
    keeps_empty: bool,
) -> Box<dyn Iterator<Item = &'t str> + 'b> {
    let is_kept = move |part: &&str| keeps_empty || !part.is_empty();
    match by {
        [Value::Text(by)] => Box::new(text.split(&**by).filter(is_kept)),
        by => Box::new(text.split(move |next| is_one_of(by, next)).filter(is_kept)),
    }
}

fn split<'r>(evaluation: &mut Evaluation<'_, 'r>, mut arguments: Arguments<'_, 'r>) -> Evaluated<Value<'r>> {
    let Value::Text(text) = arguments.take(0) else { return Err(Fault::NullReference) };
    let keeps_empty = matches!(arguments.rest(1), [Value::Bool(true), ..]);
    let by = arguments.rest(2);
    evaluation.charge_bytes(text.len() + 32 + parts(&text, by, keeps_empty).count() * 32)?;
    Ok(Value::Texts(match text {
        Cow::Borrowed(text) => parts(text, by, keeps_empty).map(Cow::Borrowed).collect(),
        Cow::Owned(text) => parts(&text, by, keeps_empty).map(|part| Cow::Owned(part.to_owned())).collect(),
    }))
}

/// Compiles `Split(',')`, `Split(new[] {','})` and `Split(", ")`, with or without options, to one form: the text, true if
/// empty parts are kept, and the separators.
fn separators(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    let mut arguments = member.typed(1);
    let options = arguments.pop_if(|(_, ty)| ty.base == Base::Constant("StringSplitOptions"));
    let keeps_empty = options.is_none_or(|(node, _)| matches!(node.kind, Kind::Constant(Value::Int(0))));
    member.nodes.push(member.constant(Value::Bool(keeps_empty)));
    for (node, ty) in arguments {
        match node.kind {
            Kind::Array(items) if ty.base == Base::Chars => member.nodes.extend(items),
            _ if node.literal().is_some_and(|by| !by.is_empty()) && member.nodes.len() == 2 => {
                member.nodes.push(node);
            }
            _ => {
                let node = checker.fit((node, ty), Type::from(Char))?;
                member.nodes.push(node);
            }
        }
    }
    let is_mixed = member.nodes.len() > 3 && member.nodes.iter().skip(2).any(|by| by.literal().is_some());
    if member.nodes.len() < 3 || is_mixed {
        return checker.fail(member.at, "Split needs character literals, as in Split(',')");
    }
    Ok(None)
}

/// The literal parts that `Split` with these arguments yields.
pub(crate) fn literal_parts(arguments: &[Node]) -> Vec<Box<str>> {
    let [text, _, by @ ..] = arguments else { return Vec::new() };
    let by = by.iter().filter_map(|by| match &by.kind {
        Kind::Constant(by) => Some(by.clone()),
        _ => None,
    });
    parts(text.literal().unwrap_or_default(), &by.collect::<Vec<_>>(), false).map(Into::into).collect()
}
