//! Operators.

use super::{
    Checked, Checker, Comparison, Constant, Expr, Function, Kind, Node, Segment, Span, call, constant, range,
};
use crate::apim::expression::ty::{Base, Type};

impl Checker {
    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        left: &Expr,
        right: &Expr,
        span: &Span,
    ) -> Checked {
        let (one, other) = (self.value(left), self.value(right));
        let ((one, one_ty), (other, other_ty)) = (one?, other?);
        let node = |kind| Node { kind, range: range(span) };
        if !matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            let is_ordered =
                |ty: Type| ty.is_number() || matches!(ty.base, Base::DateTime | Base::TimeSpan | Base::Char);
            if !is_ordered(one_ty) || one_ty.common(other_ty).is_none() {
                return self.fail(span, format!("{one_ty} and {other_ty} cannot be ordered"));
            }
            let kind = Kind::Order(comparison, Box::new(one), Box::new(other));
            return Ok((node(kind), Type::BOOL));
        }
        self.check_equality(one_ty, other_ty, left, right, span)?;
        self.lint_equality(&one, &other, comparison, span);
        let is_negated = comparison == Comparison::NotEqual;
        Ok((node(Kind::Equal { one: Box::new(one), other: Box::new(other), is_negated }), Type::BOOL))
    }

    /// Checks that `==` compares the operands by value.
    pub(super) fn check_equality(
        &mut self,
        one: Type,
        other: Type,
        left: &Expr,
        right: &Expr,
        span: &Span,
    ) -> Checked<()> {
        for (null, ty, at) in [(one, other, right), (other, one, left)] {
            if null.base == Base::Null && !ty.can_be_null() {
                return self.fail(&at.span, format!("{ty} is never null"));
            }
        }
        if one.base == Base::Null || other.base == Base::Null {
            return Ok(());
        }
        if one.base == Base::DistinguishedName && other.base == Base::DistinguishedName {
            return self.fail(span, super::BY_REFERENCE);
        }
        let is_text = |ty: Type| matches!(ty.base, Base::Text | Base::DistinguishedName);
        let comparable = (is_text(one) && is_text(other)) || (one.common(other).is_some_and(Type::is_value));
        if comparable {
            return Ok(());
        }
        let remedy = match (one.base, other.base) {
            (Base::Object, _) | (_, Base::Object) => "; cast it, as in (string)context.Variables[\"name\"]",
            (Base::Certificate, _) => "; compare the Thumbprint of both",
            _ => "",
        };
        self.fail(span, format!("{one} and {other} cannot be compared{remedy}"))
    }

    /// `a + b + c`, from the left: adds numbers up to the first string, then concatenates.
    pub(super) fn plus(&mut self, operands: &[Expr], span: &Span) -> Checked {
        let checked: Vec<_> = operands.iter().map(|operand| self.value(operand)).collect();
        let mut sum: Option<(Node, Type)> = None;
        let mut texts: Option<Vec<Node>> = None;
        let mut sums = 0;
        for (operand, at) in checked.into_iter().zip(operands) {
            let (node, ty) = operand?;
            if let Some(texts) = &mut texts {
                texts.push(self.printable(node, ty, &at.span)?);
                continue;
            }
            sum = Some(match sum.take() {
                None => (node, ty),
                Some((left, left_ty)) if left_ty.base == Base::Text || ty.base == Base::Text => {
                    let left = self.printable(left, left_ty, span)?;
                    texts = Some(vec![left, self.printable(node, ty, &at.span)?]);
                    continue;
                }
                Some((left, left_ty)) => {
                    sums += 1;
                    let function = match (left_ty.base, ty.base) {
                        _ if left_ty.nullable || ty.nullable || sums > 16 => None,
                        (Base::Int | Base::Double, Base::Int | Base::Double) => Some(Function::Add),
                        (Base::DateTime, Base::TimeSpan) => Some(Function::PlusSpan),
                        (Base::TimeSpan, Base::TimeSpan) => Some(Function::AddSpans),
                        _ => None,
                    };
                    let Some(function) = function else {
                        return self.fail(span, format!("'+' does not apply to {left_ty} and {ty}"));
                    };
                    let ty = left_ty.common(ty).unwrap_or(left_ty);
                    (call(function, vec![left, node], span), ty)
                }
            });
        }
        match (texts, sum) {
            (Some(texts), _) => {
                Ok((Node { kind: Kind::Concat(texts.into()), range: range(span) }, Type::TEXT))
            }
            (None, Some(sum)) => Ok(sum),
            (None, None) => self.fail(span, "nothing to add"),
        }
    }

    pub(super) fn minus(&mut self, left: &Expr, right: &Expr, span: &Span) -> Checked {
        let (left, right) = (self.value(left), self.value(right));
        let ((left, one), (right, other)) = (left?, right?);
        let (function, base) = match (one.base, other.base) {
            _ if one.nullable || other.nullable => {
                return self.fail(span, "'-' does not apply to a nullable value; compare it with null first");
            }
            (Base::Int, Base::Int) => (Function::Subtract, Base::Int),
            (Base::Int | Base::Double, Base::Int | Base::Double) => (Function::Subtract, Base::Double),
            (Base::DateTime, Base::DateTime) => (Function::Difference, Base::TimeSpan),
            (Base::DateTime, Base::TimeSpan) => (Function::MinusSpan, Base::DateTime),
            (Base::TimeSpan, Base::TimeSpan) => (Function::SubtractSpans, Base::TimeSpan),
            _ => return self.fail(span, format!("'-' does not apply to {one} and {other}")),
        };
        Ok((call(function, vec![left, right], span), base.into()))
    }

    pub(super) fn interpolated(&mut self, parts: &[Segment], span: &Span) -> Checked {
        let mut nodes = Vec::new();
        for part in parts {
            match part {
                Segment::Text(text) if text.is_empty() => {}
                Segment::Text(text) => nodes.push(constant(Constant::Text(text.as_str().into()), span)),
                Segment::Expression(expression) => {
                    let (node, ty) = self.value(expression)?;
                    nodes.push(self.printable(node, ty, &expression.span)?);
                }
            }
        }
        Ok((Node { kind: Kind::Concat(nodes.into()), range: range(span) }, Type::TEXT))
    }

    /// Checks that the text of a value does not depend on a culture. Null is printed as an empty string.
    pub(super) fn printable(&mut self, node: Node, ty: Type, span: &Span) -> Checked<Node> {
        match ty.base {
            Base::Null | Base::Text | Base::Bool | Base::Int | Base::Char | Base::Object => Ok(node),
            Base::DateTime | Base::Double | Base::TimeSpan => self
                .fail(span, format!("the text of {ty} depends on a culture; use .ToString(\"yyyy-MM-dd HH:mm:ss\") for a DateTime, or an int")),
            _ => self.fail(span, format!("{ty} has no text; use one of its members")),
        }
    }
}
