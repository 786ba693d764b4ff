//! Methods.

use super::{
    Binding, Checked, Checker, Constant, Expr, ExprKind, Function, Node, Span, TypeName, call, range,
};
use crate::apim::expression::{
    node::Kind,
    ty::{Base, Class, Type},
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
            return self
                .fail(at, format!("{ty} may be null: write ?? in front, or compare it with null first"));
        }
        if generic.is_some() && !matches!(ty.base, Base::Variables) {
            return self.fail(at, format!("{name} takes no type here"));
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
            Base::Moment | Base::Span => self.time_call(node, ty, name, arguments, at, span),
            Base::Url if matches!((name.as_str(), arguments), ("ToString", [])) => {
                self.uses.request = true;
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
        self.uses.variables = true;
        match (name, arguments) {
            ("ContainsKey", [key]) => {
                let key = self.key(key, "variable")?;
                Ok((Node { kind: Kind::HasVariable(key), range: range(span) }, Type::BOOL))
            }
            ("GetValueOrDefault", [key, rest @ ..]) if rest.len() < 2 => {
                let key = self.key(key, "variable")?;
                let wanted = match generic.map(Type::named) {
                    Some(Some(wanted)) => Some(wanted),
                    Some(None) => return self.fail(at, "this type is not supported here"),
                    None => None,
                };
                let (default, ty) = match (rest, wanted) {
                    ([default], Some(wanted)) => (self.expect(default, wanted)?, wanted),
                    // The type is that of the default.
                    ([default], None) => self.value(default)?,
                    ([], Some(wanted)) => (default_of(wanted, span), wanted),
                    _ => return self.fail(at, "name a type: GetValueOrDefault<string>(\"name\")"),
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
        self.uses.request = true;
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

    fn deployment_call(
        &mut self,
        base: Base,
        name: &str,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        self.uses.proof = true;
        let node = |kind| Node { kind, range: range(span) };
        match (base, name, arguments) {
            (Base::Certificates, "ContainsKey", [key]) | (Base::CertificateKeys, "Contains", [key]) => {
                let key_node = self.expect(key, Type::TEXT)?;
                self.lint_thumbprint_key(&key_node, &key.span);
                Ok((node(Kind::HasDeployed(Box::new(key_node))), Type::BOOL))
            }
            (_, "Any", []) => Ok((node(Kind::AnyDeployed(None)), Type::BOOL)),
            (_, "Any" | "All" | "First" | "FirstOrDefault", [lambda]) => {
                let (slot, condition) = self.entry_lambda(base, lambda)?;
                if name == "Any" {
                    return Ok((node(any_deployed(slot, condition)), Type::BOOL));
                }
                if name == "All" {
                    return Ok((node(Kind::AllDeployed(slot, Box::new(condition))), Type::BOOL));
                }
                let or_default = name == "FirstOrDefault";
                let found = node(Kind::FirstDeployed { slot, condition: Box::new(condition), or_default });
                match base {
                    // A missing pair is a value of .NET, default(KeyValuePair), and no null.
                    Base::Certificates if or_default => {
                        self.fail(at, "write context.Deployment.Certificates.Values.FirstOrDefault(...) instead")
                    }
                    Base::Certificates => Ok((found, Base::Pair.into())),
                    Base::CertificateKeys => Ok((null_safe(Function::PairKey, found, or_default, self.slot(), span), Type::TEXT)),
                    _ => Ok((
                        null_safe(Function::PairValue, found, or_default, self.slot(), span),
                        Base::Certificate.into(),
                    )),
                }
            }
            (_, "Count", []) => Ok((node(Kind::DeploymentCount), Type::INT)),
            _ => self.fail(
                at,
                format!(
                    "{name} of context.Deployment.Certificates is not supported: Any, All, First and FirstOrDefault \
                     with a condition are, and ContainsKey"
                ),
            ),
        }
    }

    /// A condition over the deployment's entries: the slot of its parameter, which holds a pair, and the condition.
    fn entry_lambda(&mut self, base: Base, lambda: &Expr) -> Checked<(usize, Node)> {
        let ExprKind::Lambda(parameter, body) = &lambda.kind else {
            return self
                .fail(&lambda.span, "expected a condition such as c => c.Value.Thumbprint == \"...\"");
        };
        let slot = self.slot();
        let (ty, part) = match base {
            Base::Certificates => (Base::Pair, None),
            Base::CertificateKeys => (Base::Text, Some(Function::PairKey)),
            _ => (Base::Certificate, Some(Function::PairValue)),
        };
        self.names.push(Binding { name: parameter.clone(), ty: ty.into(), slot, part });
        let condition = self.expect(body, Type::BOOL);
        self.names.pop();
        Ok((slot, condition?))
    }

    fn certificate_call(
        &mut self,
        node: Node,
        name: &str,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        let function = |function, node, base: Base| Ok((call(function, vec![node], span), base.into()));
        match (name, arguments) {
            ("Verify" | "VerifyNoRevocation", []) => {
                self.verify_needs(name, at)?;
                self.uses.proof = true;
                function(Function::Verify, node, Base::Bool)
            }
            ("GetNameInfo", [kind, of_issuer]) => self.name_info(node, kind, of_issuer, span),
            ("GetCertHashString", []) => {
                self.uses.proof = true;
                let kind = Kind::CertificateText(
                    crate::apim::expression::node::CertificateText::Thumbprint,
                    Box::new(node),
                );
                Ok((Node { kind, range: range(span) }, Type::TEXT))
            }
            ("GetSerialNumberString", []) => {
                let kind = Kind::CertificateText(
                    crate::apim::expression::node::CertificateText::Serial,
                    Box::new(node),
                );
                Ok((Node { kind, range: range(span) }, Type::TEXT))
            }
            ("GetRawCertData", []) => function(Function::RawData, node, Base::Bytes),
            ("GetCertHash", []) => function(Function::Sha1, node, Base::Bytes),
            ("GetSerialNumber", []) => function(Function::SerialReversed, node, Base::Bytes),
            ("GetRawCertDataString", []) => {
                let raw = call(Function::RawData, vec![node], span);
                Ok((call(Function::ToHex, vec![raw], span), Type::TEXT))
            }
            ("Export", [kind]) => match self.expression(kind)?.1.base {
                Base::Constant(Class::ContentType) => function(Function::RawData, node, Base::Bytes),
                _ => self.fail(&kind.span, "only X509ContentType.Cert can be exported"),
            },
            ("ToString", _) => self.fail(at, "ToString of a certificate is not supported: name a property"),
            _ => self.fail(at, format!("{name} of a certificate is not supported")),
        }
    }

    fn verify_needs(&mut self, name: &str, at: &Span) -> Checked<()> {
        if !self.scope.has_trust {
            return self.fail(
                at,
                format!("{name}() needs trusted roots, and there are none here: name the CAs that callers chain to"),
            );
        }
        if name == "Verify" && !self.scope.is_revocation_off {
            return self.fail(
                at,
                "Verify() asks whether certificates are revoked, and revocation is not stated: state that it is off \
                 (lists of revoked certificates are not supported yet), or call VerifyNoRevocation()",
            );
        }
        Ok(())
    }

    fn name_info(&mut self, node: Node, kind: &Expr, of_issuer: &Expr, span: &Span) -> Checked {
        let (code, ty) = self.expression(kind)?;
        let ExprKind::Bool(of_issuer) = of_issuer.kind else {
            return self.fail(&of_issuer.span, "write true or false: whether the issuer's name is meant");
        };
        self.uses.names = true;
        let function = match (ty.base, code.kind, of_issuer) {
            (Base::Constant(Class::NameType), Kind::Constant(Constant::Int(0)), of_issuer) => {
                Function::SimpleName { of_issuer }
            }
            (Base::Constant(Class::NameType), Kind::Constant(Constant::Int(1)), false) => {
                Function::DnsName { or_common_name: true }
            }
            (Base::Constant(Class::NameType), Kind::Constant(Constant::Int(2)), false) => {
                Function::DnsName { or_common_name: false }
            }
            _ => {
                return self.fail(
                    &kind.span,
                    "SimpleName, and of the subject DnsName and DnsFromAlternativeName, are supported",
                );
            }
        };
        Ok((call(function, vec![node], span), Type::TEXT))
    }

    fn time_call(
        &mut self,
        node: Node,
        ty: Type,
        name: &str,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        let unit = |function: Function| (function, Type::from(Base::Double), Base::Moment);
        let [argument] = arguments else {
            return self.fail(at, format!("{name} of {ty} takes one argument here"));
        };
        let (function, wanted, base) = match (ty.base, name) {
            (Base::Moment, "AddDays") => unit(Function::AddUnits(86_400.0)),
            (Base::Moment, "AddHours") => unit(Function::AddUnits(3_600.0)),
            (Base::Moment, "AddMinutes") => unit(Function::AddUnits(60.0)),
            (Base::Moment, "AddSeconds") => unit(Function::AddUnits(1.0)),
            (Base::Moment, "AddMonths") => (Function::AddMonths(1), Type::INT, Base::Moment),
            (Base::Moment, "AddYears") => (Function::AddMonths(12), Type::INT, Base::Moment),
            (Base::Moment, "Add") => (Function::PlusSpan, Base::Span.into(), Base::Moment),
            (Base::Moment, "Subtract") => return self.subtract(node, argument, span),
            (Base::Span, "Add") => (Function::AddSpans, Base::Span.into(), Base::Span),
            (Base::Span, "Subtract") => (Function::SubtractSpans, Base::Span.into(), Base::Span),
            (Base::Moment, "ToString") => {
                match Self::literal(argument) {
                    Some(format) if crate::apim::expression::time::is_known_format(format) => {}
                    _ => {
                        return self.fail(
                            &argument.span,
                            "a culture decides what this prints: write a literal such as \"yyyy-MM-dd HH:mm:ss\" or \"o\"",
                        );
                    }
                }
                (Function::Format, Type::TEXT, Base::Text)
            }
            _ => return self.fail(at, format!("{name} of {ty} is not supported")),
        };
        let argument = self.expect(argument, wanted)?;
        Ok((call(function, vec![node, argument], span), base.into()))
    }

    fn subtract(&mut self, node: Node, argument: &Expr, span: &Span) -> Checked {
        let (argument_node, ty) = self.value(argument)?;
        let (function, base) = match ty.base {
            Base::Moment if !ty.nullable => (Function::Difference, Base::Span),
            Base::Span if !ty.nullable => (Function::MinusSpan, Base::Moment),
            _ => return self.fail(&argument.span, format!("{ty} is not subtracted from a DateTime")),
        };
        Ok((call(function, vec![node, argument_node], span), base.into()))
    }
}

fn default_of(ty: Type, span: &Span) -> Node {
    let value = match ty.base {
        _ if ty.nullable => Constant::Null,
        Base::Bool => Constant::Bool(false),
        Base::Int => Constant::Int(0),
        Base::Double => Constant::Double(0.0),
        Base::Char => Constant::Char('\0'),
        Base::Moment => Constant::Moment(0),
        _ => Constant::Null,
    };
    super::constant(value, span)
}

/// A part of an entry that may be missing.
fn null_safe(part: Function, found: Node, or_default: bool, slot: usize, span: &Span) -> Node {
    if !or_default {
        return call(part, vec![found], span);
    }
    let local = Node { kind: Kind::Local(slot), range: range(span) };
    let rest = Box::new(call(part, vec![local], span));
    Node { kind: Kind::IfNotNull { target: Box::new(found), slot, rest }, range: range(span) }
}

/// `Any` with a condition; a look-up if it first compares the thumbprint with something that is the same for
/// every entry.
fn any_deployed(slot: usize, condition: Node) -> Kind {
    let (first, rest, whole) = match condition {
        Node { kind: Kind::And(parts), range } => {
            let mut parts = parts.into_vec();
            if parts.first().is_none_or(|first| look_up_key(first, slot).is_none()) {
                return Kind::AnyDeployed(Some((
                    slot,
                    Box::new(Node { kind: Kind::And(parts.into()), range }),
                )));
            }
            let first = parts.remove(0);
            (first, Some(Node { kind: Kind::And(parts.into()), range }), range)
        }
        first => {
            let whole = first.range;
            (first, None, whole)
        }
    };
    let is_key_first = look_up_key(&first, slot);
    match (first.kind, is_key_first) {
        (Kind::Equal { one, other, .. }, Some(is_first)) => {
            let key = if is_first { one } else { other };
            Kind::AnyByThumbprint(key, rest.map(|rest| (slot, Box::new(rest))))
        }
        (kind, _) => Kind::AnyDeployed(Some((slot, Box::new(Node { kind, range: whole })))),
    }
}

/// Whether a condition is `entry.Value.Thumbprint == key` or `entry.Key == key` with a key that does not ask for
/// the entry: Some(true) if the key stands first.
fn look_up_key(condition: &Node, slot: usize) -> Option<bool> {
    let Kind::Equal { one, other, is_negated: false } = &condition.kind else { return None };
    if is_thumbprint_of(one, slot) && !mentions(other, slot) {
        Some(false)
    } else if is_thumbprint_of(other, slot) && !mentions(one, slot) {
        Some(true)
    } else {
        None
    }
}

fn is_thumbprint_of(node: &Node, slot: usize) -> bool {
    use crate::apim::expression::node::CertificateText;
    let is_part = |node: &Node, part: Function| match &node.kind {
        Kind::Call(function, arguments) => {
            *function == part && matches!(&**arguments, [Node { kind: Kind::Local(of), .. }] if *of == slot)
        }
        _ => false,
    };
    match &node.kind {
        Kind::CertificateText(CertificateText::Thumbprint, certificate) => {
            is_part(certificate, Function::PairValue)
        }
        _ => is_part(node, Function::PairKey),
    }
}

/// Whether an expression asks for a local. Says yes where it does not look.
fn mentions(node: &Node, slot: usize) -> bool {
    match &node.kind {
        Kind::Local(local) => *local == slot,
        Kind::Constant(_) | Kind::Certificate | Kind::Variable(_) | Kind::Request(_) => false,
        Kind::CertificateText(_, inner) | Kind::Cast(_, inner) | Kind::Header(_, inner) => {
            mentions(inner, slot)
        }
        Kind::VariableOr(_, _, inner) => mentions(inner, slot),
        Kind::Call(_, arguments) => arguments.iter().any(|argument| mentions(argument, slot)),
        _ => true,
    }
}
