//! `context`: the request, variables, the last error, and the way to the deployment.

use http::HeaderName;

use super::{
    Base::{self, Bool, Int, Path, Text, Texts},
    Checked, Checker, Dependencies, Evaluated, Evaluation, Kind, MemberUse, NO_KEY,
    Parameter::{self, Literal, Optional},
    Row, Type, Typed, Value, member, method, rows, same,
};
use crate::{
    apim::expression::eval::{LastError, Variable},
    request::claims::{is_claim, is_identity_claim},
};

const VARIABLE_NAME: Parameter = Literal(name, "the name of a variable must be a string literal");
const QUERY_NAME: Parameter = Literal(name, "the name of a query parameter must be a string literal");
const HEADER_NAME: Parameter = Literal(
    |name| name.parse::<HeaderName>().ok().map(|name| Value::Text(name.to_string().into())),
    "the name of a header must be a string literal and a valid name",
);

fn name(text: &str) -> Option<Value<'static>> {
    (1..=256).contains(&text.len()).then(|| Value::Text(text.to_owned().into()))
}

pub(super) const CONTEXT: &[Row] = &[
    same("Request", Path("context.Request")),
    same("Deployment", Path("context.Deployment")),
    same("Variables", Base::VARIABLES),
    same("LastError", Path("context.LastError")).hook(last_error),
];

pub(super) const REQUEST: &[Row] = &[
    member("Certificate", Base::Certificate, |e, _| {
        e.state.certificate_read = true;
        Ok(e.inputs.certificate())
    })
    .reads(Dependencies { certificate: true, ..Dependencies::NONE }),
    same("Headers", Path("context.Request.Headers")),
    same("Url|OriginalUrl", Path("context.Request.Url")),
    // The caller chooses both: a method can be any token.
    member("Method", Text, |e, _| Ok(Value::borrowed(e.inputs.facts.method.as_str()))),
    member("IpAddress", Text, |e, _| match e.inputs.facts.remote {
        Some(remote) => e.text(remote.to_string()),
        None => Ok(Value::Null),
    }),
];

pub(super) const URL: &[Row] = &[
    member("Path", Text, |e, _| Ok(Value::borrowed(e.inputs.facts.uri.path()))),
    member("Host", Text, |e, _| e.text(e.host())),
    // Certificates require TLS. The caller's scheme (`GET http://host/`, `:scheme`) is ignored.
    member("Scheme", Text, |_, _| Ok(Value::borrowed("https"))),
    member("Port", Int, |e, _| Ok(e.port().into())),
    member("QueryString", Text, |e, _| match e.inputs.facts.uri.query() {
        Some(query) => e.text(format!("?{query}")),
        None => Ok(Value::borrowed("")),
    }),
    same("Query", Path("context.Request.Url.Query")),
    member("ToString()", Text, |e, _| e.text(e.url())),
];

pub(super) const HEADERS: &[Row] = &[
    method("[]", &[HEADER_NAME], Texts, |e, a| e.headers(a.text(0)?)).hook(check_header),
    method("ContainsKey", &[HEADER_NAME], Bool, |e, a| {
        Ok(e.request_headers().contains_key(a.text(0)?).into())
    })
    .hook(check_header),
    method("GetValueOrDefault", &[HEADER_NAME, Optional(Text)], Text, |e, a| e.header(a.text(0)?))
        .hook(check_header),
];

pub(super) const QUERY: &[Row] = &[
    method("[]", &[QUERY_NAME], Texts, |e, a| match e.query(a.text(0)?)? {
        values if values.is_empty() => Err(NO_KEY),
        values => Ok(Value::Texts(values.into_iter().map(Into::into).collect())),
    }),
    method("ContainsKey", &[QUERY_NAME], Bool, |e, a| Ok((!e.query(a.text(0)?)?.is_empty()).into())),
    method("GetValueOrDefault", &[QUERY_NAME, Optional(Text)], Text, |e, a| {
        match e.query(a.text(0)?)?.as_slice() {
            [] => Ok(Value::Null),
            values => e.text(values.join(",")),
        }
    })
    .hook(with_default),
];

pub(super) const VARIABLES: &[Row] = &[
    method("[]", &[VARIABLE_NAME], Base::Object, |e, a| variable(e, a.text(0)?)).hook(|checker, member| {
        let position = checker.text.position(member.start(0));
        checker.variables.push((member.name().into(), position));
        Ok(None)
    }),
    method("ContainsKey", &[VARIABLE_NAME], Bool, |e, a| Ok(find(e, a.text(0)?).is_some().into())),
    method("GetValueOrDefault", &[VARIABLE_NAME, Optional(Base::Object)], Base::Object, |e, a| {
        variable(e, a.text(0)?)
    })
    .hook(variable_or_default),
];

pub(super) const LAST_ERROR: &[Row] = &[
    member("Source", Text, |e, _| error_field(e, |error| Some(error.source.clone()))),
    member("Reason", Text, |e, _| error_field(e, |error| Some(error.reason.to_owned()))),
    member("Message", Text, |e, _| error_field(e, |error| Some(error.message.clone()))),
    member("Scope", Text, |e, _| error_field(e, |error| Some(error.scope.to_owned()))),
    member("Section", Text, |e, _| error_field(e, |error| Some(error.section.to_owned()))),
    member("Path", Text, |e, _| error_field(e, |error| Some(error.path.clone()))),
    member("PolicyId", Text, |e, _| error_field(e, |error| error.policy_id.clone())),
];

fn last_error(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    match checker.scope.has_error {
        true => Ok(Some((member.pop(), member.row.result.into()))),
        false => checker.fail(member.at, "context.LastError is only supported in <on-error>"),
    }
}

fn error_field<'r>(
    evaluation: &Evaluation<'_, 'r>,
    field: fn(&LastError) -> Option<String>,
) -> Evaluated<Value<'r>> {
    let text = evaluation.state.last_error.as_ref().and_then(field);
    Ok(text.map_or(Value::Null, |text| Value::Text(text.into())))
}

/// Returns a variable, and records that the certificate was read if its value was computed from it.
fn find<'e, 'r>(evaluation: &'e mut Evaluation<'_, 'r>, name: &str) -> Option<&'e Variable<'r>> {
    let state = &mut *evaluation.state;
    let known = state.variables.iter().find(|variable| variable.name == name)?;
    state.certificate_read |= known.reads_certificate;
    Some(known)
}

fn variable<'r>(evaluation: &mut Evaluation<'_, 'r>, name: &str) -> Evaluated<Value<'r>> {
    let value = find(evaluation, name).ok_or(NO_KEY)?.value.clone();
    evaluation.charge_copy(&value)?;
    Ok(value)
}

/// Replaces null by the second argument, if there is one.
fn with_default(_: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    let Some((default, _)) = member.typed(1).pop() else { return Ok(None) };
    let name = member.pop();
    let value = member.node(Kind::Call(member.row, [name].into()));
    Ok(Some((member.node(Kind::Coalesce(Box::new(value), Box::new(default))), Type::TEXT)))
}

/// Rejects headers that identify the caller, and warns of those that describe its address.
fn check_header(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    let (start, name) = (member.start(0), member.name());
    if is_identity_claim(name) {
        let message = format!(
            "header {name} is set by the caller and proves nothing about it; use context.Request.Certificate, which the TLS \
             handshake proves"
        );
        return checker.fail(start, message);
    }
    if is_claim(name) {
        let message = format!(
            "header {name} is set by the caller and does not prove an address or host; use context.Request.IpAddress for \
             the address of the connection"
        );
        checker.warn(start, message);
    }
    with_default(checker, member)
}

/// Compiles to `ContainsKey(name) ? (type)context.Variables[name] : default`.
fn variable_or_default(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    let wanted = match member.generic.map(Type::from_name) {
        Some(None) => return checker.fail(member.at, "the type argument is not supported"),
        known => known.flatten(),
    };
    let default = member.typed(1).pop();
    let (default, ty) = match (default, wanted) {
        (Some(default), Some(wanted)) => (checker.fit(default, wanted)?, wanted),
        // The type of the default.
        (Some(default), None) => checker.as_value(default)?,
        (None, Some(wanted)) => {
            let default = if wanted.nullable { Value::Null } else { wanted.base.default() };
            (member.constant(default), wanted)
        }
        (None, None) => {
            return checker.fail(
                member.at,
                "GetValueOrDefault needs a type argument, as in GetValueOrDefault<string>(\"name\")",
            );
        }
    };
    let call = |method| {
        let name = member.constant(Value::Text(member.name().to_owned().into()));
        let row = rows(Base::VARIABLES, method, true).next().unwrap_or(member.row);
        Box::new(member.node(Kind::Call(row, [name].into())))
    };
    let value = Box::new(member.node(Kind::Cast(ty, call("[]"))));
    Ok(Some((member.node(Kind::Ternary(call("ContainsKey"), value, Box::new(default))), ty)))
}
