//! Methods of `DateTime` and `TimeSpan`.

use super::{Checked, Checker, Expr, Function, Node, Span, call};
use crate::apim::expression::{
    time::is_known_format,
    ty::{Base, Type},
};

impl Checker {
    pub(super) fn time_call(
        &mut self,
        node: Node,
        ty: Type,
        name: &str,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        let unit = |function: Function| (function, Type::from(Base::Double), Base::DateTime);
        let [argument] = arguments else {
            return self.fail(at, format!("{name} of {ty} takes one argument"));
        };
        let (function, wanted, base) = match (ty.base, name) {
            (Base::DateTime, "AddDays") => unit(Function::AddUnits(86_400.0)),
            (Base::DateTime, "AddHours") => unit(Function::AddUnits(3_600.0)),
            (Base::DateTime, "AddMinutes") => unit(Function::AddUnits(60.0)),
            (Base::DateTime, "AddSeconds") => unit(Function::AddUnits(1.0)),
            (Base::DateTime, "AddMonths") => (Function::AddMonths(1), Type::INT, Base::DateTime),
            (Base::DateTime, "AddYears") => (Function::AddMonths(12), Type::INT, Base::DateTime),
            (Base::DateTime, "Add") => (Function::PlusSpan, Base::TimeSpan.into(), Base::DateTime),
            (Base::DateTime, "Subtract") => return self.subtract(node, argument, span),
            (Base::TimeSpan, "Add") => (Function::AddSpans, Base::TimeSpan.into(), Base::TimeSpan),
            (Base::TimeSpan, "Subtract") => (Function::SubtractSpans, Base::TimeSpan.into(), Base::TimeSpan),
            (Base::DateTime, "ToString") => {
                match Self::literal(argument) {
                    Some(format) if is_known_format(format) => {}
                    _ => {
                        return self.fail(
                            &argument.span,
                            "the format depends on a culture; use a literal such as \"yyyy-MM-dd HH:mm:ss\" or \"o\"",
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

    pub(super) fn subtract(&mut self, node: Node, argument: &Expr, span: &Span) -> Checked {
        let (argument_node, ty) = self.value(argument)?;
        let (function, base) = match ty.base {
            Base::DateTime if !ty.nullable => (Function::Difference, Base::TimeSpan),
            Base::TimeSpan if !ty.nullable => (Function::MinusSpan, Base::DateTime),
            _ => return self.fail(&argument.span, format!("{ty} cannot be subtracted from a DateTime")),
        };
        Ok((call(function, vec![node, argument_node], span), base.into()))
    }
}
