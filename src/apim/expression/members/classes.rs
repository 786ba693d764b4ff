//! Static members and enumerations.

use super::{
    Base::{self, Bool, Bytes, DateTime, Double, Int, Text, TimeSpan},
    Case, Checked, Checker, Fault, Kind, MemberUse, Node,
    Parameter::{self, Any, Comparison, Literal, Of},
    Row, Tag, Type, Typed, Value, constants, member, method,
};
use crate::apim::expression::{base64, node::Statement, time};

const DATE: Parameter = Literal(
    |text| time::parse(text).map(Value::DateTime),
    "the format of this date depends on a culture; write a literal such as 2026-06-01 or 2026-06-01T12:00:00Z",
);
const BASE64: Parameter =
    Literal(|text| base64::decode(text).map(|bytes| Value::Bytes(bytes.into())), "invalid base64");

pub(super) const STRING: &[Row] = &[
    member("Empty", Text, |_, _| Ok(Value::borrowed("")))
        .hook(|_, member| Ok(Some((member.constant(Value::borrowed("")), Type::TEXT)))),
    method("IsNullOrEmpty", &[Of(Text)], Bool, |_, a| Ok(Value::Bool(a.text(0).map_or(true, str::is_empty)))),
    method("IsNullOrWhiteSpace", &[Of(Text)], Bool, |_, a| {
        Ok(Value::Bool(a.text(0).map_or(true, |text| text.trim().is_empty())))
    }),
    method("Equals", &[Of(Text), Of(Text), Comparison(Case::Ordinal)], Bool, |_, a| {
        Ok(Value::Bool(match (a.text(0), a.text(1)) {
            (Ok(one), Ok(other)) => a.case(2).equal(one, other)?,
            (one, other) => one.is_err() && other.is_err(),
        }))
    })
    .tag(Tag::Equals),
    method("Concat", &[Any, Any, Any], Text, |_, _| Err(Fault::InvalidCast)).variadic().hook(concat),
    method("Format", &[Any, Any], Text, |_, _| Err(Fault::InvalidCast)).variadic().hook(format),
    method("Join", &[Of(Text), Of(Base::Texts)], Text, |e, a| {
        let (separator, texts) = (a.text(0).unwrap_or_default(), a.texts(1)?);
        // Charged before joining: a long separator multiplies short texts.
        let separators = separator.len().saturating_mul(texts.len().saturating_sub(1));
        let length = texts.iter().map(|text| text.len()).sum::<usize>();
        e.charge_bytes(length.saturating_add(separators))?;
        Ok(Value::Text(texts.join(separator).into()))
    }),
];

pub(super) const DATE_TIME: &[Row] = &[
    member("Now|UtcNow", DateTime, |e, _| Ok(Value::DateTime(time::from_timestamp(e.inputs.now))))
        .reads(|inputs| inputs.time = true),
    member("Today", DateTime, |e, _| Ok(Value::DateTime(time::midnight(time::from_timestamp(e.inputs.now)))))
        .reads(|inputs| inputs.time = true),
    method("Parse", &[DATE], DateTime, |_, mut a| Ok(a.take(0))).hook(first),
];

pub(super) const TIME_SPAN: &[Row] = &[
    method("FromDays", &[Of(Double)], TimeSpan, |_, a| span(a.number(0)?, 86_400.0)),
    method("FromHours", &[Of(Double)], TimeSpan, |_, a| span(a.number(0)?, 3_600.0)),
    method("FromMinutes", &[Of(Double)], TimeSpan, |_, a| span(a.number(0)?, 60.0)),
    method("FromSeconds", &[Of(Double)], TimeSpan, |_, a| span(a.number(0)?, 1.0)),
];

pub(super) const INT: &[Row] = &[method("Parse", &[Of(Text)], Int, |_, a| int(a.text(0)?))];

pub(super) const BOOL: &[Row] = &[method("Parse", &[Of(Text)], Bool, |_, a| bool(a.text(0)?))];

pub(super) const CONVERT: &[Row] = &[
    method("ToInt32", &[Of(Text)], Int, |_, a| int(a.text(0)?)),
    method("ToBoolean", &[Of(Text)], Bool, |_, a| bool(a.text(0)?)),
    method("ToBase64String", &[Of(Bytes)], Text, |e, a| e.text(base64::encode(a.bytes(0)?))),
    method("FromBase64String", &[BASE64], Bytes, |_, mut a| Ok(a.take(0))).hook(first),
    method("FromBase64String", &[Of(Text)], Bytes, |e, a| {
        let bytes = base64::decode(a.text(0)?);
        let bytes = bytes.ok_or(Fault::Format("The input is not a valid Base-64 string."))?;
        e.charge_bytes(bytes.len())?;
        Ok(Value::Bytes(bytes.into()))
    }),
];

pub(super) const STRING_COMPARISON: &[Row] = &[constants(
    "CurrentCulture|CurrentCultureIgnoreCase|InvariantCulture|InvariantCultureIgnoreCase|Ordinal|OrdinalIgnoreCase",
    "StringComparison",
)];

pub(super) const STRING_SPLIT_OPTIONS: &[Row] = &[constants("None|RemoveEmptyEntries", "StringSplitOptions")];

pub(super) const NAME_TYPE: &[Row] =
    &[constants("SimpleName|DnsName|DnsFromAlternativeName", "X509NameType")];

pub(super) const CONTENT_TYPE: &[Row] = &[constants("Cert", "X509ContentType")];

/// Compiles to the first argument, a constant.
fn first(_: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    Ok(Some((member.nodes.remove(0), member.row.result.into())))
}

fn span<'r>(count: f64, seconds: f64) -> Result<Value<'r>, Fault> {
    time::span(count, seconds).map(Value::TimeSpan)
}

fn int<'r>(text: &str) -> Result<Value<'r>, Fault> {
    // .NET allows ASCII white space around numbers.
    let number = text.trim_matches(|character| matches!(character, '\t'..='\r' | ' ')).parse();
    number.map(Value::Int).map_err(|_| Fault::Format("Input string was not in a correct format."))
}

fn bool<'r>(text: &str) -> Result<Value<'r>, Fault> {
    let value = text.trim().to_ascii_lowercase().parse();
    value.map(Value::Bool).map_err(|_| Fault::Format("String was not recognized as a valid Boolean."))
}

fn concat(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    let values = member.typed(0).into_iter();
    let parts = values.map(|value| checker.printable(value)).collect::<Checked<Vec<_>>>()?;
    Ok(Some((member.node(Kind::Concat(parts.into())), Type::TEXT)))
}

/// Compiles `string.Format("{0};{1}", a, b)` to a block that evaluates the values once and concatenates them.
fn format(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    let start = member.start(0);
    let values = member.typed(1).into_iter().map(|value| {
        let (slot, range) = (checker.slot(), value.0.range.clone());
        Ok((slot, range, checker.printable(value)?))
    });
    let values = values.collect::<Checked<Vec<_>>>()?;
    let text = |text: &mut String| member.constant(Value::Text(std::mem::take(text).into()));
    let Some(mut rest) = member.nodes.first().and_then(Node::literal) else {
        return checker.fail(start, "the format of string.Format must be a string literal");
    };
    let (mut parts, mut plain) = (Vec::new(), String::new());
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("{{") || rest.starts_with("}}") {
            rest = &rest[1..];
        } else if matches!(next, '{' | '}') {
            let index = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let value = index.and_then(|(index, _)| values.get(index.parse::<usize>().ok()?));
            let (Some((_, after)), Some((slot, range, _))) = (index, value) else {
                return checker.fail(start, "string.Format supports only {0}, {1} and so on");
            };
            parts.extend([text(&mut plain), Node { kind: Kind::Local(*slot), range: range.clone() }]);
            rest = after;
            continue;
        }
        plain.push(next);
        rest = &rest[next.len_utf8()..];
    }
    parts.push(text(&mut plain));
    let joined = member.node(Kind::Concat(parts.into()));
    let set = values.into_iter().map(|(slot, _, value)| Statement::Set(slot, value));
    let statements = set.chain([Statement::Return(joined)]).collect();
    Ok(Some((member.node(Kind::Block(statements)), Type::TEXT)))
}
