//! Static members and constructors.

use super::{Checked, Checker, Constant, Function, Node, call, constant};
use crate::apim::expression::{
    ast::{Expr, ExprKind, Span, TypeName},
    node::Kind,
    text::Case,
    time,
    ty::{Base, Class, Type},
};

const STRING_COMPARISONS: [&str; 6] = [
    "CurrentCulture",
    "CurrentCultureIgnoreCase",
    "InvariantCulture",
    "InvariantCultureIgnoreCase",
    "Ordinal",
    "OrdinalIgnoreCase",
];

impl Checker {
    pub(super) fn static_member(&mut self, class: Class, name: &str, at: &Span, span: &Span) -> Checked {
        if class == Class::System {
            return match Class::from_name(name) {
                Some(class) => Ok((constant(Constant::Null, span), Base::Class(class).into())),
                None => self.fail(at, format!("System.{name} is not supported")),
            };
        }
        let code = match class {
            Class::StringComparison => STRING_COMPARISONS.iter().position(|known| *known == name),
            Class::StringSplitOptions => {
                ["None", "RemoveEmptyEntries"].iter().position(|known| *known == name)
            }
            Class::NameType => {
                ["SimpleName", "DnsName", "DnsFromAlternativeName"].iter().position(|known| *known == name)
            }
            Class::ContentType => ["Cert"].iter().position(|known| *known == name),
            _ => None,
        };
        if let Some(code) = code.and_then(|code| i32::try_from(code).ok()) {
            return Ok((constant(Constant::Int(code), span), Base::Constant(class).into()));
        }
        match (class, name) {
            (Class::DateTime, "Now" | "UtcNow") => {
                self.dependencies.time = true;
                Ok((Node { kind: Kind::Now, range: super::range(span) }, Base::DateTime.into()))
            }
            (Class::DateTime, "Today") => {
                self.dependencies.time = true;
                let now = Node { kind: Kind::Now, range: super::range(span) };
                Ok((call(Function::Midnight, vec![now], span), Base::DateTime.into()))
            }
            (Class::Text, "Empty") => Ok((constant(Constant::Text("".into()), span), Type::TEXT)),
            _ => {
                let class = Type::from(Base::Class(class));
                self.fail(at, format!("{class}.{name} is not supported"))
            }
        }
    }

    pub(super) fn static_call(
        &mut self,
        class: Class,
        name: &str,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        let of_span = |seconds| (Function::SpanOf(seconds), Type::from(Base::Double), Base::TimeSpan.into());
        let (function, argument, ty) = match (class, name, arguments) {
            (Class::Text, "IsNullOrEmpty", [_]) => (Function::IsNullOrEmpty, Type::TEXT, Type::BOOL),
            (Class::Text, "IsNullOrWhiteSpace", [_]) => {
                (Function::IsNullOrWhiteSpace, Type::TEXT, Type::BOOL)
            }
            (Class::Text, "Equals" | "Compare", [one, other, rest @ ..]) if name == "Equals" => {
                return self.same_text(one, other, rest, span);
            }
            (Class::Text, "Concat", [_, _, ..]) => return self.concat(arguments, span),
            (Class::Text, "Format", [format, values @ ..]) => return self.format(format, values, span),
            (Class::Text, "Join", [separator, list]) => {
                let separator = self.expect(separator, Type::TEXT)?;
                let list = self.expect(list, Base::Texts.into())?;
                return Ok((call(Function::Join, vec![separator, list], span), Type::TEXT));
            }
            (Class::TimeSpan, "FromDays", [_]) => of_span(86_400.0),
            (Class::TimeSpan, "FromHours", [_]) => of_span(3_600.0),
            (Class::TimeSpan, "FromMinutes", [_]) => of_span(60.0),
            (Class::TimeSpan, "FromSeconds", [_]) => of_span(1.0),
            (Class::DateTime, "Parse", [text]) => return self.constant_date_time(text, span),
            (Class::Int, "Parse", [_]) | (Class::Convert, "ToInt32", [_]) => {
                (Function::ParseInt, Type::TEXT, Type::INT)
            }
            (Class::Bool, "Parse", [_]) | (Class::Convert, "ToBoolean", [_]) => {
                (Function::ToBool, Type::TEXT, Type::BOOL)
            }
            (Class::Convert, "ToBase64String", [_]) => (Function::ToBase64, Base::Bytes.into(), Type::TEXT),
            (Class::Convert, "FromBase64String", [text]) => return self.decode_base64(text, span),
            _ => {
                let class = Type::from(Base::Class(class));
                let count = arguments.len();
                return self.fail(at, format!("{class}.{name} with {count} arguments is not supported"));
            }
        };
        let [only] = arguments else { return self.fail(at, "expected one argument") };
        let argument = self.expect(only, argument)?;
        Ok((call(function, vec![argument], span), ty))
    }

    fn same_text(&mut self, one: &Expr, other: &Expr, rest: &[Expr], span: &Span) -> Checked {
        let case = match rest {
            [] => Case::Ordinal,
            [case] => self.case(case)?,
            _ => return self.fail(span, "string.Equals takes two strings and a StringComparison"),
        };
        let is_text = |ty: Type| matches!(ty.base, Base::Text | Base::Null);
        let ((one, one_ty), (other, other_ty)) = (self.value(one)?, self.value(other)?);
        if one_ty.base == Base::DistinguishedName || other_ty.base == Base::DistinguishedName {
            return self.fail(span, super::BY_REFERENCE);
        }
        if !is_text(one_ty) || !is_text(other_ty) {
            return self.fail(span, format!("string.Equals takes strings, found {one_ty} and {other_ty}"));
        }
        self.lint_text_equality(&one, &other, case, span);
        Ok((call(Function::SameText(case), vec![one, other], span), Type::BOOL))
    }

    fn concat(&mut self, arguments: &[Expr], span: &Span) -> Checked {
        let mut parts = Vec::new();
        for argument in arguments {
            let (node, ty) = self.value(argument)?;
            parts.push(self.printable(node, ty, &argument.span)?);
        }
        Ok((Node { kind: Kind::Concat(parts.into()), range: super::range(span) }, Type::TEXT))
    }

    /// `string.Format("{0};{1}", a, b)`.
    fn format(&mut self, format: &Expr, values: &[Expr], span: &Span) -> Checked {
        let Some(text) = Self::literal(format).map(ToOwned::to_owned) else {
            return self.fail(&format.span, "the format of string.Format must be a string literal");
        };
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(next) = rest.chars().next() {
            if rest.starts_with("{{") || rest.starts_with("}}") {
                plain.push(next);
                rest = &rest[2..];
                continue;
            }
            if next != '{' && next != '}' {
                plain.push(next);
                rest = &rest[next.len_utf8()..];
                continue;
            }
            let index = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let value = index.and_then(|(index, _)| values.get(index.parse::<usize>().ok()?));
            let (Some((_, after)), Some(value)) = (index, value) else {
                return self.fail(&format.span, "string.Format supports only {0}, {1} and so on");
            };
            parts.push(constant(Constant::Text(std::mem::take(&mut plain).into()), span));
            let (node, ty) = self.value(value)?;
            parts.push(self.printable(node, ty, &value.span)?);
            rest = after;
        }
        parts.push(constant(Constant::Text(plain.into()), span));
        Ok((Node { kind: Kind::Concat(parts.into()), range: super::range(span) }, Type::TEXT))
    }

    fn constant_date_time(&mut self, text: &Expr, span: &Span) -> Checked {
        match Self::literal(text).map(time::parse) {
            Some(Some(ticks)) => Ok((constant(Constant::DateTime(ticks), span), Base::DateTime.into())),
            Some(None) => self.fail(
                &text.span,
                "the format of this date depends on a culture; write 2026-06-01 or 2026-06-01T12:00:00Z",
            ),
            None => self.fail(&text.span, "the argument of DateTime.Parse must be a string literal"),
        }
    }

    fn decode_base64(&mut self, text: &Expr, span: &Span) -> Checked {
        let Some(literal) = Self::literal(text) else {
            let text = self.expect(text, Type::TEXT)?;
            return Ok((call(Function::FromBase64, vec![text], span), Base::Bytes.into()));
        };
        match crate::apim::expression::base64::decode(literal) {
            Some(bytes) => Ok((constant(Constant::Bytes(bytes.into()), span), Base::Bytes.into())),
            None => self.fail(&text.span, "invalid base64"),
        }
    }

    /// `new DateTime(2026, 6, 1)`, `new TimeSpan(1, 0, 0)`.
    pub(super) fn construct(&mut self, name: &TypeName, arguments: &[Expr], span: &Span) -> Checked {
        let numbers: Option<Vec<i64>> = arguments
            .iter()
            .map(|argument| match argument.kind {
                ExprKind::Int(value) => Some(i64::from(value)),
                _ => None,
            })
            .collect();
        match (name.name.as_str(), numbers.as_deref()) {
            ("DateTime", Some([year, month, day, rest @ ..])) if matches!(rest.len(), 0 | 3) => {
                let part = |index| rest.get(index).copied().unwrap_or_default();
                match time::from_parts([*year, *month, *day], [part(0), part(1), part(2)]) {
                    Some(ticks) => Ok((constant(Constant::DateTime(ticks), span), Base::DateTime.into())),
                    None => self.fail(span, "the date does not exist"),
                }
            }
            ("DateTime", _) => self.fail(span, "the arguments of new DateTime must be number literals"),
            ("X509Certificate2" | "X509Certificate", _) => self.fail(
                span,
                "a certificate from a header or variable proves nothing: possession of its key was not shown; let callers \
                 connect to this listener directly and use context.Request.Certificate",
            ),
            ("Regex", _) => self.fail(span, "regular expressions are not supported; use StartsWith, Contains or Split"),
            (other, _) => self.fail(span, format!("new {other} is not supported")),
        }
    }
}
