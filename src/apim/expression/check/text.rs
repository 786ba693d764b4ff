//! Methods of `string` and `string[]`.

use super::{
    Binding, Checked, Checker, Constant, Expr, ExprKind, Function, Node, Span, call, constant, range,
};
use crate::apim::expression::{
    node::Kind,
    text::{Case, Side},
    ty::{Base, Class, Type},
};

impl Checker {
    pub(super) fn text_call(
        &mut self,
        node: Node,
        base: Base,
        name: &str,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        if base == Base::Texts {
            return self.list_call(node, name, arguments, at, span);
        }
        let apply = |function, nodes: Vec<Node>, ty: Type| Ok((call(function, nodes, span), ty));
        match (name, arguments) {
            ("ToUpper" | "ToUpperInvariant", []) => apply(Function::ToUpper, vec![node], Type::TEXT),
            ("ToLower" | "ToLowerInvariant", []) => apply(Function::ToLower, vec![node], Type::TEXT),
            ("ToString", []) => apply(Function::ToText, vec![node], Type::TEXT),
            ("Trim" | "TrimStart" | "TrimEnd", _) => {
                let side = match name {
                    "Trim" => Side::Both,
                    "TrimStart" => Side::Start,
                    _ => Side::End,
                };
                if arguments.is_empty() {
                    return apply(Function::Trim(side), vec![node], Type::TEXT);
                }
                let mut nodes = vec![node];
                for argument in arguments {
                    nodes.push(self.expect(argument, Base::Char.into())?);
                }
                apply(Function::TrimOf(side), nodes, Type::TEXT)
            }
            ("Contains", [wanted, rest @ ..]) if rest.len() < 2 => {
                let case = self.case_or(rest, Case::Ordinal, &node, at)?;
                let wanted = self.text_or_char(wanted)?;
                self.lint_part(&node, &wanted, case, name, span);
                apply(Function::Contains(case), vec![node, wanted], Type::BOOL)
            }
            ("StartsWith" | "EndsWith", [wanted, rest @ ..]) if rest.len() < 2 => {
                let is_char = matches!(wanted.kind, ExprKind::Char(_));
                let default = if is_char { Case::Ordinal } else { Case::Culture };
                let case = self.case_or(rest, default, &node, at)?;
                let wanted = self.text_or_char(wanted)?;
                self.lint_part(&node, &wanted, case, name, span);
                let function =
                    if name == "StartsWith" { Function::StartsWith(case) } else { Function::EndsWith(case) };
                apply(function, vec![node, wanted], Type::BOOL)
            }
            ("Equals", [other, rest @ ..]) if rest.len() < 2 => {
                let case = self.case_or(rest, Case::Ordinal, &node, at)?;
                let (other_node, ty) = self.value(other)?;
                if ty.base == Base::DistinguishedName {
                    return self.fail(&other.span, super::BY_REFERENCE);
                }
                if !matches!(ty.base, Base::Text | Base::Null) {
                    return self.fail(&other.span, format!("expected string, found {ty}"));
                }
                self.lint_text_equality(&node, &other_node, case, span);
                apply(Function::EqualsText(case), vec![node, other_node], Type::BOOL)
            }
            ("IndexOf", [wanted, rest @ ..]) if rest.len() < 2 => {
                let is_char = matches!(wanted.kind, ExprKind::Char(_));
                let default = if is_char { Case::Ordinal } else { Case::Culture };
                let case = self.case_or(rest, default, &node, at)?;
                let wanted = self.text_or_char(wanted)?;
                apply(Function::IndexOf(case), vec![node, wanted], Type::INT)
            }
            ("LastIndexOf", [wanted]) => {
                let wanted = self.expect(wanted, Base::Char.into())?;
                apply(Function::LastIndexOf, vec![node, wanted], Type::INT)
            }
            ("Substring", [_] | [_, _]) => {
                let mut nodes = vec![node];
                for argument in arguments {
                    nodes.push(self.expect(argument, Type::INT)?);
                }
                apply(Function::Substring, nodes, Type::TEXT)
            }
            ("Replace", [old, new]) => {
                let (old, new) = (self.text_or_char(old)?, self.text_or_char(new)?);
                apply(Function::Replace, vec![node, old, new], Type::TEXT)
            }
            ("Split", [_, ..]) => self.split(node, arguments, at, span),
            _ => self.fail(at, format!("string.{name} with {} arguments is not supported", arguments.len())),
        }
    }

    fn case_or(&mut self, rest: &[Expr], default: Case, text: &Node, at: &Span) -> Checked<Case> {
        let case = match rest {
            [case] => self.case(case)?,
            _ => default,
        };
        if matches!(case, Case::Culture | Case::CultureIgnoreCase) && !self.is_ascii(text) {
            self.warn(
                at,
                "the comparison depends on a culture and fails for text other than ASCII; add StringComparison.Ordinal or \
                 OrdinalIgnoreCase",
            );
        }
        Ok(case)
    }

    fn text_or_char(&mut self, expr: &Expr) -> Checked<Node> {
        let (node, ty) = self.value(expr)?;
        match ty.base {
            Base::Text => Ok(node),
            Base::Char if !ty.nullable => Ok(call(Function::ToText, vec![node], &expr.span)),
            _ => self.fail(&expr.span, format!("expected string, found {ty}")),
        }
    }

    /// `Split(',')`, `Split(new[] {','})`, `Split(", ")`, with or without options.
    fn split(&mut self, node: Node, arguments: &[Expr], at: &Span, span: &Span) -> Checked {
        let (separators, keep_empty) = match arguments.split_last() {
            Some((last, before)) if !before.is_empty() && !matches!(last.kind, ExprKind::Char(_)) => {
                let (code, ty) = self.expression(last)?;
                match (ty.base, code.kind) {
                    (Base::Constant(Class::StringSplitOptions), Kind::Constant(Constant::Int(code))) => {
                        (before, code == 0)
                    }
                    _ => return self.fail(&last.span, "expected a StringSplitOptions"),
                }
            }
            _ => (arguments, true),
        };
        let mut nodes = vec![node];
        match separators {
            [Expr { kind: ExprKind::Text(text), span: at }] if !text.is_empty() => {
                nodes.push(constant(Constant::Text(text.as_str().into()), at));
                return Ok((call(Function::SplitBy { keep_empty }, nodes, span), Base::Texts.into()));
            }
            [Expr { kind: ExprKind::Array(items), .. }] => {
                for item in items {
                    nodes.push(self.expect(item, Base::Char.into())?);
                }
            }
            separators => {
                for separator in separators {
                    nodes.push(self.expect(separator, Base::Char.into())?);
                }
            }
        }
        if nodes.len() < 2 {
            return self.fail(at, "Split needs character literals, as in Split(',')");
        }
        Ok((call(Function::Split { keep_empty }, nodes, span), Base::Texts.into()))
    }

    fn list_call(&mut self, node: Node, name: &str, arguments: &[Expr], at: &Span, span: &Span) -> Checked {
        let apply = |function, nodes: Vec<Node>, ty: Type| Ok((call(function, nodes, span), ty));
        match (name, arguments) {
            ("Contains", [wanted]) => {
                let (wanted_node, ty) = self.value(wanted)?;
                if ty.base == Base::DistinguishedName {
                    return self.fail(&wanted.span, super::BY_REFERENCE);
                }
                if !matches!(ty.base, Base::Text | Base::Null) {
                    return self.fail(&wanted.span, format!("expected string, found {ty}"));
                }
                self.lint_list(&node, &wanted_node, Case::Ordinal, span);
                apply(Function::HasText, vec![node, wanted_node], Type::BOOL)
            }
            ("Any" | "All", [lambda]) => {
                let ExprKind::Lambda(parameter, body) = &lambda.kind else {
                    return self.fail(&lambda.span, "expected a condition such as x => x == \"...\"");
                };
                let slot = self.slot();
                self.names.push(Binding {
                    name: parameter.clone(),
                    ty: Some(Type::TEXT),
                    slot,
                    member: None,
                });
                let condition = self.expect(body, Type::BOOL);
                self.names.pop();
                let condition = condition?;
                self.lint_any(&node, slot, &condition, span);
                let kind = Kind::AnyText {
                    list: Box::new(node),
                    slot,
                    condition: Box::new(condition),
                    is_all: name == "All",
                };
                Ok((Node { kind, range: range(span) }, Type::BOOL))
            }
            ("Any", []) => apply(Function::IsNotEmpty, vec![node], Type::BOOL),
            ("Count", []) => apply(Function::Count, vec![node], Type::INT),
            ("First", []) => apply(Function::First, vec![node], Type::TEXT),
            ("FirstOrDefault", []) => apply(Function::FirstOrDefault, vec![node], Type::TEXT),
            ("Last", []) => apply(Function::Last, vec![node], Type::TEXT),
            _ => self.fail(at, format!("{name} of string[] is not supported")),
        }
    }
}
