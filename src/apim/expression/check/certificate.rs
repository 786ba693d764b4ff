//! Methods of a certificate.

use super::{Checked, Checker, Constant, Expr, ExprKind, Function, Node, Span, call, range};
use crate::apim::{
    error::FindingKind,
    expression::{
        node::{CertificateText, Kind},
        ty::{Base, Class, Type},
    },
};

impl Checker {
    pub(super) fn certificate_call(
        &mut self,
        node: Node,
        name: &str,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        let function = |function, node, base: Base| Ok((call(function, vec![node], span), base.into()));
        self.uses.content |=
            !matches!(name, "Verify" | "VerifyNoRevocation" | "GetCertHashString" | "GetCertHash");
        match (name, arguments) {
            ("Verify" | "VerifyNoRevocation", []) => {
                self.verify_needs(name, at)?;
                self.uses.trust = true;
                self.uses.revocation |= name == "Verify";
                function(Function::Verify, node, Base::Bool)
            }
            ("GetNameInfo", [kind, of_issuer]) => self.name_info(node, kind, of_issuer, span),
            ("GetCertHashString", []) => {
                let kind = Kind::CertificateText(CertificateText::Thumbprint, Box::new(node));
                Ok((Node { kind, range: range(span) }, Type::TEXT))
            }
            ("GetSerialNumberString", []) => {
                let kind = Kind::CertificateText(CertificateText::Serial, Box::new(node));
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

    pub(super) fn verify_needs(&mut self, name: &str, at: &Span) -> Checked<()> {
        if !self.scope.has_trust {
            return self.fail_about(
                FindingKind::Trust,
                at,
                format!("{name}() needs trusted roots, and there are none here"),
                "name the CAs that callers chain to",
            );
        }
        if name == "Verify" && !self.scope.is_revocation_off {
            return self.fail_about(
                FindingKind::Revocation,
                at,
                "Verify() asks whether certificates are revoked, and revocation is not stated",
                "state that it is off (lists of revoked certificates are not supported yet), or call VerifyNoRevocation()",
            );
        }
        Ok(())
    }

    pub(super) fn name_info(&mut self, node: Node, kind: &Expr, of_issuer: &Expr, span: &Span) -> Checked {
        let (code, ty) = self.expression(kind)?;
        let ExprKind::Bool(of_issuer) = of_issuer.kind else {
            return self.fail(&of_issuer.span, "write true or false: whether the issuer's name is meant");
        };
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
}
