//! `$filter`: which entries a list is to have, in the part of OData that Azure documents for it.
//!
//! Texts such as `name`, `subject` and `thumbprint` are compared (`ge le eq ne gt lt`) or searched (`substringof contains startswith
//! endswith`) without regard to case, `expirationDate` is compared; `and`, `or`, `not` and parentheses join conditions.

use time::{
    OffsetDateTime, PrimitiveDateTime, Time, UtcOffset,
    format_description::well_known::{Iso8601, Rfc3339},
};
use tower_mtls::Timestamp;

/// The longest filter, and how deep it may be nested.
const LONGEST: usize = 4096;
const DEEPEST: usize = 16;

/// What a filter can look at in one kind of entry.
#[derive(Debug, PartialEq)]
pub(super) struct Fields {
    /// Names of texts; a `thumbprint` is hex digits alone.
    pub(super) texts: &'static [&'static str],
    /// Whether there is an `expirationDate`.
    pub(super) expire: bool,
}

/// One entry, as a filter sees it.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// In the order of [`Fields::texts`].
    pub(super) texts: Vec<String>,
    pub(super) expiration: Option<Timestamp>,
}

/// A filter that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    All(Box<Self>, Box<Self>),
    Any(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// Which of the texts, by position.
    Text(usize, Operator, String),
    Expiration(Operator, Timestamp),
}

/// How it is compared.
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
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a sentence.
    pub(super) fn parse(text: &str, fields: &'static Fields) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("The filter is longer than {LONGEST} octets."));
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, depth: 0, fields };
        let filter = parser.any()?;
        match parser.tokens {
            [] => Ok(filter),
            [rest, ..] => Err(format!("The filter goes on after its end, with {}.", rest.describe())),
        }
    }

    /// Whether it takes an entry.
    pub(super) fn takes(&self, facts: &Facts) -> bool {
        match self {
            Self::All(one, other) => one.takes(facts) && other.takes(facts),
            Self::Any(one, other) => one.takes(facts) || other.takes(facts),
            Self::Not(inner) => !inner.takes(facts),
            Self::Expiration(operator, moment) => {
                facts.expiration.is_some_and(|found| operator.orders(&found, moment))
            }
            Self::Text(field, operator, wanted) => {
                let found = facts.texts.get(*field).map(|found| found.to_lowercase()).unwrap_or_default();
                match operator {
                    Operator::Contains => found.contains(wanted),
                    Operator::StartsWith => found.starts_with(wanted),
                    Operator::EndsWith => found.ends_with(wanted),
                    ordering => ordering.orders(&found, wanted),
                }
            }
        }
    }
}

impl Operator {
    fn orders<T: Ord>(self, found: &T, wanted: &T) -> bool {
        match self {
            Self::Ge => found >= wanted,
            Self::Le => found <= wanted,
            Self::Eq => found == wanted,
            Self::Ne => found != wanted,
            Self::Gt => found > wanted,
            Self::Lt => found < wanted,
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

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name, an operator, or a date.
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
}

impl Token {
    fn describe(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Text(text) => format!("'{text}'"),
            Self::Open => "(".into(),
            Self::Close => ")".into(),
            Self::Comma => ",".into(),
        }
    }
}

/// The tokens of a filter; a quotation mark within a text is doubled.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '\'' => quoted(rest)?,
            first if is_of_word(first) => {
                let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                (Token::Word(rest[..length].to_owned()), length)
            }
            other => {
                return Err(format!("The filter has {other:?} where a name or a text in '' is expected."));
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '+' | '/')
}

/// The text in quotation marks at the start, and how long it is with them.
fn quoted(rest: &str) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        let length = rest[at..].find('\'').ok_or("The filter has a text whose ' is not closed.")?;
        text.push_str(&rest[at..at + length]);
        at += length + 1;
        if !rest[at..].starts_with('\'') {
            return Ok((Token::Text(text), at));
        }
        text.push('\'');
        at += 1;
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    depth: usize,
    fields: &'static Fields,
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Option<&'t Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.tokens.first(), Some(Token::Word(found)) if found == word);
        if is_it {
            self.next();
        }
        is_it
    }

    fn expect(&mut self, expected: &Token) -> Result<(), String> {
        match self.next() {
            Some(found) if found == expected => Ok(()),
            found => Err(expected_instead(&expected.describe(), found)),
        }
    }

    fn text(&mut self) -> Result<&'t str, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            found => Err(expected_instead("a text in ''", found)),
        }
    }

    fn any(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("The filter is nested too deeply.".into());
        }
        let mut filter = self.all()?;
        while self.take_word("or") {
            filter = Filter::Any(Box::new(filter), Box::new(self.all()?));
        }
        self.depth -= 1;
        Ok(filter)
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut filter = self.one()?;
        while self.take_word("and") {
            filter = Filter::All(Box::new(filter), Box::new(self.one()?));
        }
        Ok(filter)
    }

    fn one(&mut self) -> Result<Filter, String> {
        let mut is_negated = false;
        while self.take_word("not") {
            is_negated = !is_negated;
        }
        let filter = match self.next() {
            Some(Token::Open) => {
                let inner = self.any()?;
                self.expect(&Token::Close)?;
                inner
            }
            Some(Token::Word(word)) if self.tokens.first() == Some(&Token::Open) => self.search(word)?,
            Some(Token::Word(field)) => self.comparison(field)?,
            found => return Err(expected_instead("a condition", found)),
        };
        Ok(if is_negated { Filter::Not(Box::new(filter)) } else { filter })
    }

    /// `contains(name,'x')`; `substringof` has its arguments the other way round.
    fn search(&mut self, function: &str) -> Result<Filter, String> {
        let operator = match function {
            "contains" | "substringof" => Operator::Contains,
            "startswith" => Operator::StartsWith,
            "endswith" => Operator::EndsWith,
            other => {
                return Err(format!(
                    "The filter has the function {other}; known are substringof, contains, startswith and endswith."
                ));
            }
        };
        self.expect(&Token::Open)?;
        let (name, text) = if function == "substringof" {
            let text = self.text()?;
            self.expect(&Token::Comma)?;
            (self.word()?, text)
        } else {
            let name = self.word()?;
            self.expect(&Token::Comma)?;
            (name, self.text()?)
        };
        self.expect(&Token::Close)?;
        if self.fields.is_date(name) {
            return Err("The filter searches in expirationDate, which can only be compared.".into());
        }
        self.fields.filter(name, operator, text)
    }

    fn word(&mut self) -> Result<&'t str, String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            found => Err(expected_instead("the name of a field", found)),
        }
    }

    fn comparison(&mut self, name: &str) -> Result<Filter, String> {
        let is_date = self.fields.is_date(name);
        if !is_date {
            self.fields.position(name)?;
        }
        let operator = self.next();
        let operator = match operator {
            Some(Token::Word(word)) => Operator::comparison(word),
            _ => None,
        }
        .ok_or_else(|| expected_instead("ge, le, eq, ne, gt or lt", operator))?;
        if !is_date {
            return self.fields.filter(name, operator, self.text()?);
        }
        self.take_word("datetime");
        let text = match self.next() {
            Some(Token::Word(text) | Token::Text(text)) => text,
            found => return Err(expected_instead("a date", found)),
        };
        let moment = moment(text)
            .ok_or_else(|| format!("The filter has the date {text}; write it like 2026-12-31T23:59:59Z."))?;
        Ok(Filter::Expiration(operator, moment))
    }
}

fn expected_instead(expected: &str, found: Option<&Token>) -> String {
    match found {
        Some(found) => format!("The filter has {} where {expected} is expected.", found.describe()),
        None => format!("The filter ends where {expected} is expected."),
    }
}

impl Fields {
    fn is_date(&self, name: &str) -> bool {
        self.expire && name == "expirationDate"
    }

    fn position(&self, name: &str) -> Result<usize, String> {
        self.texts.iter().position(|known| *known == name).ok_or_else(|| {
            let date = self.expire.then_some("expirationDate");
            let known: Vec<_> = self.texts.iter().copied().chain(date).collect();
            format!("The filter has the field {name}; known are {}.", known.join(", "))
        })
    }

    fn filter(&self, name: &str, operator: Operator, text: &str) -> Result<Filter, String> {
        let text = match name {
            // As people paste it.
            "thumbprint" => text.replace([':', ' '], ""),
            _ => text.to_owned(),
        };
        Ok(Filter::Text(self.position(name)?, operator, text.to_lowercase()))
    }
}

/// A date and time; without an offset it is UTC, without a time midnight.
fn moment(text: &str) -> Option<Timestamp> {
    let seconds = |moment: OffsetDateTime| Timestamp::from_unix(moment.unix_timestamp());
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(seconds(moment));
    }
    if let Ok(moment) = PrimitiveDateTime::parse(text, &Iso8601::DEFAULT) {
        return Some(seconds(moment.assume_offset(UtcOffset::UTC)));
    }
    let day = time::Date::parse(text, &Iso8601::DATE).ok()?;
    Some(seconds(PrimitiveDateTime::new(day, Time::MIDNIGHT).assume_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIELDS: Fields = Fields { texts: &["name", "subject", "thumbprint"], expire: true };

    #[test]
    fn every_documented_operator_takes_what_it_should() {
        let texts = ["orders", "CN=it's orders, O=Contoso", "AB12CD34"].map(str::to_owned).into();
        let facts = Facts { texts, expiration: Some(Timestamp::from_unix(1_767_225_600)) }; // 2026-01-01T00:00:00Z
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
            assert_eq!(Filter::parse(filter, &FIELDS).unwrap().takes(&facts), expected, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_said_precisely() {
        let deep = format!("{}name eq 'x'{}", "(".repeat(20), ")".repeat(20));
        for (filter, part) in [
            ("", "ends where a condition"),
            ("name", "ends where ge, le"),
            ("name eq", "ends where a text"),
            ("name eq orders", "has orders where a text"),
            ("name eq 'x", "not closed"),
            ("name eq 'x' name", "goes on after its end, with name"),
            ("issuer eq 'x'", "the field issuer; known are name, subject, thumbprint, expirationDate."),
            ("name like 'x'", "has like where ge, le"),
            ("matches(name,'x')", "the function matches"),
            ("contains('x',name)", "has 'x' where the name of a field"),
            ("contains(expirationDate,'x')", "only be compared"),
            ("expirationDate eq yesterday", "the date yesterday"),
            ("(name eq 'x'", "ends where )"),
            ("name eq \"x\"", "has '\"' where"),
            (&deep, "nested too deeply"),
            (&"x".repeat(LONGEST + 1), "longer than"),
        ] {
            let problem = Filter::parse(filter, &FIELDS).unwrap_err();
            assert!(problem.contains(part), "{filter}: {problem}");
        }
    }
}
