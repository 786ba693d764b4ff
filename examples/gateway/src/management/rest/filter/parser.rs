//! Parser of filters.

use time::{
    OffsetDateTime, PrimitiveDateTime, Time, UtcOffset,
    format_description::well_known::{Iso8601, Rfc3339},
};
use tower_mtls::certificate::Timestamp;

use super::{Filter, FilterFields, Operator, token::FilterToken};

/// Maximum nesting depth.
const MAX_DEPTH: usize = 16;

/// Parser state: the remaining tokens.
pub(super) struct Parser<'t> {
    pub(super) tokens: &'t [FilterToken],
    pub(super) depth: usize,
    pub(super) fields: &'static FilterFields,
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Option<&'t FilterToken> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.tokens.first(), Some(FilterToken::Word(found)) if found == word);
        if is_it {
            self.next();
        }
        is_it
    }

    fn expect(&mut self, expected: &FilterToken) -> Result<(), String> {
        match self.next() {
            Some(found) if found == expected => Ok(()),
            found => Err(expected_instead(&expected.describe(), found)),
        }
    }

    fn text(&mut self) -> Result<&'t str, String> {
        match self.next() {
            Some(FilterToken::Text(text)) => Ok(text),
            found => Err(expected_instead("a text in ''", found)),
        }
    }

    pub(super) fn any(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
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
            Some(FilterToken::Open) => {
                let inner = self.any()?;
                self.expect(&FilterToken::Close)?;
                inner
            }
            Some(FilterToken::Word(word)) if self.tokens.first() == Some(&FilterToken::Open) => {
                self.search(word)?
            }
            Some(FilterToken::Word(field)) => self.comparison(field)?,
            found => return Err(expected_instead("a condition", found)),
        };
        Ok(if is_negated { Filter::Not(Box::new(filter)) } else { filter })
    }

    /// Parses a function such as `contains(name,'x')`; `substringof` has the reverse order of arguments.
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
        self.expect(&FilterToken::Open)?;
        let (name, text) = if function == "substringof" {
            let text = self.text()?;
            self.expect(&FilterToken::Comma)?;
            (self.word()?, text)
        } else {
            let name = self.word()?;
            self.expect(&FilterToken::Comma)?;
            (name, self.text()?)
        };
        self.expect(&FilterToken::Close)?;
        if self.fields.is_date(name) {
            return Err("The filter searches in expirationDate, which can only be compared.".into());
        }
        self.fields.filter(name, operator, text)
    }

    fn word(&mut self) -> Result<&'t str, String> {
        match self.next() {
            Some(FilterToken::Word(word)) => Ok(word),
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
            Some(FilterToken::Word(word)) => Operator::comparison(word),
            _ => None,
        }
        .ok_or_else(|| expected_instead("ge, le, eq, ne, gt or lt", operator))?;
        if !is_date {
            return self.fields.filter(name, operator, self.text()?);
        }
        self.take_word("datetime");
        let text = match self.next() {
            Some(FilterToken::Word(text) | FilterToken::Text(text)) => text,
            found => return Err(expected_instead("a date", found)),
        };
        let moment = moment(text)
            .ok_or_else(|| format!("The filter has the date {text}; write it like 2026-12-31T23:59:59Z."))?;
        Ok(Filter::Expiration(operator, moment))
    }
}

fn expected_instead(expected: &str, found: Option<&FilterToken>) -> String {
    match found {
        Some(found) => format!("The filter has {} where {expected} is expected.", found.describe()),
        None => format!("The filter ends where {expected} is expected."),
    }
}

/// Parses a date, with an optional time (default midnight) and offset (default UTC).
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
