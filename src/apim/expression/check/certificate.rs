//! Methods of `X509Certificate2`.

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
        match (name, arguments) {
            ("Verify" | "VerifyNoRevocation", []) => {
                self.verify_needs(name, at)?;
                self.dependencies.trust = true;
                self.dependencies.revocation |= name == "Verify";
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
            ("ToString", _) => self.fail(at, "ToString of a certificate is not supported; use a property"),
            _ => self.fail(at, format!("{name} of a certificate is not supported")),
        }
    }

    pub(super) fn verify_needs(&mut self, name: &str, at: &Span) -> Checked<()> {
        if !self.scope.has_trust {
            return self.fail_about(
                FindingKind::Trust,
                at,
                format!("{name}() needs trusted roots, and none are configured"),
                "configure the CAs of client certificates",
            );
        }
        if name == "Verify" && !self.scope.is_revocation_off {
            return self.fail_about(
                FindingKind::Revocation,
                at,
                "Verify() checks revocation, and revocation is not configured",
                "turn revocation checks off (CRLs are not supported yet) or call VerifyNoRevocation()",
            );
        }
        Ok(())
    }

    pub(super) fn name_info(&mut self, node: Node, kind: &Expr, of_issuer: &Expr, span: &Span) -> Checked {
        let (code, ty) = self.expression(kind)?;
        let ExprKind::Bool(of_issuer) = of_issuer.kind else {
            return self.fail(&of_issuer.span, "forIssuer of GetNameInfo must be true or false");
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
                    "the X509NameType is not supported; use SimpleName, or DnsName or DnsFromAlternativeName of the subject",
                );
            }
        };
        Ok((call(function, vec![node], span), Type::TEXT))
    }
}
