//! ETags and conditional headers.

use http::{HeaderMap, HeaderValue, header};

use super::ApiError;
use crate::store::{Precondition, Revision};

/// Formats the ETag of a revision.
pub(super) fn from_revision(revision: Revision) -> HeaderValue {
    let tag = format!("\"{revision:016x}\"");
    // Quoted hex digits are a valid header value.
    HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Reads If-Match; None if it is missing or empty. A weak or unknown tag matches nothing.
pub(super) fn if_match(headers: &HeaderMap) -> Option<Precondition> {
    let fields: Vec<_> = headers.get_all(header::IF_MATCH).iter().collect();
    let tags = fields.iter().flat_map(|field| field.to_str().unwrap_or("?").split(','));
    let tags: Vec<_> = tags.map(str::trim).filter(|tag| !tag.is_empty()).collect();
    match &tags[..] {
        [] => None,
        ["*"] => Some(Precondition::Present),
        tags => Some(Precondition::AtRevision(tags.iter().filter_map(|tag| revision(tag)).collect())),
    }
}

/// Reads the precondition of a PUT. Without If-Match, or with `If-None-Match: *`, the resource must not exist.
pub(super) fn precondition_of_put(headers: &HeaderMap) -> Result<Precondition, ApiError> {
    match (if_match(headers), headers.get(header::IF_NONE_MATCH)) {
        (condition, None) => Ok(condition.unwrap_or(Precondition::Absent)),
        (None, Some(tag)) if tag == "*" => Ok(Precondition::Absent),
        _ => {
            let message = "If-None-Match must be *, and must not be combined with If-Match.";
            Err(ApiError::validation("If-None-Match", message))
        }
    }
}

/// Reads the required If-Match of a change to an existing resource.
pub(super) fn required_if_match(headers: &HeaderMap, kind: &str) -> Result<Precondition, ApiError> {
    if_match(headers).ok_or_else(|| {
        let message = format!("If-Match is missing: send the ETag of the {kind}, or * for any version.");
        ApiError::validation("If-Match", message)
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
    fn if_match_is_parsed_as_http_defines_it() {
        let at = |revisions: &[Revision]| Some(Precondition::AtRevision(revisions.to_vec()));
        let mine = from_revision(255).to_str().unwrap().to_owned();
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
            assert_eq!(if_match(&headers), expected, "{fields:?}");
        }
    }
}
