//! Operators.

use super::{Base, Checked, Checker, Comparison, Expr, Kind, Node, Segment, Span, Type, Typed};
use super::{Value, all, constant, converted};
use crate::apim::expression::text::Case;

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
        if matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            self.check_equality([(left, one_ty), (right, other_ty)], span)?;
            self.lint_equality(&one, &other, Case::Ordinal, span.start);
        } else if one_ty.base == Base::Bool || !one_ty.is_value() || one_ty.common(other_ty).is_none() {
            return self.fail(span.start, format!("{one_ty} and {other_ty} cannot be ordered"));
        }
        let kind = Kind::Compare(comparison, Box::new(one), Box::new(other));
        Ok((Node { kind, range: span.clone() }, Type::BOOL))
    }

    /// Checks that `==` compares the operands by value.
    fn check_equality(&mut self, operands: [(&Expr, Type); 2], span: &Span) -> Checked<()> {
        let [(left, one), (right, other)] = operands;
        for (null, ty, at) in [(one, other, right), (other, one, left)] {
            if null.base == Base::Null && !ty.can_be_null() {
                return self.fail(at.span.start, format!("{ty} is never null"));
            }
        }
        let is_text = |ty: Type| matches!(ty.base, Base::Text | Base::DistinguishedName);
        let remedy = match (one.base, other.base) {
            (Base::Null, _) | (_, Base::Null) => return Ok(()),
            (Base::DistinguishedName, Base::DistinguishedName) => {
                return self.fail(
                    span.start,
                    "distinguished names are compared by reference in .NET and are never equal; compare .Name, as in \
                     SubjectName.Name",
                );
            }
            _ if is_text(one) && is_text(other) => return Ok(()),
            _ if one.common(other).is_some_and(Type::is_value) => return Ok(()),
            (Base::Object, _) | (_, Base::Object) => "; cast it, as in (string)context.Variables[\"name\"]",
            (Base::Certificate, _) => "; compare the Thumbprint of both",
            _ => "",
        };
        self.fail(span.start, format!("{one} and {other} cannot be compared{remedy}"))
    }

    pub(super) fn coalesce(&mut self, left: &Expr, right: &Expr, span: &Span) -> Checked {
        let (one, other) = (self.value(left), self.value(right));
        let ((one, left_ty), (other, right_ty)) = (one?, other?);
        if !left_ty.can_be_null() {
            return self.fail(left.span.start, format!("'??' has no effect: {left_ty} is never null"));
        }
        let bare = Type { nullable: false, ..left_ty };
        let ty = match right_ty.fits(bare) {
            true => Some(Type { nullable: right_ty.nullable && bare.is_value(), ..bare }),
            false => left_ty.common(right_ty),
        };
        let Some(ty) = ty else {
            return self.fail(span.start, format!("'??' does not apply to {left_ty} and {right_ty}"));
        };
        let [one, other] = [converted(one, left_ty, ty), converted(other, right_ty, ty)].map(Box::new);
        Ok((Node { kind: Kind::Coalesce(one, other), range: span.clone() }, ty))
    }

    pub(super) fn ternary(
        &mut self,
        condition: &Expr,
        then: &Expr,
        otherwise: &Expr,
        span: &Span,
    ) -> Checked {
        let condition = self.expect(condition, Type::BOOL);
        let (then, otherwise) = (self.value(then), self.value(otherwise));
        let (condition, (then, one), (otherwise, other)) = (condition?, then?, otherwise?);
        let Some(ty) = one.common(other) else {
            let message = format!("the branches of '?:' have no common type: {one} and {other}");
            return self.fail(span.start, message);
        };
        let nodes = [condition, converted(then, one, ty), converted(otherwise, other, ty)].map(Box::new);
        let [condition, then, otherwise] = nodes;
        Ok((Node { kind: Kind::Ternary(condition, then, otherwise), range: span.clone() }, ty))
    }

    /// `a + b + c`, from the left: adds numbers up to the first string, then concatenates.
    pub(super) fn plus(&mut self, operands: &[Expr], span: &Span) -> Checked {
        let mut numbers = all(operands.iter().map(|operand| self.value(operand)))?;
        let first_text = numbers.iter().position(|(_, ty)| ty.base == Base::Text);
        let texts = numbers.split_off(first_text.unwrap_or(numbers.len()));
        if numbers.len() > 17 {
            return self.fail(span.start, "more than 16 additions; use parentheses");
        }
        let add = |sum: Checked, number: Checked| self.operator("+", sum?, Some(number?), span);
        match numbers.into_iter().map(Ok).reduce(add).transpose()? {
            Some(sum) if texts.is_empty() => Ok(sum),
            sum => {
                let parts = sum.into_iter().chain(texts).map(|part| self.printable(part));
                let kind = Kind::Concat(parts.collect::<Checked<_>>()?);
                Ok((Node { kind, range: span.clone() }, Type::TEXT))
            }
        }
    }

    pub(super) fn interpolated(&mut self, parts: &[Segment], span: &Span) -> Checked {
        let nodes = all(parts.iter().map(|part| match part {
            Segment::Text(text) => Ok(constant(Value::Text(text.clone().into()), span)),
            Segment::Expression(expression) => {
                let typed = self.expression(expression)?;
                self.printable(typed)
            }
        }))?;
        Ok((Node { kind: Kind::Concat(nodes.into()), range: span.clone() }, Type::TEXT))
    }

    /// Checks that the text of a value does not depend on a culture. Null is printed as an empty string.
    pub(crate) fn printable(&mut self, typed: Typed) -> Checked<Node> {
        let (node, ty) = self.as_value(typed)?;
        let message = match ty.base {
            Base::Null | Base::Text | Base::Bool | Base::Int | Base::Char | Base::Object => return Ok(node),
            Base::DateTime | Base::Double | Base::TimeSpan => format!(
                "the text of {ty} depends on a culture; use .ToString(\"yyyy-MM-dd HH:mm:ss\") for a DateTime, or an int"
            ),
            _ => format!("{ty} has no text; use one of its members"),
        };
        self.fail(node.range.start, message)
    }
}
