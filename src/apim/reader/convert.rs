//! Conversion between the two forms of a document.
//!
//! To XML, the result is that of the pre-pass. To raw XML, each value is tried alone: a value that would read
//! differently in raw XML stays escaped.

use super::{
    Element, Format, PreparedXml,
    prepass::{ExpressionValue, escaped},
    read,
};
use crate::apim::error::{Finding, Position};

/// Converts a document from one form to another, in which it reads as the same document.
pub(super) fn convert(source: &str, from: Format, to: Format) -> Result<String, Finding> {
    let elements = read(source, from)?;
    if from == to {
        return Ok(source.to_owned());
    }
    let failed = |message: String| Finding::new(Position { line: 1, column: 1 }, message);
    let prepared = PreparedXml::new(source, from)?;
    let converted = match to {
        Format::Xml => prepared.converted(),
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
fn unescape(source: &str, values: &[ExpressionValue]) -> String {
    let mut converted = String::with_capacity(source.len());
    let mut at = 0;
    for value in values {
        converted.push_str(&source[at..value.range.start]);
        converted.push_str(&value.unescape(&source[value.range.clone()]));
        at = value.range.end;
    }
    converted.push_str(&source[at..]);
    converted
}

impl ExpressionValue {
    fn unescape(&self, written: &str) -> String {
        let expression = written.trim_ascii();
        let leading = written.len() - written.trim_ascii_start().len();
        let (before, after) = (&written[..leading], &written[leading + expression.len()..]);
        let Some(wanted) = self.read(written, Format::Xml) else { return written.to_owned() };
        let plain = wanted.trim_ascii();
        let mut escaped_again = String::new();
        for character in plain.chars() {
            match escaped(character, self.quote) {
                Some(escaped) => escaped_again.push_str(escaped),
                None => escaped_again.push(character),
            }
        }
        for candidate in [plain, expression, &escaped_again] {
            let candidate = format!("{before}{candidate}{after}");
            if self.read(&candidate, Format::RawXml).as_ref() == Some(&wanted) {
                return candidate;
            }
        }
        // With an entity as its first character, raw XML reads a value as XML.
        format!("{before}&#64;{}{after}", expression.strip_prefix('@').unwrap_or(expression))
    }

    /// Reads a value in its context. None if the text is not exactly one value.
    fn read(&self, written: &str, format: Format) -> Option<String> {
        let text = match self.quote {
            Some(quote) => format!("<a b={quote}{written}{quote}/>"),
            None => format!("<a>{written}</a>"),
        };
        let elements = read(&text, format).ok()?;
        let [Element { attributes, children, text, .. }] = elements.as_slice() else { return None };
        match (self.quote, attributes.as_slice(), children.as_slice()) {
            (Some(_), [attribute], []) => Some(attribute.value.value.clone()),
            (None, [], []) => Some(text.value.clone()),
            _ => None,
        }
    }
}

/// Returns true if both are the same except for positions.
fn is_same(one: &[Element], other: &[Element]) -> bool {
    let values = |element: &Element| {
        let attributes = element.attributes.iter();
        attributes
            .map(|attribute| (attribute.name.clone(), attribute.value.value.clone()))
            .collect::<Vec<_>>()
    };
    let is_same = |(one, other): (&Element, &Element)| {
        (&one.name, &one.text.value, values(one)) == (&other.name, &other.text.value, values(other))
            && is_same(&one.children, &other.children)
    };
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}
