//! `$filter` of lists: the subset of OData that Azure documents for it.
//!
//! Texts such as `name`, `subject` and `thumbprint` are compared (`ge le eq ne gt lt`) or searched (`substringof contains
//! startswith endswith`) case-insensitively, `expirationDate` is compared; `and`, `or`, `not` and parentheses combine
//! conditions.

mod parser;
mod token;

use tower_mtls::certificate::Timestamp;

use self::parser::Parser;

/// Maximum length of a filter in bytes.
const MAX_LENGTH: usize = 4096;

/// Fields that can be filtered in one kind of entry.
#[derive(Debug, PartialEq)]
pub(super) struct FilterFields {
    /// Names of text fields. A `thumbprint` is compared by its hex digits.
    pub(super) texts: &'static [&'static str],
    /// True if entries have an `expirationDate`.
    pub(super) has_expiration: bool,
}

/// Values of an entry's fields.
#[derive(Debug, Clone)]
pub(super) struct FilterValues {
    /// In the order of [`FilterFields::texts`].
    pub(super) texts: Vec<String>,
    pub(super) expiration: Option<Timestamp>,
}

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    All(Box<Self>, Box<Self>),
    Any(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// Compares a text field, by its position in [`FilterFields::texts`].
    Text(usize, Operator, String),
    Expiration(Operator, Timestamp),
}

/// A comparison operator or search function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Ge,
    Le,
    Eq,
    Ne,
    Gt,
    Lt,
    Contains,
    StartsWith,
    EndsWith,
}

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    ///
    /// The problem, as a sentence.
    pub(super) fn parse(text: &str, fields: &'static FilterFields) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("The filter is longer than {MAX_LENGTH} bytes."));
        }
        let tokens = token::tokens(text)?;
        let mut parser = Parser { tokens: &tokens, depth: 0, fields };
        let filter = parser.any()?;
        match parser.tokens {
            [] => Ok(filter),
            [rest, ..] => Err(format!("The filter continues after its end with {}.", rest.describe())),
        }
    }

    /// Returns true if the filter matches an entry.
    pub(super) fn matches(&self, values: &FilterValues) -> bool {
        match self {
            Self::All(one, other) => one.matches(values) && other.matches(values),
            Self::Any(one, other) => one.matches(values) || other.matches(values),
            Self::Not(inner) => !inner.matches(values),
            Self::Expiration(operator, moment) => {
                values.expiration.is_some_and(|found| operator.compares(&found, moment))
            }
            Self::Text(field, operator, operand) => {
                let found = values.texts.get(*field).map(|found| found.to_lowercase()).unwrap_or_default();
                match operator {
                    Operator::Contains => found.contains(operand),
                    Operator::StartsWith => found.starts_with(operand),
                    Operator::EndsWith => found.ends_with(operand),
                    comparison => comparison.compares(&found, operand),
                }
            }
        }
    }
}

impl Operator {
    fn compares<T: Ord>(self, found: &T, operand: &T) -> bool {
        match self {
            Self::Ge => found >= operand,
            Self::Le => found <= operand,
            Self::Eq => found == operand,
            Self::Ne => found != operand,
            Self::Gt => found > operand,
            Self::Lt => found < operand,
            Self::Contains | Self::StartsWith | Self::EndsWith => false,
        }
    }

    fn comparison(word: &str) -> Option<Self> {
        Some(match word {
            "ge" => Self::Ge,
            "le" => Self::Le,
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            _ => return None,
        })
    }
}

impl FilterFields {
    fn is_date(&self, name: &str) -> bool {
        self.has_expiration && name == "expirationDate"
    }

    fn position(&self, name: &str) -> Result<usize, String> {
        self.texts.iter().position(|known| *known == name).ok_or_else(|| {
            let date = self.has_expiration.then_some("expirationDate");
            let known: Vec<_> = self.texts.iter().copied().chain(date).collect();
            format!("The filter has the field {name}; known are {}.", known.join(", "))
        })
    }

    fn filter(&self, name: &str, operator: Operator, text: &str) -> Result<Filter, String> {
        let text = match name {
            // Separators as in pasted thumbprints.
            "thumbprint" => text.replace([':', ' '], ""),
            _ => text.to_owned(),
        };
        Ok(Filter::Text(self.position(name)?, operator, text.to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIELDS: FilterFields =
        FilterFields { texts: &["name", "subject", "thumbprint"], has_expiration: true };

    #[test]
    fn documented_operators_match_as_in_odata() {
        let texts = ["orders", "CN=it's orders, O=Contoso", "AB12CD34"].map(str::to_owned).into();
        let values = FilterValues { texts, expiration: Some(Timestamp::from_unix(1_767_225_600)) }; // 2026-01-01T00:00:00Z
        for (filter, expected) in [
            ("name eq 'orders'", true),
            ("name eq 'Orders'", true),
            ("name ne 'orders'", false),
            ("name ge 'orders'", true),
            ("name gt 'orders'", false),
            ("name gt 'o'", true),
            ("name le 'orders'", true),
            ("name lt 'p'", true),
            ("name lt 'orders'", false),
            ("substringof('der', name)", true),
            ("contains(name,'der')", true),
            ("contains(name,'xyz')", false),
            ("startswith(subject,'cn=IT''s')", true),
            ("endswith(subject, 'Contoso')", true),
            ("endswith(thumbprint,'cd34')", true),
            ("thumbprint eq 'ab:12:cd:34'", true),
            ("thumbprint eq 'ab12'", false),
            ("expirationDate eq 2026-01-01T00:00:00Z", true),
            ("expirationDate ne 2026-01-01T00:00:00Z", false),
            ("expirationDate lt 2026-01-01T00:00:01Z", true),
            ("expirationDate le 2026-01-01T01:00:00+01:00", true),
            ("expirationDate ge datetime'2026-01-01T00:00:00'", true),
            ("expirationDate gt '2025-12-31'", true),
            ("expirationDate gt 2026-01-01", false),
            ("name eq 'x' or name eq 'orders'", true),
            ("name eq 'orders' and subject eq 'x' or name eq 'orders'", true),
            ("name eq 'orders' and (subject eq 'x' or name eq 'x')", false),
            ("not (name eq 'orders')", false),
            ("not not contains(name,'o')", true),
        ] {
            assert_eq!(Filter::parse(filter, &FIELDS).unwrap().matches(&values), expected, "{filter}");
        }
    }

    #[test]
    fn invalid_filters_have_precise_errors() {
        let deep = format!("{}name eq 'x'{}", "(".repeat(20), ")".repeat(20));
        for (filter, part) in [
            ("", "ends where a condition"),
            ("name", "ends where ge, le"),
            ("name eq", "ends where a text"),
            ("name eq orders", "has orders where a text"),
            ("name eq 'x", "not closed"),
            ("name eq 'x' name", "continues after its end with name"),
            ("issuer eq 'x'", "the field issuer; known are name, subject, thumbprint, expirationDate."),
            ("name like 'x'", "has like where ge, le"),
            ("matches(name,'x')", "the function matches"),
            ("contains('x',name)", "has 'x' where the name of a field"),
            ("contains(expirationDate,'x')", "only be compared"),
            ("expirationDate eq yesterday", "the date yesterday"),
            ("(name eq 'x'", "ends where )"),
            ("name eq \"x\"", "has '\"' where"),
            (&deep, "nested too deeply"),
            (&"x".repeat(MAX_LENGTH + 1), "longer than"),
        ] {
            let problem = Filter::parse(filter, &FIELDS).unwrap_err();
            assert!(problem.contains(part), "{filter}: {problem}");
        }
    }
}
