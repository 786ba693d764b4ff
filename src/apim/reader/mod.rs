//! Document reader: text to a tree of elements with source positions.
//!
//! A pre-pass escapes raw expressions, an XML library parses the result, and positions are mapped back to the original
//! text.

mod convert;
mod prepass;
mod text;

use roxmltree::{Node, ParsingOptions};

use self::prepass::PreparedXml;
pub(crate) use self::text::Text;
use super::error::{DocumentErrors, Finding, Position};

/// Maximum bytes of a document, as in APIM.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// Maximum elements of a document.
const MAX_NODES: u32 = 20_000;

/// Form of a document: well-formed XML, or XML with raw expressions.
///
/// ```
/// use tower_mtls::apim::{Document, Format};
///
/// let raw = r#"<set-variable name="team" value="@("orders")" />"#;
/// let xml = r#"<set-variable name="team" value="@(&quot;orders&quot;)" />"#;
/// assert!(Document::builder().format(Format::RawXml).load(raw).is_ok());
/// assert!(Document::builder().format(Format::Xml).load(xml).is_ok());
/// assert!(Document::builder().format(Format::Xml).load(raw).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// Well-formed XML: `"`, `<` and `&` in expressions are escaped as `&quot;`, `&lt;` and `&amp;`.
    Xml,
    /// XML with raw expressions, the format `rawxml` of APIM and of its policy editor: expressions in attributes and
    /// text contain these characters unescaped. Most well-formed documents read the same in both forms; an ambiguous
    /// string literal is an error. [`convert`](Self::convert) converts between the forms.
    #[default]
    RawXml,
}

impl Format {
    /// Converts a document of this form to another form, in which it reads as the same document.
    ///
    /// To XML: `<`, `>`, `&` and quotes in expressions become entities, and so do line ends and tabs in attributes,
    /// which an XML parser would replace by blanks. To raw XML: entities in expressions become characters, as in the
    /// policy editor; an expression that would read differently stays escaped. Text outside of expressions is copied
    /// byte for byte. Conversion to the same form returns the text unchanged.
    ///
    /// Only the syntax is checked; [`DocumentBuilder::load`](super::DocumentBuilder::load) checks whether the document
    /// can be enforced.
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
    /// 1. Invalid syntax in this form: the first error of [`DocumentBuilder::load`](super::DocumentBuilder::load).
    /// 2. The converted document would be longer than 256 KiB.
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
    /// Text between the tags, without comments.
    pub(crate) text: Text,
}

/// An attribute of an element.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) position: Position,
    pub(crate) value: Text,
}

/// Reads a document. Returns its root elements, one or several.
pub(crate) fn read(source: &str, format: Format) -> Result<Vec<Element>, Finding> {
    if source.len() > MAX_DOCUMENT_BYTES {
        let message = format!("the document is longer than {MAX_DOCUMENT_BYTES} bytes");
        return Err(Finding::new(Position { line: 1, column: 1 }, message));
    }
    let prepared = PreparedXml::new(source, format)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let tree = roxmltree::Document::parse_with_options(&prepared.xml, options).map_err(|error| {
        let position = prepared.position(offset_of(&prepared.xml, error.pos()));
        Finding::new(position, describe(&error))
    })?;
    let stray = prepared.text_of(tree.root_element(), true);
    if !stray.value.trim().is_empty() {
        let message = "text outside of all elements would not be enforced; is a '<' missing?";
        return Err(Finding::new(stray.start(), message));
    }
    prepared.children(tree.root_element())
}

/// Byte offset of a row and column (in characters) of the XML library.
fn offset_of(xml: &str, at: roxmltree::TextPos) -> usize {
    let row = at.row.saturating_sub(1) as usize;
    let start: usize = xml.split_inclusive('\n').take(row).map(str::len).sum();
    let line = xml.get(start..).unwrap_or_default();
    let column = at.col.saturating_sub(1) as usize;
    start + line.char_indices().nth(column).map_or(line.len(), |(byte, _)| byte)
}

/// The library's message without its position, which is not that of the original text.
fn describe(error: &roxmltree::Error) -> String {
    use roxmltree::Error as E;
    const LESS_THAN: &str = "'<' in an attribute value; write &lt; or load the document as raw XML";
    match error {
        E::InvalidAttributeValue(_) => LESS_THAN.into(),
        E::MalformedEntityReference(_) | E::UnknownEntityReference(..) => {
            "'&' does not begin a known entity; write &amp; or load the document as raw XML".into()
        }
        E::DtdDetected => "document types are not supported".into(),
        E::NodesLimitReached => format!("more than {MAX_NODES} elements"),
        other => {
            let message = other.to_string().replace(&format!(" at {}", other.pos()), "");
            let is_in_value = message.starts_with("expected '\"'") || message.starts_with("expected '''");
            if is_in_value && message.ends_with("not '<'") {
                return LESS_THAN.into();
            }
            let is_quote = message.starts_with("expected a whitespace");
            let remedy = if is_quote { "; write a quote in an attribute value as &quot;" } else { "" };
            format!("not well-formed XML: {message}{remedy}")
        }
    }
}

impl PreparedXml<'_> {
    fn children(&self, parent: Node<'_, '_>) -> Result<Vec<Element>, Finding> {
        parent.children().filter(Node::is_element).map(|child| self.element(child)).collect()
    }

    fn element(&self, node: Node<'_, '_>) -> Result<Element, Finding> {
        let position = self.position(node.range().start);
        let prefixed = node.tag_name().namespace().is_some()
            || node.namespaces().any(|namespace| namespace.name() != Some("xml"))
            || node.attributes().any(|attribute| attribute.namespace().is_some());
        if prefixed {
            let message = "XML namespaces are not supported; remove them";
            return Err(Finding::new(position, message));
        }
        let attributes = node.attributes().map(|attribute| Attribute {
            name: attribute.name().to_owned(),
            position: self.position(attribute.range().start),
            value: self.text(attribute.range_value(), true),
        });
        Ok(Element {
            name: node.tag_name().name().to_owned(),
            position,
            attributes: attributes.collect(),
            children: self.children(node)?,
            text: self.text_of(node, node.children().any(|child| child.is_element())),
        })
    }

    /// Decodes the text of an element. With `is_stray`, only the first text between other nodes that is not white space, which
    /// is an error.
    fn text_of(&self, node: Node<'_, '_>, is_stray: bool) -> Text {
        let is_text = |child: &Node<'_, '_>| child.text().is_some_and(|text| !text.trim_ascii().is_empty());
        let first = node.children().find(|child| !is_stray || (child.is_text() && is_text(child)));
        let start = first.unwrap_or(node).range().start;
        let Some(first) = first else { return self.text(start..start, false) };
        // To the next element or comment: the library's range ends where CDATA begins.
        let next = first.next_sibling().filter(|_| is_stray).map(|next| next.range().start);
        let inside = self.xml.get(start..next.unwrap_or_else(|| node.range().end)).unwrap_or_default();
        let inside =
            if next.is_none() { &inside[..inside.rfind("</").unwrap_or(inside.len())] } else { inside };
        let blanks = if is_stray { inside.len() - inside.trim_ascii_start().len() } else { 0 };
        self.text(start + blanks..start + inside.len(), false)
    }
}
