//! Comparisons that can never hold.

use std::collections::HashMap;

use super::{Checker, Comparison, Constant, Function, Node, Span};
use crate::{
    apim::expression::{
        node::{CertificateText, Kind},
        text::Case,
    },
    certificate::DistinguishedName,
};

impl Checker {
    /// Remembers what stands in a local that is never set again.
    pub(super) fn note_local(&mut self, slot: usize, node: &Node) {
        if let Some(text) = seen(node, &self.texts) {
            self.texts.insert(slot, text);
        }
        let literals = literals(node);
        if !literals.is_empty() {
            self.lists.insert(slot, literals);
        }
    }

    /// Which of its values counts later is not known.
    pub(super) fn forget_local(&mut self, slot: usize) {
        self.texts.remove(&slot);
        self.lists.remove(&slot);
    }

    /// Whether a text of a certificate has no other letters than ASCII's: no culture decides about it.
    pub(super) fn is_ascii(&self, text: &Node) -> bool {
        seen(text, &self.texts)
            .is_some_and(|text| matches!(text.which, CertificateText::Thumbprint | CertificateText::Serial))
    }

    pub(super) fn lint_equality(&mut self, one: &Node, other: &Node, comparison: Comparison, span: &Span) {
        if comparison == Comparison::Equal || comparison == Comparison::Unequal {
            self.lint_text_equality(one, other, Case::Ordinal, span);
        }
    }

    pub(super) fn lint_text_equality(&mut self, one: &Node, other: &Node, case: Case, span: &Span) {
        for (text, literal) in [(one, other), (other, one)] {
            if let (Some(text), Kind::Constant(Constant::Text(literal))) =
                (seen(text, &self.texts), &literal.kind)
                && let Some(problem) = text.never(literal, case)
            {
                self.warn(span, problem);
            }
        }
    }

    /// `Contains`, `StartsWith` and `EndsWith`.
    pub(super) fn lint_part(&mut self, text: &Node, part: &Node, case: Case, method: &str, span: &Span) {
        let (Some(text), Kind::Constant(Constant::Text(part))) = (seen(text, &self.texts), &part.kind) else {
            return;
        };
        if let Some(problem) = text.never_part(part, case) {
            self.warn(span, problem);
        } else if method == "Contains"
            && matches!(text.which, CertificateText::Subject | CertificateText::Issuer)
            && part.contains('=')
            && part.ends_with(|last: char| last.is_alphanumeric())
        {
            let message = format!(
                "a name with more behind it contains this as well, such as {part}-x: compare the whole name with ==, or a common \
                 name by GetNameInfo(X509NameType.SimpleName, false)"
            );
            self.warn(span, message);
        }
    }

    pub(super) fn lint_list(&mut self, list: &Node, wanted: &Node, case: Case, span: &Span) {
        let Some(text) = seen(wanted, &self.texts) else { return };
        let problem = match &list.kind {
            Kind::Local(slot) => self.lists.get(slot).and_then(|items| first_never(text, items, case)),
            _ => first_never(text, &literals(list), case),
        };
        if let Some(problem) = problem {
            self.warn(span, problem);
        }
    }

    /// `list.Any(item => item == text)`.
    pub(super) fn lint_any(&mut self, list: &Node, slot: usize, condition: &Node, span: &Span) {
        let (one, other, case) = match &condition.kind {
            Kind::Equal { one, other, .. } => (&**one, &**other, Case::Ordinal),
            Kind::Call(Function::EqualsText(case) | Function::SameText(case), arguments) => {
                let [one, other] = &**arguments else { return };
                (one, other, *case)
            }
            _ => return,
        };
        let is_item = |node: &Node| matches!(node.kind, Kind::Local(local) if local == slot);
        if is_item(one) {
            self.lint_list(list, other, case, span);
        } else if is_item(other) {
            self.lint_list(list, one, case, span);
        }
    }

    /// A key of `context.Deployment.Certificates`.
    pub(super) fn lint_thumbprint_key(&mut self, literal: &Node, span: &Span) {
        if let Kind::Constant(Constant::Text(literal)) = &literal.kind
            && let Some(problem) = key(literal, Case::Ordinal)
        {
            self.warn(span, problem);
        }
    }
}

/// The texts of a list that is written out.
fn literals(list: &Node) -> Vec<Box<str>> {
    let text = |node: &Node| match &node.kind {
        Kind::Constant(Constant::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let character = |node: &Node| match node.kind {
        Kind::Constant(Constant::Char(character)) => Some(character),
        _ => None,
    };
    match &list.kind {
        Kind::Array(items) => items.iter().filter_map(text).collect(),
        Kind::Call(Function::Split { .. }, arguments) => {
            let Some((whole, by)) = arguments.split_first() else { return Vec::new() };
            let by: Vec<_> = by.iter().filter_map(character).collect();
            let whole = text(whole).unwrap_or_default();
            whole.split(|next| by.contains(&next)).filter(|part| !part.is_empty()).map(Into::into).collect()
        }
        _ => Vec::new(),
    }
}

fn first_never(text: Seen, items: &[Box<str>], case: Case) -> Option<String> {
    items.iter().find_map(|item| text.never(item, case))
}

/// A text of a certificate, as an expression has made it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    which: CertificateText,
    /// Whether all its letters are small ones, or all are capitals. None: as .NET prints them.
    is_lower: Option<bool>,
    /// Whether it is a key of `context.Deployment.Certificates`.
    is_key: bool,
}

fn seen(node: &Node, locals: &HashMap<usize, Seen>) -> Option<Seen> {
    let plain = |which| Seen { which, is_lower: None, is_key: false };
    let cased =
        |inner: &[Node], is_lower| Some(Seen { is_lower: Some(is_lower), ..seen(inner.first()?, locals)? });
    match &node.kind {
        Kind::CertificateText(which, _) => Some(plain(*which)),
        Kind::Call(Function::PairKey, _) => Some(Seen { is_key: true, ..plain(CertificateText::Thumbprint) }),
        Kind::Call(Function::ToLower, inner) => cased(inner, true),
        Kind::Call(Function::ToUpper, inner) => cased(inner, false),
        Kind::Call(Function::Trim(_) | Function::ToText, inner) => seen(inner.first()?, locals),
        Kind::Local(slot) => locals.get(slot).copied(),
        // `a?.Thumbprint`
        Kind::IfNotNull { rest, .. } => seen(rest, locals),
        _ => None,
    }
}

impl Seen {
    /// Why it is never this literal.
    fn never(self, literal: &str, case: Case) -> Option<String> {
        if let Some(problem) = invisible(literal) {
            return Some(problem);
        }
        if !ignores_case(case) {
            match self.is_lower {
                Some(true) if literal.bytes().any(|octet| octet.is_ascii_uppercase()) => {
                    let lower = literal.to_ascii_lowercase();
                    return Some(format!("a text in lower case is never equal to this: write {lower}"));
                }
                Some(false) if literal.bytes().any(|octet| octet.is_ascii_lowercase()) => {
                    let upper = literal.to_ascii_uppercase();
                    return Some(format!("a text in upper case is never equal to this: write {upper}"));
                }
                _ => {}
            }
        }
        // Which letters a name has is not known any more.
        let case = if self.is_lower.is_some() { Case::OrdinalIgnoreCase } else { case };
        match self.which {
            CertificateText::Thumbprint if self.is_key => key(literal, case),
            CertificateText::Thumbprint => thumbprint(literal, case),
            CertificateText::Serial => serial(literal, case),
            CertificateText::Subject | CertificateText::Issuer if self.is_lower.is_some() => None,
            CertificateText::Subject | CertificateText::Issuer => name(literal),
        }
    }

    /// Why it never contains this literal.
    fn never_part(self, part: &str, case: Case) -> Option<String> {
        if let Some(problem) = invisible(part) {
            return Some(problem);
        }
        let is_lower = self.is_lower.unwrap_or(false);
        let is_wrong = |octet: u8| {
            !octet.is_ascii_hexdigit()
                || !ignores_case(case)
                    && (if is_lower { octet.is_ascii_uppercase() } else { octet.is_ascii_lowercase() })
        };
        let is_number = matches!(self.which, CertificateText::Thumbprint | CertificateText::Serial);
        (is_number && part.bytes().any(is_wrong)).then(|| {
            let letters = if is_lower { "lower-case" } else { "upper-case" };
            format!(
                "nothing of it is ever equal to this: here it has {letters} hex digits without separators"
            )
        })
    }
}

/// A character that nobody sees, as they come along when a thumbprint is copied out of a window.
fn invisible(literal: &str) -> Option<String> {
    let is_hidden = |character: &char| matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let hidden = literal.chars().find(is_hidden)?;
    let shown: String = literal.chars().filter(|character| !is_hidden(character)).collect();
    Some(format!(
        "nothing is ever equal to this: it holds the invisible character U+{:04X}; write {shown} by hand",
        u32::from(hidden)
    ))
}

fn ignores_case(case: Case) -> bool {
    matches!(case, Case::OrdinalIgnoreCase | Case::CultureIgnoreCase)
}

fn thumbprint(literal: &str, case: Case) -> Option<String> {
    let digits = literal.chars().filter(char::is_ascii_hexdigit).count();
    if literal.len() == 40 && digits == 40 {
        let is_lower = literal.bytes().any(|digit| digit.is_ascii_lowercase());
        return (is_lower && !ignores_case(case)).then(|| {
            format!(
                "a thumbprint is never equal to this: thumbprints are upper-case, {}",
                literal.to_ascii_uppercase()
            )
        });
    }
    Some(match digits {
        64 => "a thumbprint is never equal to this: thumbprints are SHA-1 (40 digits), and this looks like SHA-256; openssl \
               x509 -noout -fingerprint -sha1 prints it"
            .into(),
        40 => {
            let upper: String = literal.chars().filter(char::is_ascii_hexdigit).collect();
            let upper = upper.to_ascii_uppercase();
            format!("a thumbprint is never equal to this: thumbprints are 40 hex digits without separators, {upper}")
        }
        _ => format!("a thumbprint is never equal to this: thumbprints are 40 hex digits, and these are {digits}"),
    })
}

/// Of a key of `context.Deployment.Certificates`.
fn key(literal: &str, case: Case) -> Option<String> {
    let is_thumbprint = |octet: u8| octet.is_ascii_hexdigit() || matches!(octet, b':' | b'-' | b' ');
    if !literal.is_empty() && literal.bytes().all(is_thumbprint) {
        return thumbprint(literal, case);
    }
    Some(format!(
        "nothing is found under {literal:?}: context.Deployment.Certificates is keyed by thumbprint (40 upper-case hex \
         digits), not by id"
    ))
}

fn serial(literal: &str, case: Case) -> Option<String> {
    let is_hex = |digit: u8| digit.is_ascii_hexdigit() && (ignores_case(case) || !digit.is_ascii_lowercase());
    let problem = if !literal.bytes().all(is_hex) {
        "serial numbers are upper-case hex digits without separators"
    } else if literal.is_empty() || !literal.len().is_multiple_of(2) {
        "serial numbers have an even number of hex digits"
    } else if literal.starts_with("00")
        && !matches!(literal.as_bytes(), [_, _] | [_, _, b'8'..=b'9' | b'A'..=b'F' | b'a'..=b'f', ..])
    {
        "serial numbers begin with 00 only where the next digit is 8 or more"
    } else if literal.starts_with(|first: char| matches!(first, '8'..='9' | 'A'..='F' | 'a'..='f')) {
        return Some(format!("only a negative serial number is equal to this: .NET prints 00{literal}"));
    } else {
        return None;
    };
    Some(format!("a serial number is never equal to this: {problem}"))
}

fn name(literal: &str) -> Option<String> {
    let Ok(name) = literal.parse::<DistinguishedName>() else {
        let hint = if literal.starts_with('/') { ": write CN=orders, O=Contoso" } else { "" };
        return Some(format!("a name is never equal to this, for it is no distinguished name{hint}"));
    };
    let printed = name.dotnet()?;
    // What begins with the country and ends with the common name is what OpenSSL prints: it is encoded that way,
    // and .NET prints names from their end.
    let reversed = name.reversed().dotnet()?;
    let is_encoding_order = !printed.starts_with("CN=") && reversed.starts_with("CN=");
    match (printed == literal, is_encoding_order) {
        (true, true) => Some(format!("this is probably in OpenSSL's order: .NET prints {reversed}")),
        (true, false) => None,
        (false, true) => Some(format!(
            "a name is never equal to this, in OpenSSL's form and order: .NET prints {reversed}"
        )),
        (false, false) => Some(format!("a name is never equal to this: .NET prints {printed}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_holds_is_told() {
        use CertificateText::{Serial, Subject, Thumbprint};
        let plain = |which| Seen { which, is_lower: None, is_key: false };
        const SHA1: &str = "CA06F56B258B7A0D4F2B05470939478651151984";
        for (which, literal, message) in [
            (Thumbprint, SHA1, None),
            (Thumbprint, &SHA1.to_lowercase(), Some("upper-case")),
            (Thumbprint, "CA:06", Some("these are 4")),
            (Thumbprint, "desired-thumbprint", Some("40 hex digits")),
            (Thumbprint, &SHA1.repeat(2)[..64], Some("SHA-256")),
            (Serial, "00A1B2C3D4", None),
            (Serial, "A1B2C3D4", Some("00A1B2C3D4")),
            (Serial, "01B2", None),
            (Serial, "a1b2c3d4", Some("upper-case")),
            (Serial, "0012", Some("begin with 00")),
            (Serial, "A1:B2", Some("separators")),
            (Serial, "A1B", Some("even")),
            (Subject, "CN=orders, O=Contoso", None),
            (Subject, r#"CN=*.contoso.com, O="Contoso, Inc.", S=Illinois, C=US"#, None),
            (Subject, "CN=orders,O=Contoso", Some("prints CN=orders, O=Contoso")),
            (Subject, "CN=orders, ST=Illinois", Some("prints CN=orders, S=Illinois")),
            (Subject, "C=US, O=Contoso, CN=orders", Some("OpenSSL's order")),
            (Subject, "O = Contoso, CN = orders", Some("prints CN=orders, O=Contoso")),
            (Thumbprint, "\u{200e}CA06", Some("U+200E; write CA06")),
            (Subject, r"CN=orders, O=Contoso\, Inc.", Some(r#"O="Contoso, Inc.""#)),
            (Subject, "/C=US/CN=orders", Some("no distinguished name")),
            (Subject, "expected-subject-name", Some("no distinguished name")),
        ] {
            let problem = plain(which).never(literal, Case::Ordinal);
            match message {
                None => assert_eq!(problem, None, "{literal}"),
                Some(message) => assert!(
                    problem.as_ref().is_some_and(|problem| problem.contains(message)),
                    "{literal}: {problem:?}"
                ),
            }
        }
        assert_eq!(plain(Thumbprint).never(&SHA1.to_lowercase(), Case::OrdinalIgnoreCase), None);
    }
}
