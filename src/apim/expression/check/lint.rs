//! Warnings about comparisons that are never true.

use super::{Base, Checker, Comparison, Kind, MemberUse, Node};
use crate::{
    apim::{
        dotnet::dotnet_name,
        expression::{
            members::{Row, Tag, literal_parts},
            text::Case,
        },
    },
    certificate::DistinguishedName,
};

impl Checker {
    /// Warns of a comparison that depends on a culture.
    pub(super) fn lint_case(&mut self, case: Case, member: &MemberUse<'_>) {
        let text = member.nodes.first().and_then(|text| self.certificate_text(text));
        let is_ascii = text.is_some_and(|text| matches!(text.tag, Tag::Thumbprint | Tag::Key | Tag::Serial));
        if case.is_culture() && member.base == Base::Text && !is_ascii {
            self.warn(
                member.at,
                "the comparison depends on a culture and fails for text other than ASCII; add StringComparison.Ordinal or \
                 OrdinalIgnoreCase",
            );
        }
    }

    /// Warns of a member whose result never varies.
    pub(super) fn lint(&mut self, member: &MemberUse<'_>) {
        match (member.row.tag, &*member.nodes) {
            (Tag::Equals, [one, other, case]) => {
                self.lint_equality(one, other, case.case(), member.range.start);
            }
            (Tag::Part, [text, part, case]) => self.lint_part(text, part, case.case(), member),
            (Tag::Contains, [list, wanted]) => {
                self.lint_list(list, wanted, Case::Ordinal, member.range.start);
            }
            (Tag::LookUp, [literal]) => {
                let problem = literal.literal().and_then(|literal| key(literal, Case::Ordinal));
                self.warn_if(literal.range.start, problem);
            }
            _ => {}
        }
    }

    fn warn_if(&mut self, start: usize, problem: Option<String>) {
        if let Some(problem) = problem {
            self.warn(start, problem);
        }
    }

    /// `one == other`, or `Equals`.
    pub(super) fn lint_equality(&mut self, one: &Node, other: &Node, case: Case, start: usize) {
        for (text, literal) in [(one, other), (other, one)] {
            let text = self.certificate_text(text);
            self.warn_if(start, text.and_then(|text| text.mismatch(literal.literal()?, case)));
        }
    }

    /// `Contains`, `StartsWith` and `EndsWith`.
    fn lint_part(&mut self, text: &Node, part: &Node, case: Case, member: &MemberUse<'_>) {
        let (Some(text), Some(part)) = (self.certificate_text(text), part.literal()) else { return };
        let is_open = member.name == "Contains"
            && matches!(text.tag, Tag::Subject | Tag::Issuer)
            && part.contains('=')
            && part.ends_with(|last: char| last.is_alphanumeric());
        let open = is_open.then(|| {
            format!(
                "longer names contain this as well, such as {part}-x; compare the whole name with ==, or the common name \
                 by GetNameInfo(X509NameType.SimpleName, false)"
            )
        });
        self.warn_if(member.range.start, text.part_mismatch(part, case).or(open));
    }

    fn lint_list(&mut self, list: &Node, wanted: &Node, case: Case, start: usize) {
        let Some(text) = self.certificate_text(wanted) else { return };
        let problem = self.literals(list).iter().find_map(|item| text.mismatch(item, case));
        self.warn_if(start, problem);
    }

    /// `list.Any(item => item == text)`.
    pub(crate) fn lint_any(&mut self, list: &Node, slot: usize, condition: &Node, start: usize) {
        let (one, other, case) = match &condition.kind {
            Kind::Compare(Comparison::Equal | Comparison::NotEqual, one, other) => {
                (&**one, &**other, Case::Ordinal)
            }
            Kind::Call(Row { tag: Tag::Equals, .. }, arguments) => match &**arguments {
                [one, other, case] => (one, other, case.case()),
                _ => return,
            },
            _ => return,
        };
        for (item, text) in [(one, other), (other, one)] {
            if matches!(item.kind, Kind::Local(local) if local == slot) {
                self.lint_list(list, text, case, start);
            }
        }
    }

    /// The literals of a list.
    fn literals(&self, list: &Node) -> Vec<Box<str>> {
        match &list.kind {
            Kind::Local(slot) => self.values.get(slot).map_or_else(Vec::new, |list| self.literals(list)),
            Kind::Array(items) => items.iter().filter_map(Node::literal).map(Into::into).collect(),
            Kind::Call(Row { tag: Tag::Split, .. }, arguments) => literal_parts(arguments),
            _ => Vec::new(),
        }
    }

    /// The certificate text that an expression yields, if it yields one.
    fn certificate_text(&self, node: &Node) -> Option<CertificateText> {
        let (tag, arguments) = match &node.kind {
            Kind::Call(row, arguments) => (row.tag, arguments),
            Kind::Local(slot) => return self.certificate_text(self.values.get(slot)?),
            Kind::Select(select) if select.base == Base::ENTRY_KEYS => {
                return Some(CertificateText { tag: Tag::Key, is_lower: None });
            }
            // `a?.Thumbprint`
            Kind::IfNotNull(.., rest) => return self.certificate_text(rest),
            _ => return None,
        };
        let receiver = || self.certificate_text(arguments.first()?);
        match tag {
            Tag::Subject | Tag::Issuer | Tag::Thumbprint | Tag::Serial | Tag::Key => {
                Some(CertificateText { tag, is_lower: None })
            }
            Tag::Lower => Some(CertificateText { is_lower: Some(true), ..receiver()? }),
            Tag::Upper => Some(CertificateText { is_lower: Some(false), ..receiver()? }),
            // `Trim` without characters.
            Tag::Same if arguments.len() == 1 => receiver(),
            _ => None,
        }
    }
}

/// A text of a certificate, with the conversions that an expression applies to it.
struct CertificateText {
    tag: Tag,
    /// Some(true) after conversion to lower case, Some(false) to upper case, None without conversion.
    is_lower: Option<bool>,
}

impl CertificateText {
    /// Returns the reason why the text never equals a literal, if there is one.
    fn mismatch(&self, literal: &str, case: Case) -> Option<String> {
        if let Some(problem) = invisible(literal) {
            return Some(problem);
        }
        if let Some(is_lower) = self.is_lower.filter(|_| !case.is_insensitive()) {
            let (name, converted) = match is_lower {
                true => ("lower", literal.to_ascii_lowercase()),
                false => ("upper", literal.to_ascii_uppercase()),
            };
            if converted != literal {
                return Some(format!("text in {name} case is never equal to this; write {converted}"));
            }
        }
        // The original case is unknown after a conversion.
        let case = if self.is_lower.is_some() { Case::OrdinalIgnoreCase } else { case };
        match self.tag {
            Tag::Key => key(literal, case),
            Tag::Thumbprint => thumbprint(literal, case),
            Tag::Serial => serial(literal, case),
            _ if self.is_lower.is_some() => None,
            _ => name(literal),
        }
    }

    /// Returns the reason why the text never contains a literal, if there is one.
    fn part_mismatch(&self, part: &str, case: Case) -> Option<String> {
        if let Some(problem) = invisible(part) {
            return Some(problem);
        }
        let (letters, is_wrong): (_, fn(&u8) -> bool) = match self.is_lower {
            Some(true) => ("lower-case", u8::is_ascii_uppercase),
            _ => ("upper-case", u8::is_ascii_lowercase),
        };
        let is_number = !matches!(self.tag, Tag::Subject | Tag::Issuer);
        let is_mismatch = |byte: u8| !byte.is_ascii_hexdigit() || !case.is_insensitive() && is_wrong(&byte);
        (is_number && part.bytes().any(is_mismatch)).then(|| {
            format!(
                "no part is ever equal to this: the text consists of {letters} hex digits without separators"
            )
        })
    }
}

/// Reports an invisible character, as copied along with a thumbprint from a certificate dialog.
fn invisible(literal: &str) -> Option<String> {
    let is_hidden = |character: &char| matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let hidden = literal.chars().find(is_hidden)?;
    let shown: String = literal.chars().filter(|character| !is_hidden(character)).collect();
    Some(format!(
        "text is never equal to this: it contains the invisible character U+{:04X}; write {shown} by hand",
        u32::from(hidden)
    ))
}

fn thumbprint(literal: &str, case: Case) -> Option<String> {
    let digits: String = literal.chars().filter(char::is_ascii_hexdigit).collect();
    let upper = digits.to_ascii_uppercase();
    let problem = match upper.len() {
        40 if upper == literal || case.is_insensitive() && digits == literal => return None,
        40 => format!("40 upper-case hex digits without separators; write {upper}"),
        64 => "SHA-1 (40 digits), and this looks like SHA-256; print it with openssl x509 -noout -fingerprint -sha1"
            .to_owned(),
        count => format!("40 hex digits, found {count}"),
    };
    Some(format!("a thumbprint is never equal to this: thumbprints are {problem}"))
}

/// Reports a literal that is not a key of `context.Deployment.Certificates`.
fn key(literal: &str, case: Case) -> Option<String> {
    let is_thumbprint = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'-' | b' ');
    if !literal.is_empty() && literal.bytes().all(is_thumbprint) {
        return thumbprint(literal, case);
    }
    Some(format!(
        "no entry has the key {literal:?}: context.Deployment.Certificates is keyed by thumbprint (40 upper-case hex \
         digits), not by id"
    ))
}

fn serial(literal: &str, case: Case) -> Option<String> {
    let is_hex =
        |digit: u8| digit.is_ascii_hexdigit() && (case.is_insensitive() || !digit.is_ascii_lowercase());
    let problem = if !literal.bytes().all(is_hex) {
        "serial numbers are upper-case hex digits without separators"
    } else if literal.is_empty() || !literal.len().is_multiple_of(2) {
        "serial numbers have an even number of hex digits"
    } else if literal.starts_with("00")
        && !matches!(literal.as_bytes(), [_, _] | [_, _, b'8'..=b'9' | b'A'..=b'F' | b'a'..=b'f', ..])
    {
        "serial numbers begin with 00 only where the next digit is 8 or more"
    } else if literal.starts_with(|first: char| matches!(first, '8'..='9' | 'A'..='F' | 'a'..='f')) {
        return Some(format!(
            "only a negative serial number is equal to this: a positive one begins with 00; write 00{literal}"
        ));
    } else {
        return None;
    };
    Some(format!("a serial number is never equal to this: {problem}"))
}

fn name(literal: &str) -> Option<String> {
    let Ok(name) = literal.parse::<DistinguishedName>() else {
        let remedy = if literal.starts_with('/') { "; write CN=orders, O=Contoso" } else { "" };
        return Some(format!("a name is never equal to this: not a distinguished name{remedy}"));
    };
    let printed = dotnet_name(&name)?;
    // A name that begins with the country and ends with the common name is in the order of the encoding, as OpenSSL
    // prints it. .NET prints names in reverse.
    let reversed = dotnet_name(&name.reversed())?;
    if !printed.starts_with("CN=") && reversed.starts_with("CN=") {
        return Some(format!("the name is probably in OpenSSL's order; .NET prints {reversed}"));
    }
    (printed != literal).then(|| format!("a name is never equal to this; .NET prints {printed}"))
}
