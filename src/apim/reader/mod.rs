//! A document's text as a tree of elements that know where they stand.
//!
//! A pre-pass turns raw expressions into well-formed XML, an XML library judges the result, and every place is
//! mapped back to the text as it was written.

mod convert;
mod csharp;
mod prepass;
#[cfg(test)]
mod tests;
mod text;

use roxmltree::{Node, ParsingOptions};

pub(crate) use self::csharp::is_line_end;
pub(crate) use self::text::{Lines, Text};
use super::error::{DocumentError, DocumentErrors, Position};

/// Real documents have a few kilobytes; APIM takes at most 256.
pub(crate) const LONGEST_DOCUMENT: usize = 256 * 1024;
/// More elements than this are made to cost.
const MOST_NODES: u32 = 20_000;

/// How a document writes its expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// Well-formed XML: `"`, `<` and `&` inside of expressions are written `&quot;`, `&lt;` and `&amp;`.
    Xml,
    /// Expressions in attributes and in texts may hold them as they are, as APIM's policy editor and its format
    /// `rawxml` write them. Almost every well-formed document reads the same in both forms; where a string
    /// literal could be read in two ways, it is an error. [`convert`](Self::convert) writes one form in the other.
    #[default]
    RawXml,
}

impl Format {
    /// Writes a document of this form in another: it is read as the same document there, expression by expression.
    ///
    /// To XML, `<`, `>`, `&` and quotes inside of expressions become entities, and so do line ends and tabs in
    /// attributes, which an XML parser would turn into blanks. To raw XML, entities inside of expressions become the
    /// characters that they stand for, as the policy editor shows them; one that would be read in another way then stays
    /// escaped. Everything outside of expressions stays as it is, byte for byte. The same form is the same text.
    ///
    /// Only the text is read: whether the document can be enforced is for
    /// [`DocumentBuilder::load`](super::DocumentBuilder::load) to say.
    ///
    /// ```
    /// # fn main() -> Result<(), tower_mtls::apim::DocumentErrors> {
    /// use tower_mtls::apim::Format;
    ///
    /// let raw = r#"<choose><when condition="@(context.Request.Method == "GET" && 1 < 2)" /></choose>"#;
    /// let xml = Format::RawXml.convert(raw, Format::Xml)?;
    /// let escaped = "@(context.Request.Method == &quot;GET&quot; &amp;&amp; 1 &lt; 2)";
    /// assert_eq!(xml, format!(r#"<choose><when condition="{escaped}" /></choose>"#));
    /// assert_eq!(Format::Xml.convert(&xml, Format::RawXml)?, raw);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// 1. The text cannot be read in this form: the first error of [`DocumentBuilder::load`](super::DocumentBuilder::load).
    /// 2. In the other form it would be longer than 256 KiB.
    pub fn convert(self, text: &str, to: Self) -> Result<String, DocumentErrors> {
        convert::convert(text, self, to).map_err(DocumentErrors::from)
    }
}

/// An element.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) position: Position,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) children: Vec<Self>,
    /// Text between the tags, comments left out.
    pub(crate) text: Text,
}

/// An attribute of an element.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) position: Position,
    pub(crate) value: Text,
}

/// Reads a document's elements: the roots of the text, one or several.
pub(crate) fn read(source: &str, format: Format) -> Result<Vec<Element>, DocumentError> {
    let lines = Lines::new(source);
    let error = |offset: usize, message: String| DocumentError::new(lines.position(offset), message);
    if source.len() > LONGEST_DOCUMENT {
        let message = format!("the document is longer than {LONGEST_DOCUMENT} bytes");
        return Err(error(0, message));
    }
    let prepared =
        prepass::prepare(source, format).map_err(|problem| error(problem.offset, problem.message))?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let tree = roxmltree::Document::parse_with_options(&prepared.xml, options).map_err(|problem| {
        let at = problem.pos();
        error(prepared.original(offset_of(&prepared.xml, at)), describe(&problem))
    })?;
    let reader = Reader { prepared: &prepared, lines: &lines };
    let loose = reader.loose_text(tree.root_element());
    if !loose.value.trim().is_empty() {
        let message =
            "a text stands outside of all elements, and nothing it says would be enforced: is a '<' missing?";
        return Err(DocumentError::new(loose.start(), message));
    }
    reader.children(tree.root_element())
}

/// The byte at which a row and column (in characters) of the XML library lie.
fn offset_of(xml: &str, at: roxmltree::TextPos) -> usize {
    let row = at.row.saturating_sub(1) as usize;
    let start: usize = xml.split_inclusive('\n').take(row).map(str::len).sum();
    let line = xml.get(start..).unwrap_or_default();
    let column = at.col.saturating_sub(1) as usize;
    start + line.char_indices().nth(column).map_or(line.len(), |(byte, _)| byte)
}

/// The library's message without its own position, which is not the text's.
fn describe(error: &roxmltree::Error) -> String {
    use roxmltree::Error as E;
    match error {
        E::InvalidAttributeValue(_) => {
            "'<' in an attribute's value: write &lt;, or load the document as raw XML".into()
        }
        E::MalformedEntityReference(_) | E::UnknownEntityReference(..) => {
            "'&' begins no known entity: write &amp;, or load the document as raw XML".into()
        }
        E::DtdDetected => "a document type is not accepted".into(),
        E::NodesLimitReached => format!("more than {MOST_NODES} elements"),
        other => {
            let place = format!(" at {}", other.pos());
            let said = other.to_string().replace(&place, "");
            let is_in_value = said.starts_with("expected '\"'") || said.starts_with("expected '''");
            match () {
                () if is_in_value && said.ends_with("not '<'") => {
                    "'<' in an attribute's value: write &lt;, or load the document as raw XML".into()
                }
                () if said.starts_with("expected a whitespace") => format!(
                    "not well-formed XML: {said}; a quote inside of an attribute's value is written &quot;"
                ),
                () => format!("not well-formed XML: {said}"),
            }
        }
    }
}

struct Reader<'a> {
    prepared: &'a prepass::Prepared,
    lines: &'a Lines,
}

impl Reader<'_> {
    fn children(&self, parent: Node<'_, '_>) -> Result<Vec<Element>, DocumentError> {
        parent.children().filter(Node::is_element).map(|child| self.element(child)).collect()
    }

    fn position(&self, offset: usize) -> Position {
        self.lines.position(self.prepared.original(offset))
    }

    fn element(&self, node: Node<'_, '_>) -> Result<Element, DocumentError> {
        let position = self.position(node.range().start);
        let prefixed = node.tag_name().namespace().is_some()
            || node.namespaces().any(|namespace| namespace.name() != Some("xml"))
            || node.attributes().any(|attribute| attribute.namespace().is_some());
        if prefixed {
            let message = "XML namespaces have no meaning in policy documents: leave them out";
            return Err(DocumentError::new(position, message));
        }
        let xml = &self.prepared.xml;
        let attributes = node
            .attributes()
            .map(|attribute| {
                let range = attribute.range_value();
                let raw = xml.get(range.clone()).unwrap_or_default();
                Attribute {
                    name: attribute.name().to_owned(),
                    position: self.position(attribute.range().start),
                    value: self.text(raw, range.start, true),
                }
            })
            .collect();
        // From the first child to the end tag; empty for <a/>.
        let text = match node.first_child() {
            Some(first) => {
                let start = first.range().start;
                let inside = xml.get(start..node.range().end).unwrap_or_default();
                let end = inside.rfind("</").unwrap_or(inside.len());
                let has_elements = node.children().any(|child| child.is_element());
                if has_elements { self.loose_text(node) } else { self.text(&inside[..end], start, false) }
            }
            None => Text::empty(position),
        };
        Ok(Element {
            name: node.tag_name().name().to_owned(),
            position,
            attributes,
            children: self.children(node)?,
            text,
        })
    }

    /// The first text beside elements that is no white space: nothing may stand there.
    fn loose_text(&self, node: Node<'_, '_>) -> Text {
        let loose = node
            .children()
            .find(|child| child.is_text() && child.text().is_some_and(|text| !text.trim_ascii().is_empty()));
        match loose {
            Some(loose) => {
                // A text goes on to the next element or comment: the library's range ends where CDATA begins.
                let start = loose.range().start;
                let next = loose.next_sibling().map(|next| next.range().start);
                let raw = self
                    .prepared
                    .xml
                    .get(start..next.unwrap_or_else(|| node.range().end))
                    .unwrap_or_default();
                let end = if next.is_some() { None } else { raw.rfind("</") };
                let raw = &raw[..end.unwrap_or(raw.len())];
                let leading = raw.len() - raw.trim_ascii_start().len();
                self.text(raw.trim_ascii(), start + leading, false)
            }
            None => Text::empty(self.position(node.range().start)),
        }
    }

    fn text(&self, raw: &str, start: usize, is_attribute: bool) -> Text {
        Text::decode(raw, is_attribute, |offset| self.lines.position(self.prepared.original(start + offset)))
    }
}
