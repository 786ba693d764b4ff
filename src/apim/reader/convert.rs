//! Conversion between the two forms of a document.
//!
//! To XML, the result is that of the pre-pass. To raw XML, each value is tried alone: a value that would read
//! differently in raw XML stays escaped.

use super::{Element, Format, prepass, read};
use crate::apim::error::{Finding, Position};

/// Converts a document from one form to another, in which it reads as the same document.
pub(super) fn convert(source: &str, from: Format, to: Format) -> Result<String, Finding> {
    let elements = read(source, from)?;
    if from == to {
        return Ok(source.to_owned());
    }
    let failed = |message: String| Finding::new(Position { line: 1, column: 1 }, message);
    let prepared = prepass::prepare(source, from).map_err(|error| failed(error.message))?;
    let converted = match to {
        Format::Xml => prepared.text(source),
        Format::RawXml => unescape(source, &prepared.values),
    };
    // Never return a different document, whatever the conversion above missed.
    match read(&converted, to) {
        Ok(again) if is_same(&elements, &again) => Ok(converted),
        Ok(_) => Err(failed("the document cannot be converted to the other form".into())),
        Err(error) => Err(failed(format!("in the other form: {}", error.message()))),
    }
}

/// Unescapes expressions and copies all other text byte for byte.
fn unescape(source: &str, values: &[prepass::ExpressionValue]) -> String {
    let mut converted = String::with_capacity(source.len());
    let mut at = 0;
    for prepass::ExpressionValue { range, quote } in values {
        converted.push_str(&source[at..range.start]);
        converted.push_str(&ValueContext(*quote).unescape(&source[range.clone()]));
        at = range.end;
    }
    converted.push_str(&source[at..]);
    converted
}

/// Context of a value: between these quotes, or between tags.
#[derive(Clone, Copy)]
struct ValueContext(Option<char>);

impl ValueContext {
    fn unescape(self, written: &str) -> String {
        let expression = written.trim_ascii();
        let leading = written.len() - written.trim_ascii_start().len();
        let (before, after) = (&written[..leading], &written[leading + expression.len()..]);
        let wanted = self.read(written, Format::Xml);
        let Some(plain) = self.read(expression, Format::Xml) else { return written.to_owned() };
        let escaped = || {
            let escape = |character| match prepass::escaped(character, self.0) {
                Some(escaped) => escaped.to_owned(),
                None => String::from(character),
            };
            plain.chars().map(escape).collect()
        };
        // With an entity as its first character, raw XML reads a value as XML.
        let opaque = || format!("&#64;{}", expression.strip_prefix('@').unwrap_or(expression));
        let candidates: [&dyn Fn() -> String; 3] = [&|| plain.clone(), &|| expression.to_owned(), &escaped];
        candidates
            .iter()
            .map(|candidate| format!("{before}{}{after}", candidate()))
            .find(|candidate| wanted.is_some() && self.read(candidate, Format::RawXml) == wanted)
            .unwrap_or_else(|| format!("{before}{}{after}", opaque()))
    }

    /// Reads a value in its context. None if the text is not exactly one value.
    fn read(self, written: &str, format: Format) -> Option<String> {
        let text = match self.0 {
            Some(quote) => format!("<a b={quote}{written}{quote}/>"),
            None => format!("<a>{written}</a>"),
        };
        let elements = read(&text, format).ok()?;
        let [Element { attributes, children, text, .. }] = elements.as_slice() else { return None };
        match (self.0, attributes.as_slice(), children.as_slice()) {
            (Some(_), [attribute], []) => Some(attribute.value.value.clone()),
            (None, [], []) => Some(text.value.clone()),
            _ => None,
        }
    }
}

/// True if both are the same except for positions.
fn is_same(one: &[Element], other: &[Element]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            let attributes = one.attributes.iter().zip(&other.attributes);
            one.name == other.name
                && one.text.value == other.text.value
                && one.attributes.len() == other.attributes.len()
                && attributes
                    .into_iter()
                    .all(|(one, other)| one.name == other.name && one.value.value == other.value.value)
                && is_same(&one.children, &other.children)
        })
}
