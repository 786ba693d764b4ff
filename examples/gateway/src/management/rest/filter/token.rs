//! Tokens of a filter.

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FilterToken {
    /// A name, operator or date.
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
}

impl FilterToken {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Text(text) => format!("'{text}'"),
            Self::Open => "(".into(),
            Self::Close => ")".into(),
            Self::Comma => ",".into(),
        }
    }
}

/// Splits a filter into tokens. A quotation mark within a text is doubled.
pub(super) fn tokens(text: &str) -> Result<Vec<FilterToken>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (FilterToken::Open, 1),
            ')' => (FilterToken::Close, 1),
            ',' => (FilterToken::Comma, 1),
            '\'' => quoted(rest)?,
            first if is_word_character(first) => {
                let length = rest.find(|c| !is_word_character(c)).unwrap_or(rest.len());
                (FilterToken::Word(rest[..length].to_owned()), length)
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

fn is_word_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '+' | '/')
}

/// Reads the quoted text at the start; returns it with its length in the source.
fn quoted(rest: &str) -> Result<(FilterToken, usize), String> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        let length = rest[at..].find('\'').ok_or("The filter has a text whose ' is not closed.")?;
        text.push_str(&rest[at..at + length]);
        at += length + 1;
        if !rest[at..].starts_with('\'') {
            return Ok((FilterToken::Text(text), at));
        }
        text.push('\'');
        at += 1;
    }
}
