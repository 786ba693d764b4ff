//! Comparisons that can never hold.

use super::{Checker, Comparison, Constant, Function, Node, Span};
use crate::{
    apim::expression::{
        node::{CertificateText, Kind},
        text::Case,
    },
    certificate::DistinguishedName,
};

impl Checker {
    pub(super) fn lint_equality(&mut self, one: &Node, other: &Node, comparison: Comparison, span: &Span) {
        if comparison == Comparison::Equal || comparison == Comparison::Unequal {
            self.lint_text_equality(one, other, Case::Ordinal, span);
        }
    }

    pub(super) fn lint_text_equality(&mut self, one: &Node, other: &Node, case: Case, span: &Span) {
        for (text, literal) in [(one, other), (other, one)] {
            if let (Some(which), Kind::Constant(Constant::Text(literal))) =
                (certificate_text(text), &literal.kind)
                && let Some(problem) = never(which, literal, case)
            {
                self.warn(span, problem);
            }
        }
    }

    pub(super) fn lint_list(&mut self, list: &Node, wanted: &Node, span: &Span) {
        let Kind::Array(items) = &list.kind else { return };
        for item in items {
            self.lint_text_equality(wanted, item, Case::Ordinal, span);
        }
    }

    /// A key of `context.Deployment.Certificates`.
    pub(super) fn lint_thumbprint_key(&mut self, key: &Node, span: &Span) {
        if let Kind::Constant(Constant::Text(literal)) = &key.kind
            && let Some(problem) = thumbprint(literal, Case::Ordinal)
        {
            self.warn(span, problem);
        }
    }
}

/// Whether a comparison only asks whether there is a text of a certificate: every certificate has one.
pub(super) fn only_asks_for_presence(one: &Node, other: &Node) -> bool {
    let is_nothing = |node: &Node| match &node.kind {
        Kind::Constant(Constant::Null) => true,
        Kind::Constant(Constant::Text(text)) => text.is_empty(),
        _ => false,
    };
    (is_nothing(one) && certificate_text(other).is_some())
        || (is_nothing(other) && certificate_text(one).is_some())
}

fn certificate_text(node: &Node) -> Option<CertificateText> {
    match &node.kind {
        Kind::CertificateText(which, _) => Some(*which),
        Kind::Call(Function::PairKey, _) => Some(CertificateText::Thumbprint),
        // `a?.Thumbprint`
        Kind::IfNotNull { rest, .. } => certificate_text(rest),
        _ => None,
    }
}

/// Why a text of a certificate is never this literal.
fn never(which: CertificateText, literal: &str, case: Case) -> Option<String> {
    match which {
        CertificateText::Thumbprint => thumbprint(literal, case),
        CertificateText::Serial => serial(literal, case),
        CertificateText::Subject | CertificateText::Issuer => name(literal),
    }
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
        64 => "a thumbprint is never equal to this: thumbprints are SHA-1 (40 digits), and this looks like SHA-256".into(),
        40 => "a thumbprint is never equal to this: thumbprints are 40 hex digits without separators".into(),
        _ => format!("a thumbprint is never equal to this: thumbprints are 40 hex digits, and these are {digits}"),
    })
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
    if printed != literal {
        return Some(format!("a name is never equal to this: .NET prints {printed}"));
    }
    // What begins with the country and ends with the common name is what OpenSSL prints: it is encoded that way,
    // and .NET prints names from their end.
    let reversed = name.reversed().dotnet()?;
    let is_encoding_order = !literal.starts_with("CN=") && reversed.starts_with("CN=");
    is_encoding_order.then(|| format!("this is probably in OpenSSL's order: .NET prints {reversed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_holds_is_told() {
        use CertificateText::{Serial, Subject, Thumbprint};
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
            (Subject, r"CN=orders, O=Contoso\, Inc.", Some(r#"O="Contoso, Inc.""#)),
            (Subject, "/C=US/CN=orders", Some("no distinguished name")),
            (Subject, "expected-subject-name", Some("no distinguished name")),
        ] {
            let problem = never(which, literal, Case::Ordinal);
            match message {
                None => assert_eq!(problem, None, "{literal}"),
                Some(message) => assert!(
                    problem.as_ref().is_some_and(|problem| problem.contains(message)),
                    "{literal}: {problem:?}"
                ),
            }
        }
        assert_eq!(never(Thumbprint, &SHA1.to_lowercase(), Case::OrdinalIgnoreCase), None);
    }
}
