//! ETags: the revision of an entry, and what a change says of it.

use http::{HeaderMap, HeaderValue, header};

use super::Problem;
use crate::store::{Precondition, Revision};

/// The tag of this revision.
pub(super) fn of(revision: Revision) -> HeaderValue {
    let tag = format!("\"{revision:016x}\"");
    // Hex digits in quotation marks are a header's value.
    HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// What If-Match says; None if it is not there or empty. A tag that is none of ours, or weak, matches nothing.
pub(super) fn condition(headers: &HeaderMap) -> Option<Precondition> {
    let fields: Vec<_> = headers.get_all(header::IF_MATCH).iter().collect();
    let tags = fields.iter().flat_map(|field| field.to_str().unwrap_or("?").split(','));
    let tags: Vec<_> = tags.map(str::trim).filter(|tag| !tag.is_empty()).collect();
    match &tags[..] {
        [] => None,
        ["*"] => Some(Precondition::Present),
        tags => Some(Precondition::AtRevision(tags.iter().filter_map(|tag| revision(tag)).collect())),
    }
}

/// What a PUT says. Without If-Match, or with `If-None-Match: *`, only what is not there is made.
pub(super) fn condition_to_put(headers: &HeaderMap) -> Result<Precondition, Problem> {
    match (condition(headers), headers.get(header::IF_NONE_MATCH)) {
        (condition, None) => Ok(condition.unwrap_or(Precondition::Absent)),
        (None, Some(tag)) if tag == "*" => Ok(Precondition::Absent),
        _ => {
            let message = "Of If-None-Match only * is known here, and not beside If-Match.";
            Err(Problem::validation("If-None-Match", message))
        }
    }
}

/// What a request says that must say what it changes.
pub(super) fn condition_to_delete(headers: &HeaderMap, what: &str) -> Result<Precondition, Problem> {
    condition(headers).ok_or_else(|| {
        let message =
            format!("If-Match is missing: send the ETag of the {what}, or * for whatever is there.");
        Problem::validation("If-Match", message)
    })
}

fn revision(tag: &str) -> Option<Revision> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let is_ours = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_ours.then(|| Revision::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_read_as_http_defines_it() {
        let at = |revisions: &[Revision]| Some(Precondition::AtRevision(revisions.to_vec()));
        let mine = of(255).to_str().unwrap().to_owned();
        for (fields, expected) in [
            (&[][..], None),
            (&[""], None),
            (&["*"], Some(Precondition::Present)),
            (&[&mine], at(&[255])),
            (&["\"0000000000000001\", \"x\"", &mine], at(&[1, 255])),
            (&["W/\"0000000000000001\""], at(&[])),
            (&["0000000000000001"], at(&[])),
            (&["\"1\""], at(&[])),
            (&["\"+000000000000001\""], at(&[])),
            (&["*, *"], at(&[])),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::IF_MATCH, field.parse().unwrap());
            }
            assert_eq!(condition(&headers), expected, "{fields:?}");
        }
    }
}
