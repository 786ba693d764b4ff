//! `context`: the request, variables, the last error, and the way to the deployment.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header, uri::Authority};

use super::{
    Base::{self, Bool, Int, Path, Text, Texts},
    Checked, Checker, Evaluated, Evaluation, Fault, Kind, MemberUse, NO_KEY,
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
    .reads(|inputs| inputs.certificate = true),
    same("Headers", Base::HEADERS),
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
    member("Port", Int, |e, _| Ok(Value::Int(e.port()))),
    member("QueryString", Text, |e, _| {
        e.text(e.inputs.facts.uri.query().map(|query| format!("?{query}")).unwrap_or_default())
    }),
    same("Query", Path("context.Request.Url.Query")),
    member("ToString()", Text, |e, _| e.text(e.url())),
];

pub(super) const HEADERS: &[Row] = &[
    method("[]", &[HEADER_NAME], Texts, |e, a| e.headers(a.text(0)?)).hook(check_header),
    method("ContainsKey", &[HEADER_NAME], Bool, |e, a| {
        Ok(Value::Bool(e.request_headers().contains_key(a.text(0)?)))
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
    method("ContainsKey", &[QUERY_NAME], Bool, |e, a| Ok(Value::Bool(!e.query(a.text(0)?)?.is_empty()))),
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
    method("ContainsKey", &[VARIABLE_NAME], Bool, |e, a| Ok(Value::Bool(find(e, a.text(0)?).is_some()))),
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

const HTTPS_PORT: i32 = 443;

/// Maximum query parameters of a request.
const MAX_QUERY_PARAMETERS: usize = 1_000;

impl<'r> Evaluation<'_, 'r> {
    /// The headers with the changes of the document so far.
    pub(super) fn request_headers(&self) -> &HeaderMap {
        self.state.headers.as_ref().unwrap_or(self.inputs.facts.headers)
    }

    /// The values of a header, decoded as Latin-1, as in .NET.
    fn header_values(&self, name: &str) -> Vec<Cow<'r, str>> {
        let values = self.request_headers().get_all(name).iter();
        values.map(|value| value.as_bytes().iter().copied().map(char::from).collect()).collect()
    }

    /// The values of a header, joined by commas; null if it is missing.
    pub(super) fn header(&mut self, name: &str) -> Evaluated<Value<'r>> {
        let values = self.header_values(name);
        // HTTP/2 can split the Cookie field; the parts are joined by "; " (RFC 9113, section 8.2.3).
        let separator = if name == header::COOKIE { "; " } else { "," };
        if values.is_empty() { Ok(Value::Null) } else { self.text(values.join(separator)) }
    }

    pub(super) fn headers(&mut self, name: &str) -> Evaluated<Value<'r>> {
        let texts = self.header_values(name);
        if texts.is_empty() {
            return Err(NO_KEY);
        }
        self.charge_bytes(texts.iter().map(|text| text.len()).sum())?;
        Ok(Value::Texts(texts.into()))
    }

    /// The requested host and port.
    fn authority(&self) -> Option<Authority> {
        let facts = &self.inputs.facts;
        // In the URI with HTTP/2, in the Host header with HTTP/1.1.
        match facts.uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => facts.headers.get(header::HOST)?.to_str().ok()?.parse().ok(),
        }
    }

    pub(super) fn port(&self) -> i32 {
        self.authority().and_then(|authority| authority.port_u16()).map_or(HTTPS_PORT, i32::from)
    }

    /// The host in lower case, as in .NET's `Uri`, without a trailing dot.
    pub(super) fn host(&self) -> String {
        let host =
            self.authority().map(|authority| authority.host().to_ascii_lowercase()).unwrap_or_default();
        host.strip_suffix('.').map(ToOwned::to_owned).unwrap_or(host)
    }

    pub(super) fn url(&self) -> String {
        let path = self.inputs.facts.uri.path_and_query().map_or("/", |path| path.as_str());
        match (self.host(), self.port()) {
            (host, HTTPS_PORT) => format!("https://{host}{path}"),
            (host, port) => format!("https://{host}:{port}{path}"),
        }
    }

    /// Returns the decoded values of a query parameter.
    pub(super) fn query(&mut self, name: &str) -> Evaluated<Vec<String>> {
        let query = self.inputs.facts.uri.query().unwrap_or_default();
        self.charge_bytes(query.len())?;
        let mut found = Vec::new();
        for (index, pair) in query.split('&').enumerate() {
            if index == MAX_QUERY_PARAMETERS {
                return Err(Fault::TooExpensive);
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // Names of query parameters are case-insensitive, as in .NET.
            if !key.is_empty() && decode(key)?.eq_ignore_ascii_case(name) {
                found.push(decode(value)?);
            }
        }
        Ok(found)
    }
}

/// Decodes `application/x-www-form-urlencoded` text.
fn decode(text: &str) -> Evaluated<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high << 4 | low) as u8,
                    _ => return Err(Fault::Format("A query parameter has an invalid percent-encoding.")),
                }
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Fault::Format("A query parameter is not valid UTF-8."))
}
