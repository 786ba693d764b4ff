//! What a list is asked for, and the link to its next page.

use http::uri::Authority;

use super::{
    Problem,
    filter::{Facts, Fields, Filter},
};

/// Entries on a page, unless `$top` says otherwise, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// The query of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListQuery {
    pub(super) filter: Option<Filter>,
    pub(super) top: usize,
    pub(super) skip: usize,
    /// Only those whose Key Vault could not be asked, of which there are none here.
    pub(super) only_failed: bool,
    /// Everything but `$skip`, for the next page.
    others: Vec<(String, String)>,
}

impl ListQuery {
    pub(super) fn parse(query: Option<&str>, fields: &'static Fields) -> Result<Self, Problem> {
        let (mut filter, mut top, mut skip, mut only_failed) = (None, None, None, None);
        let mut others = Vec::new();
        for (name, value) in pairs(query) {
            let is_second = match name.as_str() {
                "$filter" => {
                    let parsed = Filter::parse(&value, fields)
                        .map_err(|problem| Problem::validation("$filter", problem))?;
                    filter.replace(parsed).is_some()
                }
                "$top" => top.replace(number("$top", &value, 1)?).is_some(),
                "$skip" => skip.replace(number("$skip", &value, 0)?).is_some(),
                "isKeyVaultRefreshFailed" => {
                    only_failed.replace(value.eq_ignore_ascii_case("true")).is_some()
                }
                name if name.starts_with('$') => {
                    let message = format!("{name} is not known here; known are $filter, $top and $skip.");
                    return Err(Problem::validation("query", message));
                }
                _ => false,
            };
            if is_second {
                return Err(Problem::validation("query", format!("{name} stands there twice.")));
            }
            if name != "$skip" {
                others.push((name, value));
            }
        }
        Ok(Self {
            filter,
            top: top.unwrap_or(PAGE).min(LARGEST_PAGE),
            skip: skip.unwrap_or(0),
            only_failed: only_failed.unwrap_or(false),
            others,
        })
    }

    /// The part of these that is wanted, and how many there are of it on all pages.
    pub(super) fn of<T>(&self, all: impl Iterator<Item = (Facts, T)>) -> (Vec<T>, usize) {
        let takes = |facts: &Facts| self.filter.as_ref().is_none_or(|filter| filter.takes(facts));
        let found: Vec<_> = all.filter(|(facts, _)| takes(facts)).map(|(_, found)| found).collect();
        let count = found.len();
        (found.into_iter().skip(self.skip).take(self.top).collect(), count)
    }

    /// The link to the page after this one, if there is one: absolute, since some clients follow it as it stands.
    pub(super) fn next(&self, count: usize, authority: &Authority, path: &str) -> Option<String> {
        let skip = self.skip.saturating_add(self.top);
        if skip >= count {
            return None;
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.others).append_pair("$skip", &skip.to_string());
        // Not every client takes + for a space.
        let query = query.finish().replace('+', "%20");
        Some(format!("https://{authority}{path}?{query}"))
    }
}

/// A version is a date; which one makes no difference.
pub(super) fn check_api_version(query: Option<&str>) -> Result<(), Problem> {
    for (name, value) in pairs(query) {
        let date = value.strip_suffix("-preview").unwrap_or(&value);
        let is_date = date.len() == 10
            && date.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if name == "api-version" && !is_date {
            let message = "The api-version is not one; write a date such as 2024-05-01.";
            return Err(Problem::validation("api-version", message));
        }
    }
    Ok(())
}

/// A parameter of a query.
pub(super) fn parameter(query: Option<&str>, wanted: &str) -> Option<String> {
    pairs(query).find(|(name, _)| name == wanted).map(|(_, value)| value)
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned()))
}

fn number(name: &'static str, value: &str, least: usize) -> Result<usize, Problem> {
    let number =
        value.parse().ok().filter(|number| *number >= least && value.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| Problem::validation(name, format!("{name} has to be a number from {least} on.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIELDS: Fields = Fields { texts: &["name"], expire: false };

    #[test]
    fn the_next_page_is_asked_with_all_that_this_one_was() {
        let query = "api-version=2024-05-01&$filter=contains(name,'a%20b%2Bc')&%24top=50&$skip=100";
        let wanted = ListQuery::parse(Some(query), &FIELDS).unwrap();
        assert_eq!((wanted.top, wanted.skip), (50, 100));
        let authority = Authority::from_static("localhost:9443");
        assert_eq!(wanted.next(150, &authority, "/x"), None);
        let next = wanted.next(151, &authority, "/x%2Fy").unwrap();
        assert!(next.starts_with("https://localhost:9443/x%2Fy?api-version=2024-05-01&"), "{next}");
        let again = ListQuery::parse(next.split_once('?').map(|(_, query)| query), &FIELDS).unwrap();
        assert_eq!(again, ListQuery { skip: 150, ..wanted });
    }

    #[test]
    fn numbers_and_names_are_checked() {
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
        assert_eq!(ListQuery::parse(Some("$top=100000"), &FIELDS).unwrap().top, LARGEST_PAGE);
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
