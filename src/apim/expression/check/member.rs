//! Properties and indexes.

use std::sync::Arc;

use super::{Checked, Checker, Constant, Expr, Function, Node, Span, call, constant, range};
use crate::apim::expression::{
    node::{CertificateText, ErrorField, Kind, RequestText},
    ty::{Base, Type},
};

impl Checker {
    pub(super) fn member(&mut self, target: &Expr, name: &str, at: &Span, span: &Span) -> Checked {
        let (node, ty) = self.expression(target)?;
        if ty.nullable && ty.is_value() {
            return match name {
                "HasValue" => {
                    let null = constant(Constant::Null, span);
                    let kind = Kind::Equal { one: Box::new(node), other: Box::new(null), is_negated: true };
                    Ok((Node { kind, range: range(span) }, Type::BOOL))
                }
                _ => self.fail(at, format!("{ty} can be null; compare it with null first or use ?.{name}")),
            };
        }
        match ty.base {
            Base::Class(class) => self.static_member(class, name, at, span),
            Base::Context => self.context_member(name, at, span),
            Base::Request => self.request_member(name, at, span),
            Base::Url => self.url_member(name, at, span),
            Base::LastError => self.error_member(name, at, span),
            Base::Deployment if name == "Certificates" => {
                Ok((constant(Constant::Null, span), Base::Certificates.into()))
            }
            Base::Certificates => self.certificates_member(name, at, span),
            Base::Certificate => self.certificate_member(node, name, at, span),
            _ => self.value_member(node, ty, name, at, span),
        }
    }

    fn no_value(base: Base, span: &Span) -> Checked {
        Ok((constant(Constant::Null, span), base.into()))
    }

    fn context_member(&mut self, name: &str, at: &Span, span: &Span) -> Checked {
        match name {
            "Request" => Self::no_value(Base::Request, span),
            "Deployment" => Self::no_value(Base::Deployment, span),
            "Variables" => Self::no_value(Base::Variables, span),
            "LastError" if self.scope.has_error => Self::no_value(Base::LastError, span),
            "LastError" => self.fail(at, "context.LastError is only supported in <on-error>"),
            "Response" => self.fail(at, "context.Response is not supported: documents apply to requests"),
            "Api" | "Operation" => self.fail(
                at,
                format!(
                    "context.{name} is not supported; use a document per route, or context.Request.Url.Path"
                ),
            ),
            "RequestId" | "Timestamp" | "Elapsed" | "Tracing" | "Trace" => {
                self.fail(at, format!("context.{name} is not supported; use the server's log"))
            }
            "User" | "Subscription" | "Product" | "Workspace" | "GraphQL" => self
                .fail(at, format!("context.{name} is not supported; decide by context.Request.Certificate")),
            _ => self.fail(
                at,
                format!("context.{name} is not supported; use Request, Deployment, Variables or LastError"),
            ),
        }
    }

    fn request_member(&mut self, name: &str, at: &Span, span: &Span) -> Checked {
        let text = |text| Ok((Node { kind: Kind::Request(text), range: range(span) }, Type::TEXT));
        match name {
            "Certificate" => {
                self.dependencies.certificate = true;
                Ok((Node { kind: Kind::Certificate, range: range(span) }, Base::Certificate.into()))
            }
            "Headers" => Self::no_value(Base::Headers, span),
            "Url" | "OriginalUrl" => Self::no_value(Base::Url, span),
            // The caller chooses both: a method can be any token.
            "Method" | "IpAddress" => {
                self.dependencies.request = true;
                text(if name == "Method" { RequestText::Method } else { RequestText::IpAddress })
            }
            "Body" => self.fail(at, "context.Request.Body is not supported: bodies are streamed"),
            _ => self.fail(
                at,
                format!(
                    "context.Request.{name} is not supported; use Certificate, Headers, Url, OriginalUrl, Method or \
                     IpAddress"
                ),
            ),
        }
    }

    fn url_member(&mut self, name: &str, at: &Span, span: &Span) -> Checked {
        self.dependencies.request = true;
        let text = match name {
            "Path" => RequestText::Path,
            "Host" => RequestText::Host,
            "Scheme" => RequestText::Scheme,
            "QueryString" => RequestText::QueryString,
            "Query" => return Self::no_value(Base::Query, span),
            "Port" => return Ok((Node { kind: Kind::Port, range: range(span) }, Type::INT)),
            _ => return self.fail(at, format!("{name} of a URL is not supported")),
        };
        Ok((Node { kind: Kind::Request(text), range: range(span) }, Type::TEXT))
    }

    fn error_member(&mut self, name: &str, at: &Span, span: &Span) -> Checked {
        let field = match name {
            "Source" => ErrorField::Source,
            "Reason" => ErrorField::Reason,
            "Message" => ErrorField::Message,
            "Scope" => ErrorField::Scope,
            "Section" => ErrorField::Section,
            "Path" => ErrorField::Path,
            "PolicyId" => ErrorField::PolicyId,
            _ => return self.fail(at, format!("context.LastError.{name} is not supported")),
        };
        Ok((Node { kind: Kind::LastError(field), range: range(span) }, Type::TEXT))
    }

    fn certificates_member(&mut self, name: &str, at: &Span, span: &Span) -> Checked {
        match name {
            "Count" => Ok((Node { kind: Kind::DeploymentCount, range: range(span) }, Type::INT)),
            "Values" => Self::no_value(Base::CertificateValues, span),
            "Keys" => Self::no_value(Base::CertificateKeys, span),
            _ => self.fail(
                at,
                format!(
                    "context.Deployment.Certificates.{name} is not supported; use Any, All, ContainsKey, Count, Keys, \
                     Values, First, FirstOrDefault or [thumbprint]"
                ),
            ),
        }
    }

    fn certificate_member(&mut self, node: Node, name: &str, at: &Span, span: &Span) -> Checked {
        let text =
            |text, node| Node { kind: Kind::CertificateText(text, Box::new(node)), range: range(span) };
        let function = |function, node, base: Base| Ok((call(function, vec![node], span), base.into()));
        match name {
            "Subject" | "Issuer" | "SubjectName" | "IssuerName" => {
                let base = if name.ends_with("Name") { Base::DistinguishedName } else { Base::Text };
                let which =
                    if name.starts_with('S') { CertificateText::Subject } else { CertificateText::Issuer };
                Ok((text(which, node), base.into()))
            }
            "Thumbprint" => Ok((text(CertificateText::Thumbprint, node), Type::TEXT)),
            "SerialNumber" => Ok((text(CertificateText::Serial, node), Type::TEXT)),
            "NotBefore" => function(Function::NotBefore, node, Base::DateTime),
            "NotAfter" => function(Function::NotAfter, node, Base::DateTime),
            "HasPrivateKey" => function(Function::HasPrivateKey, node, Base::Bool),
            "Version" => function(Function::Version, node, Base::Int),
            "RawData" => function(Function::RawData, node, Base::Bytes),
            "SignatureAlgorithm" => Ok((node, Base::Oid.into())),
            "FriendlyName" => self.fail(at, "FriendlyName is not supported: it belongs to a certificate store, not to the certificate"),
            "Extensions" | "PublicKey" | "PrivateKey" | "Archived" | "Handle" => {
                self.fail(at, format!("{name} of a certificate is not supported"))
            }
            _ => self.fail(
                at,
                format!(
                    "{name} of a certificate is not supported; use Thumbprint, Subject, SubjectName.Name, Issuer, \
                     IssuerName.Name, SerialNumber, NotBefore, NotAfter or another supported member"
                ),
            ),
        }
    }

    fn value_member(&mut self, node: Node, ty: Type, name: &str, at: &Span, span: &Span) -> Checked {
        const UNITS: [(&str, f64); 4] =
            [("TotalDays", 86_400.0), ("TotalHours", 3_600.0), ("TotalMinutes", 60.0), ("TotalSeconds", 1.0)];
        let function = |function, node, base: Base| Ok((call(function, vec![node], span), base.into()));
        match (ty.base, name) {
            // At run time the value is this string.
            (Base::DistinguishedName, "Name") => Ok((node, Type::TEXT)),
            (Base::Oid, "Value") => {
                function(Function::SignatureAlgorithm { is_name: false }, node, Base::Text)
            }
            (Base::Oid, "FriendlyName") => {
                function(Function::SignatureAlgorithm { is_name: true }, node, Base::Text)
            }
            (Base::Pair, "Key") => function(Function::PairKey, node, Base::Text),
            (Base::Pair, "Value") => function(Function::PairValue, node, Base::Certificate),
            (Base::Text, "Length") => function(Function::Length, node, Base::Int),
            (Base::Texts, "Length" | "Count") => function(Function::Count, node, Base::Int),
            (Base::DateTime, "Year") => function(Function::Year, node, Base::Int),
            (Base::DateTime, "Month") => function(Function::Month, node, Base::Int),
            (Base::DateTime, "Day") => function(Function::Day, node, Base::Int),
            (Base::DateTime, "Hour") => function(Function::PartOfDay(3_600, 24), node, Base::Int),
            (Base::DateTime, "Minute") => function(Function::PartOfDay(60, 60), node, Base::Int),
            (Base::DateTime, "Second") => function(Function::PartOfDay(1, 60), node, Base::Int),
            (Base::DateTime, "Date") => function(Function::Midnight, node, Base::DateTime),
            (Base::TimeSpan, "Days") => function(Function::PartOfSpan(86_400, i64::MAX), node, Base::Int),
            (Base::TimeSpan, "Hours") => function(Function::PartOfSpan(3_600, 24), node, Base::Int),
            (Base::TimeSpan, "Minutes") => function(Function::PartOfSpan(60, 60), node, Base::Int),
            (Base::TimeSpan, "Seconds") => function(Function::PartOfSpan(1, 60), node, Base::Int),
            (Base::TimeSpan, _) if UNITS.iter().any(|(known, _)| *known == name) => {
                let unit = UNITS.iter().find(|(known, _)| *known == name).map_or(1.0, |(_, unit)| *unit);
                function(Function::TotalUnits(unit), node, Base::Double)
            }
            (Base::Object, _) => self.fail(
                at,
                "object has no members; cast it, as in ((string)context.Variables[\"name\"]).Length",
            ),
            _ => self.fail(at, format!("{name} of {ty} is not supported")),
        }
    }

    pub(super) fn index(&mut self, target: &Expr, index: &Expr, span: &Span) -> Checked {
        let (node, ty) = self.expression(target)?;
        match ty.base {
            Base::Variables => {
                let name = self.key(index, "variable")?;
                self.variables.push((name.clone(), index.span.start));
                Ok((Node { kind: Kind::Variable(name), range: range(span) }, Base::Object.into()))
            }
            Base::Headers => {
                let name = self.header(index)?;
                Ok((Node { kind: Kind::Headers(name), range: range(span) }, Base::Texts.into()))
            }
            Base::Query => {
                let name = self.key(index, "query parameter")?;
                self.dependencies.request = true;
                let kind = Kind::Queries(name.as_ref().into());
                Ok((Node { kind, range: range(span) }, Base::Texts.into()))
            }
            Base::Certificates => {
                let key = self.expect(index, Type::TEXT)?;
                self.lint_thumbprint_key(&key, &index.span);
                let kind = Kind::Deployed(Box::new(key));
                Ok((Node { kind, range: range(span) }, Base::Certificate.into()))
            }
            Base::Texts => {
                let index = self.expect(index, Type::INT)?;
                Ok((call(Function::At, vec![node, index], span), Type::TEXT))
            }
            Base::Text => {
                let index = self.expect(index, Type::INT)?;
                Ok((call(Function::CharAt, vec![node, index], span), Base::Char.into()))
            }
            _ => self.fail(span, format!("{ty} has no index")),
        }
    }

    /// Checks a name that must be a literal, because it is resolved at load.
    pub(super) fn key(&mut self, expr: &Expr, kind: &str) -> Checked<Arc<str>> {
        match Self::literal(expr) {
            Some(name) if !name.is_empty() && name.len() <= 256 => Ok(name.into()),
            _ => self.fail(&expr.span, format!("the name of a {kind} must be a string literal")),
        }
    }

    pub(super) fn header(&mut self, expr: &Expr) -> Checked<http::HeaderName> {
        let name = self.key(expr, "header")?;
        self.dependencies.request = true;
        let Ok(header) = name.parse::<http::HeaderName>() else {
            return self.fail(&expr.span, format!("invalid header name {name:?}"));
        };
        if crate::request::claims::is_identity_claim(header.as_str()) {
            return self.fail(
                &expr.span,
                format!(
                    "header {name} is set by the caller and proves nothing about it; use context.Request.Certificate, which \
                     the TLS handshake proves"
                ),
            );
        }
        if crate::request::claims::is_claim(header.as_str()) {
            let message = format!(
                "header {name} is set by the caller and does not prove an address or host; use context.Request.IpAddress for \
                 the address of the connection"
            );
            self.warn(&expr.span, message);
        }
        Ok(header)
    }
}
