use std::{fmt, str::FromStr};

use crate::certificate::{DistinguishedName, NameParseError};

/// A distinguished name in a rule.
///
/// Tools disagree about the order: RFC 4514 and .NET print the last relative name first (`CN=orders, O=Contoso`), openssl
/// and Azure's examples print the encoding order (`O=Contoso, CN=orders`). A pattern from text therefore matches a name in
/// either order, and only whole names: every attribute must be present, in order. A pattern from a [`DistinguishedName`]
/// matches that name only.
///
/// ```
/// use tower_mtls::{certificate::DistinguishedName, policy::NamePattern};
///
/// let subject: DistinguishedName = "CN=orders,O=Contoso".parse()?;
/// assert!("O=Contoso, CN=orders".parse::<NamePattern>()?.matches(&subject));
/// assert!(!"CN=orders".parse::<NamePattern>()?.matches(&subject));
/// assert!(!NamePattern::from("O=Contoso,CN=orders".parse::<DistinguishedName>()?).matches(&subject));
/// # Ok::<(), tower_mtls::certificate::NameParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    name: DistinguishedName,
    reversed: Option<DistinguishedName>,
}

impl NamePattern {
    /// Returns true if the pattern matches `name`.
    pub fn matches(&self, name: &DistinguishedName) -> bool {
        self.name == *name || self.reversed.as_ref() == Some(name)
    }
}

impl From<DistinguishedName> for NamePattern {
    fn from(name: DistinguishedName) -> Self {
        Self { name, reversed: None }
    }
}

impl FromStr for NamePattern {
    type Err = NameParseError;

    /// # Errors
    ///
    /// The text is not a distinguished name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name: DistinguishedName = text.parse()?;
        let reversed = Some(name.reversed()).filter(|reversed| *reversed != name);
        Ok(Self { name, reversed })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
