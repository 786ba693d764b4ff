//! Method calls.

use super::{Checked, Checker, Constant, Expr, ExprKind, Function, Node, Span, TypeName, call, range};
use crate::apim::expression::{
    node::Kind,
    ty::{Base, Type},
};

impl Checker {
    pub(super) fn call(
        &mut self,
        callee: &Expr,
        generic: Option<&TypeName>,
        arguments: &[Expr],
        span: &Span,
    ) -> Checked {
        let ExprKind::Member(target, name, at) = &callee.kind else {
            return self.fail(&callee.span, "only methods can be called");
        };
        let (node, ty) = self.expression(target)?;
        if ty.nullable && ty.is_value() {
            return self.fail(at, format!("{ty} can be null; add ?? or compare it with null first"));
        }
        if generic.is_some() && !matches!(ty.base, Base::Variables) {
            return self.fail(at, format!("{name} takes no type argument"));
        }
        match ty.base {
            Base::Class(class) => self.static_call(class, name, arguments, at, span),
            Base::Variables => self.variables_call(name, generic, arguments, at, span),
            Base::Headers => self.headers_call(name, arguments, at, span),
            Base::Query => self.query_call(name, arguments, at, span),
            Base::Certificates | Base::CertificateValues | Base::CertificateKeys => {
                self.deployment_call(ty.base, name, arguments, at, span)
            }
            Base::Certificate => self.certificate_call(node, name, arguments, at, span),
            Base::Text | Base::Texts => self.text_call(node, ty.base, name, arguments, at, span),
            Base::DateTime | Base::TimeSpan => self.time_call(node, ty, name, arguments, at, span),
            Base::Url if matches!((name.as_str(), arguments), ("ToString", [])) => {
                self.dependencies.request = true;
                let kind = Kind::Request(crate::apim::expression::node::RequestText::Url);
                Ok((Node { kind, range: range(span) }, Type::TEXT))
            }
            Base::Bool | Base::Int | Base::Char | Base::Object
                if matches!((name.as_str(), arguments), ("ToString", [])) =>
            {
                Ok((call(Function::ToText, vec![node], span), Type::TEXT))
            }
            _ => self.fail(at, format!("{name} of {ty} is not supported")),
        }
    }

    fn variables_call(
        &mut self,
        name: &str,
        generic: Option<&TypeName>,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        match (name, arguments) {
            ("ContainsKey", [key]) => {
                let key = self.key(key, "variable")?;
                Ok((Node { kind: Kind::HasVariable(key), range: range(span) }, Type::BOOL))
            }
            ("GetValueOrDefault", [key, rest @ ..]) if rest.len() < 2 => {
                let key = self.key(key, "variable")?;
                let wanted = match generic.map(Type::from_name) {
                    Some(Some(wanted)) => Some(wanted),
                    Some(None) => return self.fail(at, "the type argument is not supported"),
                    None => None,
                };
                let (default, ty) = match (rest, wanted) {
                    ([default], Some(wanted)) => (self.expect(default, wanted)?, wanted),
                    // The type of the default.
                    ([default], None) => self.value(default)?,
                    ([], Some(wanted)) => (default_of(wanted, span), wanted),
                    _ => return self.fail(
                        at,
                        "GetValueOrDefault needs a type argument, as in GetValueOrDefault<string>(\"name\")",
                    ),
                };
                let kind = Kind::VariableOr(key, ty, Box::new(default));
                Ok((Node { kind, range: range(span) }, ty))
            }
            _ => self.fail(at, format!("context.Variables.{name} is not supported")),
        }
    }

    fn headers_call(&mut self, name: &str, arguments: &[Expr], at: &Span, span: &Span) -> Checked {
        match (name, arguments) {
            ("ContainsKey", [key]) => {
                let key = self.header(key)?;
                Ok((Node { kind: Kind::HasHeader(key), range: range(span) }, Type::BOOL))
            }
            ("GetValueOrDefault", [key, rest @ ..]) if rest.len() < 2 => {
                let key = self.header(key)?;
                let default = match rest {
                    [default] => self.expect(default, Type::TEXT)?,
                    _ => super::constant(Constant::Null, span),
                };
                Ok((Node { kind: Kind::Header(key, Box::new(default)), range: range(span) }, Type::TEXT))
            }
            _ => self.fail(at, format!("context.Request.Headers.{name} is not supported")),
        }
    }

    fn query_call(&mut self, name: &str, arguments: &[Expr], at: &Span, span: &Span) -> Checked {
        self.dependencies.request = true;
        match (name, arguments) {
            ("ContainsKey", [key]) => {
                let key = self.key(key, "query parameter")?;
                Ok((Node { kind: Kind::HasQuery(key.as_ref().into()), range: range(span) }, Type::BOOL))
            }
            ("GetValueOrDefault", [key, rest @ ..]) if rest.len() < 2 => {
                let key = self.key(key, "query parameter")?;
                let default = match rest {
                    [default] => self.expect(default, Type::TEXT)?,
                    _ => super::constant(Constant::Null, span),
                };
                let kind = Kind::Query(key.as_ref().into(), Box::new(default));
                Ok((Node { kind, range: range(span) }, Type::TEXT))
            }
            _ => self.fail(at, format!("context.Request.Url.Query.{name} is not supported")),
        }
    }
}

fn default_of(ty: Type, span: &Span) -> Node {
    let value = match ty.base {
        _ if ty.nullable => Constant::Null,
        Base::TimeSpan => Constant::TimeSpan(0),
        Base::Bool => Constant::Bool(false),
        Base::Int => Constant::Int(0),
        Base::Double => Constant::Double(0.0),
        Base::Char => Constant::Char('\0'),
        Base::DateTime => Constant::DateTime(0),
        // Listed in full: a value type missing above would default to null, and null compares as false.
        Base::Null
        | Base::Text
        | Base::Certificate
        | Base::DistinguishedName
        | Base::Pair
        | Base::Texts
        | Base::Bytes
        | Base::Object
        | Base::Oid
        | Base::Context
        | Base::Request
        | Base::Deployment
        | Base::Certificates
        | Base::CertificateValues
        | Base::CertificateKeys
        | Base::Headers
        | Base::Url
        | Base::Query
        | Base::Variables
        | Base::LastError
        | Base::Class(_)
        | Base::Constant(_) => Constant::Null,
    };
    super::constant(value, span)
}
