//! Query parameters of lists, and links to their next pages.

use http::uri::Authority;

use super::{
    ApiError,
    filter::{Filter, FilterFields},
};

/// Default number of entries on a page.
const DEFAULT_PAGE_SIZE: usize = 100;
/// Maximum number of entries on a page.
const MAX_PAGE_SIZE: usize = 1000;

/// The query of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListQuery {
    pub(super) filter: Option<Filter>,
    pub(super) top: usize,
    pub(super) skip: usize,
    /// Selects certificates whose refresh from Key Vault failed; there are none.
    pub(super) only_failed: bool,
    /// All parameters except `$skip`, for the link to the next page.
    other_parameters: Vec<(String, String)>,
}

impl ListQuery {
    pub(super) fn parse(query: Option<&str>, fields: &'static FilterFields) -> Result<Self, ApiError> {
        let (mut filter, mut top, mut skip, mut only_failed) = (None, None, None, None);
        let mut other_parameters = Vec::new();
        for (name, value) in pairs(query) {
            let is_duplicate = match name.as_str() {
                "$filter" => {
                    let parsed = Filter::parse(&value, fields)
                        .map_err(|problem| ApiError::validation("$filter", problem))?;
                    filter.replace(parsed).is_some()
                }
                "$top" => top.replace(number("$top", &value, 1)?).is_some(),
                "$skip" => skip.replace(number("$skip", &value, 0)?).is_some(),
                "isKeyVaultRefreshFailed" => {
                    only_failed.replace(value.eq_ignore_ascii_case("true")).is_some()
                }
                name if name.starts_with('$') => {
                    let message = format!("{name} is not supported; use $filter, $top and $skip.");
                    return Err(ApiError::validation("query", message));
                }
                _ => false,
            };
            if is_duplicate {
                return Err(ApiError::validation("query", format!("{name} occurs twice.")));
            }
            if name != "$skip" {
                other_parameters.push((name, value));
            }
        }
        Ok(Self {
            filter,
            top: top.unwrap_or(DEFAULT_PAGE_SIZE).min(MAX_PAGE_SIZE),
            skip: skip.unwrap_or(0),
            only_failed: only_failed.unwrap_or(false),
            other_parameters,
        })
    }

    /// Returns the link to the next page, if there is one. It is absolute, since some clients do not resolve it.
    pub(super) fn next_link(&self, count: usize, authority: &Authority, path: &str) -> Option<String> {
        let skip = self.skip.saturating_add(self.top);
        if skip >= count {
            return None;
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.other_parameters).append_pair("$skip", &skip.to_string());
        // Not all clients decode + as a space.
        let query = query.finish().replace('+', "%20");
        Some(format!("https://{authority}{path}?{query}"))
    }
}

/// Checks that the API version is a date; all dates are accepted.
pub(super) fn check_api_version(query: Option<&str>) -> Result<(), ApiError> {
    for (name, value) in pairs(query) {
        let date = value.strip_suffix("-preview").unwrap_or(&value);
        let is_date = date.len() == 10
            && date.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if name == "api-version" && !is_date {
            let message = "The api-version must be a date such as 2024-05-01.";
            return Err(ApiError::validation("api-version", message));
        }
    }
    Ok(())
}

/// Returns a query parameter.
pub(super) fn parameter(query: Option<&str>, parameter: &str) -> Option<String> {
    pairs(query).find(|(name, _)| name == parameter).map(|(_, value)| value)
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned()))
}

fn number(name: &'static str, value: &str, min: usize) -> Result<usize, ApiError> {
    let number =
        value.parse().ok().filter(|number| *number >= min && value.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| ApiError::validation(name, format!("{name} must be a number of at least {min}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIELDS: FilterFields = FilterFields { texts: &["name"], has_expiration: false };

    #[test]
    fn next_link_keeps_all_parameters() {
        let query = "api-version=2024-05-01&$filter=contains(name,'a%20b%2Bc')&%24top=50&$skip=100";
        let query = ListQuery::parse(Some(query), &FIELDS).unwrap();
        assert_eq!((query.top, query.skip), (50, 100));
        let authority = Authority::from_static("localhost:9443");
        assert_eq!(query.next_link(150, &authority, "/x"), None);
        let next = query.next_link(151, &authority, "/x%2Fy").unwrap();
        assert!(next.starts_with("https://localhost:9443/x%2Fy?api-version=2024-05-01&"), "{next}");
        let again = ListQuery::parse(next.split_once('?').map(|(_, query)| query), &FIELDS).unwrap();
        assert_eq!(again, ListQuery { skip: 150, ..query });
    }

    #[test]
    fn parameters_are_validated() {
        for (query, is_good) in [
            ("$top=1", true),
            ("$top=0", false),
            ("$top=-1", false),
            ("$top=%2B1", false),
            ("$top=x", false),
            ("$top=", false),
            ("$skip=0", true),
            ("$skip=99999999999999999999", false),
            ("$top=1&$top=2", false),
            ("$orderby=name", false),
            ("unknown=1", true),
            ("$filter=name", false),
            ("isKeyVaultRefreshFailed=true", true),
        ] {
            assert_eq!(ListQuery::parse(Some(query), &FIELDS).is_ok(), is_good, "{query}");
        }
        assert_eq!(ListQuery::parse(Some("$top=100000"), &FIELDS).unwrap().top, MAX_PAGE_SIZE);
        for (query, is_good) in [
            ("", true),
            ("api-version=2024-05-01", true),
            ("api-version=2025-03-01-preview", true),
            ("api-version=1", false),
        ] {
            assert_eq!(check_api_version(Some(query)).is_ok(), is_good, "{query}");
        }
    }
}
