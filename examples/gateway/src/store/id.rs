//! Ids of entries. They appear in responses and configurations, never as file names.

use std::{borrow::Borrow, fmt, ops::Deref, str::FromStr, sync::Arc};

/// An id as in Azure: 1 to 80 characters, without `*#&+:<>?` and without invisible characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(Arc<str>);

impl FromStr for Id {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        if text.chars().count() > 80 {
            return Err("is longer than 80 characters");
        }
        if text.contains(['*', '#', '&', '+', ':', '<', '>', '?']) {
            return Err("contains one of the characters * # & + : < > ?");
        }
        if text.contains(|c: char| c.is_control() || is_invisible(c)) {
            return Err("contains an invisible character");
        }
        if text.trim() != text {
            return Err("begins or ends with white space");
        }
        Ok(Self(text.into()))
    }
}

/// True for line and paragraph separators, zero-width characters and directional marks, which make ids look alike.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

impl Id {
    pub(crate) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Deref for Id {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_follows_azures_syntax() {
        let long = "x".repeat(80);
        for good in [
            "a",
            "orders",
            "Orders.2026_v-1",
            "with space",
            "ümläut",
            "../etc/passwd",
            "a/b",
            "a%2Fb",
            "it's",
            &long,
        ] {
            assert_eq!(good.parse::<Id>().as_deref(), Ok(good));
        }
        let too_long = "x".repeat(81);
        for bad in [
            "",
            "a*b",
            "#",
            "a&b",
            "a+b",
            "a:b",
            "<a>",
            "a?",
            "a\nb",
            "a\0",
            " a",
            "a\u{202e}b",
            "a\u{ad}b",
            "a\u{e0041}",
            &too_long,
        ] {
            assert!(bad.parse::<Id>().is_err(), "{bad:?}");
        }
    }
}
