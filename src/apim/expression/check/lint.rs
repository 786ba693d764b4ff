//! Warnings about comparisons that are never true.

use std::collections::HashMap;

use super::{Base, Checker, Kind, MemberUse, Node};
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
    /// Records the certificate text or the list of literals in a local.
    pub(super) fn track_local(&mut self, slot: usize, node: &Node) {
        if let Some(text) = tracked_text(node, &self.tracked_texts) {
            self.tracked_texts.insert(slot, text);
        }
        let literals = literals(node);
        if !literals.is_empty() {
            self.tracked_lists.insert(slot, literals);
        }
    }

    /// Discards the record of a local that is assigned again.
    pub(super) fn untrack_local(&mut self, slot: usize) {
        self.tracked_texts.remove(&slot);
        self.tracked_lists.remove(&slot);
    }

    /// True for certificate texts that are always ASCII: comparing them does not depend on a culture.
    pub(super) fn is_ascii(&self, text: &Node) -> bool {
        tracked_text(text, &self.tracked_texts)
            .is_some_and(|text| matches!(text.which, Tag::Thumbprint | Tag::Serial))
    }

    /// Records a local that contains a key of `context.Deployment.Certificates`.
    pub(super) fn track_key(&mut self, slot: usize) {
        self.tracked_texts.insert(slot, TrackedText::KEY);
    }

    /// Warns of a comparison that depends on a culture.
    pub(super) fn lint_case(&mut self, case: Case, member: &MemberUse<'_>) {
        let is_ascii = member.nodes.first().is_some_and(|text| self.is_ascii(text));
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
                if let Some(problem) = literal.literal().and_then(|literal| key(literal, Case::Ordinal)) {
                    self.warn(literal.range.start, problem);
                }
            }
            _ => {}
        }
    }

    /// `one == other`, or `Equals`.
    pub(super) fn lint_equality(&mut self, one: &Node, other: &Node, case: Case, start: usize) {
        for (text, literal) in [(one, other), (other, one)] {
            if let (Some(text), Some(literal)) = (tracked_text(text, &self.tracked_texts), literal.literal())
                && let Some(problem) = text.mismatch(literal, case)
            {
                self.warn(start, problem);
            }
        }
    }

    /// `Contains`, `StartsWith` and `EndsWith`.
    fn lint_part(&mut self, text: &Node, part: &Node, case: Case, member: &MemberUse<'_>) {
        let (Some(text), Some(part)) = (tracked_text(text, &self.tracked_texts), part.literal()) else {
            return;
        };
        if let Some(problem) = text.part_mismatch(part, case) {
            self.warn(member.range.start, problem);
        } else if member.name == "Contains"
            && matches!(text.which, Tag::Subject | Tag::Issuer)
            && part.contains('=')
            && part.ends_with(|last: char| last.is_alphanumeric())
        {
            let message = format!(
                "longer names contain this as well, such as {part}-x; compare the whole name with ==, or the common name \
                 by GetNameInfo(X509NameType.SimpleName, false)"
            );
            self.warn(member.range.start, message);
        }
    }

    fn lint_list(&mut self, list: &Node, wanted: &Node, case: Case, start: usize) {
        let Some(text) = tracked_text(wanted, &self.tracked_texts) else { return };
        let problem = match &list.kind {
            Kind::Local(slot) => {
                self.tracked_lists.get(slot).and_then(|items| first_mismatch(text, items, case))
            }
            _ => first_mismatch(text, &literals(list), case),
        };
        if let Some(problem) = problem {
            self.warn(start, problem);
        }
    }

    /// `list.Any(item => item == text)`.
    pub(crate) fn lint_any(&mut self, list: &Node, slot: usize, condition: &Node, start: usize) {
        let (one, other, case) = match &condition.kind {
            Kind::Equal { one, other, .. } => (&**one, &**other, Case::Ordinal),
            Kind::Call(Row { tag: Tag::Equals, .. }, arguments) => match &**arguments {
                [one, other, case] => (one, other, case.case()),
                _ => return,
            },
            _ => return,
        };
        let is_item = |node: &Node| matches!(node.kind, Kind::Local(local) if local == slot);
        if is_item(one) {
            self.lint_list(list, other, case, start);
        } else if is_item(other) {
            self.lint_list(list, one, case, start);
        }
    }
}

/// The literals of a list.
fn literals(list: &Node) -> Vec<Box<str>> {
    match &list.kind {
        Kind::Array(items) => items.iter().filter_map(Node::literal).map(Into::into).collect(),
        Kind::Call(Row { tag: Tag::Split, .. }, arguments) => literal_parts(arguments),
        _ => Vec::new(),
    }
}

fn first_mismatch(text: TrackedText, items: &[Box<str>], case: Case) -> Option<String> {
    items.iter().find_map(|item| text.mismatch(item, case))
}

/// A text of a certificate, with the conversions that an expression applies to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrackedText {
    which: Tag,
    /// Some(true) after conversion to lower case, Some(false) to upper case, None without conversion.
    is_lower: Option<bool>,
    /// True for a key of `context.Deployment.Certificates`.
    is_key: bool,
}

fn tracked_text(node: &Node, locals: &HashMap<usize, TrackedText>) -> Option<TrackedText> {
    let (tag, arguments) = match &node.kind {
        Kind::Call(row, arguments) => (row.tag, arguments),
        Kind::Local(slot) => return locals.get(slot).copied(),
        Kind::Select(select) if select.base == Base::ENTRY_KEYS => return Some(TrackedText::KEY),
        // `a?.Thumbprint`
        Kind::IfNotNull { rest, .. } => return tracked_text(rest, locals),
        _ => return None,
    };
    let receiver = || tracked_text(arguments.first()?, locals);
    match tag {
        Tag::Subject | Tag::Issuer | Tag::Thumbprint | Tag::Serial => {
            Some(TrackedText { which: tag, ..TrackedText::PLAIN })
        }
        Tag::Key => Some(TrackedText::KEY),
        Tag::Lower => Some(TrackedText { is_lower: Some(true), ..receiver()? }),
        Tag::Upper => Some(TrackedText { is_lower: Some(false), ..receiver()? }),
        // `Trim` without characters.
        Tag::Same if arguments.len() == 1 => receiver(),
        _ => None,
    }
}

impl TrackedText {
    const PLAIN: Self = Self { which: Tag::Thumbprint, is_lower: None, is_key: false };
    const KEY: Self = Self { is_key: true, ..Self::PLAIN };

    /// Returns the reason why the text is never equal to a literal, if there is one.
    fn mismatch(self, literal: &str, case: Case) -> Option<String> {
        if let Some(problem) = invisible(literal) {
            return Some(problem);
        }
        if !case.is_insensitive() {
            match self.is_lower {
                Some(true) if literal.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                    let lower = literal.to_ascii_lowercase();
                    return Some(format!("text in lower case is never equal to this; write {lower}"));
                }
                Some(false) if literal.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                    let upper = literal.to_ascii_uppercase();
                    return Some(format!("text in upper case is never equal to this; write {upper}"));
                }
                _ => {}
            }
        }
        // The original case is unknown after a conversion.
        let case = if self.is_lower.is_some() { Case::OrdinalIgnoreCase } else { case };
        match self.which {
            Tag::Thumbprint if self.is_key => key(literal, case),
            Tag::Thumbprint => thumbprint(literal, case),
            Tag::Serial => serial(literal, case),
            _ if self.is_lower.is_some() => None,
            _ => name(literal),
        }
    }

    /// Returns the reason why the text never contains a literal, if there is one.
    fn part_mismatch(self, part: &str, case: Case) -> Option<String> {
        if let Some(problem) = invisible(part) {
            return Some(problem);
        }
        let is_lower = self.is_lower.unwrap_or(false);
        let is_wrong = |byte: u8| {
            !byte.is_ascii_hexdigit()
                || !case.is_insensitive()
                    && (if is_lower { byte.is_ascii_uppercase() } else { byte.is_ascii_lowercase() })
        };
        let is_number = matches!(self.which, Tag::Thumbprint | Tag::Serial);
        (is_number && part.bytes().any(is_wrong)).then(|| {
            let letters = if is_lower { "lower-case" } else { "upper-case" };
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
    let digits = literal.chars().filter(char::is_ascii_hexdigit).count();
    if literal.len() == 40 && digits == 40 {
        let is_lower = literal.bytes().any(|digit| digit.is_ascii_lowercase());
        return (is_lower && !case.is_insensitive()).then(|| {
            format!(
                "a thumbprint is never equal to this: thumbprints are upper-case; write {}",
                literal.to_ascii_uppercase()
            )
        });
    }
    Some(match digits {
        64 => "a thumbprint is never equal to this: thumbprints are SHA-1 (40 digits), and this looks like SHA-256; print it \
               with openssl x509 -noout -fingerprint -sha1"
            .into(),
        40 => {
            let upper: String = literal.chars().filter(char::is_ascii_hexdigit).collect();
            let upper = upper.to_ascii_uppercase();
            format!("a thumbprint is never equal to this: thumbprints are 40 hex digits without separators; write {upper}")
        }
        _ => format!("a thumbprint is never equal to this: thumbprints are 40 hex digits, found {digits}"),
    })
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
    let is_encoding_order = !printed.starts_with("CN=") && reversed.starts_with("CN=");
    match (printed == literal, is_encoding_order) {
        (true, true) => Some(format!("the name is probably in OpenSSL's order; .NET prints {reversed}")),
        (true, false) => None,
        (false, true) => Some(format!(
            "a name is never equal to this: it has OpenSSL's form and order; .NET prints {reversed}"
        )),
        (false, false) => Some(format!("a name is never equal to this; .NET prints {printed}")),
    }
}
