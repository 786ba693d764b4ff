//! Reading of properties in JSON.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::ApiError;

/// Reads the properties of a resource. Names are case-insensitive, as in Azure.
///
/// A null property is ignored. In a partial update (`is_part`) it is rejected, since it could be meant to remove the
/// value.
pub(super) fn read<T: DeserializeOwned>(
    body: &[u8],
    known: &PropertyNames,
    is_part: bool,
) -> Result<T, ApiError> {
    #[derive(Deserialize)]
    struct Resource {
        properties: Option<Map<String, Value>>,
    }
    let invalid = |error: serde_json::Error| {
        ApiError::validation("body", format!("The body is not valid JSON for this resource: {error}."))
    };
    let read: Resource = serde_json::from_slice(body).map_err(invalid)?;
    let properties =
        read.properties.ok_or_else(|| ApiError::validation("properties", "properties is missing."))?;
    let mut details = Vec::new();
    if is_part {
        reject_nulls(&properties, "", &mut details);
    }
    let properties = known.canonical(properties, "", &mut details);
    if !details.is_empty() {
        return Err(ApiError::invalid(details));
    }
    serde_json::from_value(properties.into()).map_err(invalid)
}

/// Reports each null property, including nested ones.
fn reject_nulls(properties: &Map<String, Value>, within: &str, details: &mut Vec<(&'static str, String)>) {
    for (name, value) in properties {
        match value {
            Value::Null => {
                let problem = format!(
                    "The property {within}{name} is null, which does not remove it: send it empty, or leave it out."
                );
                details.push(("properties", problem));
            }
            Value::Object(inside) => reject_nulls(inside, &format!("{within}{name}."), details),
            _ => {}
        }
    }
}

/// Reports each text that is longer than its maximum, in characters.
pub(super) fn check_lengths(
    texts: &[(&'static str, &Option<String>, usize)],
    details: &mut Vec<(&'static str, String)>,
) {
    for (name, text, max) in texts {
        if text.as_ref().is_some_and(|text| text.chars().count() > *max) {
            details.push((name, format!("{name} is longer than {max} characters.")));
        }
    }
}

/// Property names of a resource; nested names are separated by `.`.
pub(super) struct PropertyNames {
    pub(super) known: &'static [&'static str],
    /// Properties that clients send and that have no effect.
    pub(super) ignored: &'static [&'static str],
}

impl PropertyNames {
    /// Converts the names to their canonical case. An unknown property is rejected, since it could be a restriction that
    /// would not be enforced.
    fn canonical(
        &self,
        properties: Map<String, Value>,
        within: &str,
        details: &mut Vec<(&'static str, String)>,
    ) -> Map<String, Value> {
        let mut found = Map::new();
        for (name, value) in properties {
            let name = format!("{within}{name}");
            if value.is_null() || self.ignored.iter().any(|ignored| ignored.eq_ignore_ascii_case(&name)) {
                continue;
            }
            let Some(known) = self.known.iter().find(|known| known.eq_ignore_ascii_case(&name)) else {
                let problem = format!("The property {name} is not supported.");
                details.push(("properties", problem));
                continue;
            };
            let inner = format!("{known}.");
            let value = match value {
                Value::Object(inside) if self.known.iter().any(|known| known.starts_with(&inner)) => {
                    self.canonical(inside, &inner, details).into()
                }
                other => other,
            };
            let own = known.strip_prefix(within).unwrap_or(known);
            if found.insert(own.to_owned(), value).is_some() {
                details.push(("properties", format!("The property {known} occurs twice.")));
            }
        }
        found
    }
}
