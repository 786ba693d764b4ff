//! Pre-pass: escapes raw expressions to well-formed XML, with a map of offsets to the original text.

use std::{fmt::Write, ops::Range};

use super::Format;
use crate::apim::lexer::{self, Parsed, end_of_expression};

/// Maximum nesting depth of elements.
const MAX_ELEMENT_DEPTH: usize = 64;
/// Maximum attributes of one element. The XML library compares each with all others.
const MAX_ATTRIBUTES: usize = 64;
/// Element around the text, which can have several roots. No document element has this name.
const WRAPPER: &str = "document-text";

/// XML that is well-formed as far as the pre-pass checks, with a map to the original.
#[derive(Debug, Default)]
pub(super) struct PreparedXml {
    pub(super) xml: String,
    /// Pairs of offsets in `xml` and in the original, in order. Between two pairs both advance equally.
    map: Vec<(usize, usize)>,
    /// Offset in the original after a byte order mark and an XML declaration.
    start: usize,
    /// Values that begin like expressions, in order; only for `Format::Xml`.
    pub(super) values: Vec<ExpressionValue>,
}

/// An attribute value, or the text after a start tag.
#[derive(Debug)]
pub(super) struct ExpressionValue {
    /// Range in the original.
    pub(super) range: Range<usize>,
    /// Quote of an attribute value.
    pub(super) quote: Option<char>,
}

impl PreparedXml {
    /// The XML as a document, with the original prefix.
    pub(super) fn text(&self, source: &str) -> String {
        let inside = self.xml.strip_prefix(&format!("<{WRAPPER}>")).unwrap_or_default();
        let inside = inside.strip_suffix(&format!("</{WRAPPER}>")).unwrap_or_default();
        source[..self.start].to_owned() + inside
    }

    /// Maps an offset in the XML to an offset in the original.
    pub(super) fn original(&self, offset: usize) -> usize {
        let index = self.map.partition_point(|(xml, _)| *xml <= offset);
        match index.checked_sub(1).and_then(|index| self.map.get(index)) {
            Some((xml, original)) => original + (offset - xml),
            None => 0,
        }
    }
}

pub(super) fn prepare(source: &str, format: Format) -> Parsed<PreparedXml> {
    let mut prepass = Prepass {
        source,
        at: 0,
        prepared: PreparedXml::default(),
        is_raw: format == Format::RawXml,
        open: Vec::new(),
    };
    prepass.run()?;
    Ok(prepass.prepared)
}

struct Prepass<'a> {
    source: &'a str,
    at: usize,
    prepared: PreparedXml,
    is_raw: bool,
    /// Open elements: name and offset.
    open: Vec<(&'a str, usize)>,
}

impl<'a> Prepass<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Number of leading ASCII blanks.
    fn blanks(&self) -> usize {
        self.rest().len() - self.rest().trim_ascii_start().len()
    }

    fn is_at_expression(&self) -> bool {
        let rest = self.rest().trim_ascii_start();
        rest.starts_with("@(") || rest.starts_with("@{")
    }

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        lexer::error(self.at, message)
    }

    /// Maps the end of the XML to the current offset.
    fn mark(&mut self) {
        self.prepared.map.push((self.prepared.xml.len(), self.at));
    }

    /// Copies bytes unchanged.
    fn copy(&mut self, length: usize) {
        let end = (self.at + length).min(self.source.len());
        self.prepared.xml.push_str(&self.source[self.at..end]);
        self.at = end;
    }

    fn run(&mut self) -> Parsed<()> {
        let _ = write!(self.prepared.xml, "<{WRAPPER}>");
        self.at = if self.source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        if self.rest().trim_ascii_start().starts_with("<?xml") {
            let end = self.rest().find("?>").map_or_else(|| self.rest().len(), |end| end + 2);
            self.at += end.max(self.blanks());
        }
        self.prepared.start = self.at;
        self.mark();
        loop {
            let Some(tag) = self.rest().find('<') else {
                self.copy(self.rest().len());
                break;
            };
            self.copy(tag);
            self.markup()?;
        }
        if let Some((name, offset)) = self.open.pop() {
            return lexer::error(offset, format!("<{name}> has no end tag"));
        }
        let _ = write!(self.prepared.xml, "</{WRAPPER}>");
        Ok(())
    }

    /// Reads markup, which begins with `<`.
    fn markup(&mut self) -> Parsed<()> {
        let rest = self.rest();
        for (start, end, kind) in [("<!--", "-->", "comment"), ("<![CDATA[", "]]>", "CDATA section")] {
            if rest.starts_with(start) {
                let Some(length) = rest.get(start.len()..).and_then(|inside| inside.find(end)) else {
                    return self.error(format!("unterminated {kind}"));
                };
                self.copy(start.len() + length + end.len());
                return Ok(());
            }
        }
        if rest.starts_with("<!") {
            return self.error("document types are not supported");
        }
        if rest.starts_with("<?") {
            return self.error("processing instructions are not supported");
        }
        if let Some(closing) = rest.strip_prefix("</") {
            let name = name_of(closing);
            match self.open.pop() {
                Some((open, _)) if open == name => {}
                Some((open, offset)) => {
                    return lexer::error(offset, format!("<{open}> has no end tag: found </{name}>"));
                }
                None => return self.error(format!("</{name}> has no start tag")),
            }
            let length = closing.find('>').map_or(rest.len(), |end| end + 3);
            self.copy(length);
            return Ok(());
        }
        self.start_tag()
    }

    fn start_tag(&mut self) -> Parsed<()> {
        let start = self.at;
        let name = name_of(&self.rest()[1..]);
        if name.is_empty() {
            return self.error("'<' does not begin a tag; write &lt;");
        }
        if self.open.len() == MAX_ELEMENT_DEPTH {
            return self.error(format!("elements are nested more than {MAX_ELEMENT_DEPTH} levels deep"));
        }
        self.copy(1 + name.len());
        let mut attributes = 0;
        loop {
            let Some(stop) = self.rest().find(['>', '"', '\'']) else {
                return lexer::error(start, format!("unterminated tag <{name}>"));
            };
            let is_end = self.rest()[stop..].starts_with('>');
            self.copy(stop);
            if is_end {
                let is_empty = self.source[..self.at].ends_with('/');
                self.copy(1);
                if !is_empty {
                    self.open.push((name, start));
                    self.expression_in_text()?;
                }
                return Ok(());
            }
            attributes += 1;
            if attributes > MAX_ATTRIBUTES {
                return self.error(format!("<{name}> has more than {MAX_ATTRIBUTES} attributes"));
            }
            self.value()?;
        }
    }

    /// Reads an attribute value with its quotes.
    fn value(&mut self) -> Parsed<()> {
        let open = self.at;
        let quote = if self.rest().starts_with('"') { '"' } else { '\'' };
        self.copy(1);
        if self.is_raw && self.is_at_expression() {
            self.expression(Some(quote))?;
            if !self.rest().starts_with(quote) {
                return self
                    .error("text after an expression; an expression must be the whole attribute value");
            }
            self.copy(1);
            return Ok(());
        }
        let Some(end) = self.rest().find(quote) else {
            return lexer::error(open, "unterminated attribute value");
        };
        self.record_value(end, Some(quote));
        self.copy(end + 1);
        Ok(())
    }

    /// Records a value that begins here, if it is an expression.
    fn record_value(&mut self, length: usize, quote: Option<char>) {
        if self.is_at_expression() {
            let range = self.at..self.at + length;
            self.prepared.values.push(ExpressionValue { range, quote });
        }
    }

    /// Reads an expression between tags, if there is one.
    fn expression_in_text(&mut self) -> Parsed<()> {
        if !self.is_raw {
            let length = self.rest().find('<').unwrap_or_else(|| self.rest().len());
            self.record_value(length, None);
        } else if self.is_at_expression() {
            self.expression(None)?;
            if !self.rest().starts_with('<') {
                return self.error("text after an expression; an expression must be the whole text");
            }
        }
        Ok(())
    }

    /// Copies an expression, escaped for its context, and the blanks around it.
    fn expression(&mut self, quote: Option<char>) -> Parsed<()> {
        self.copy(self.blanks());
        let (end, entities) = end_of_expression(self.source, self.at + 1)?;
        let mut entities = entities.into_iter().peekable();
        while self.at < end {
            if let Some(range) = entities.next_if(|range| range.start == self.at) {
                self.copy(range.len());
                continue;
            }
            let Some(character) = self.rest().chars().next() else { break };
            let Some(escaped) = escaped(character, quote) else {
                self.copy(character.len_utf8());
                continue;
            };
            self.mark();
            self.prepared.xml.push_str(escaped);
            self.at += 1;
            self.mark();
        }
        self.copy(self.blanks());
        Ok(())
    }
}

/// The escape of a character of an expression, if it needs one. XML parsers replace unescaped line ends and tabs in
/// attributes, and carriage returns in text.
pub(super) fn escaped(character: char, quote: Option<char>) -> Option<&'static str> {
    Some(match character {
        '<' => "&lt;",
        '>' => "&gt;",
        '&' => "&amp;",
        '"' => "&quot;",
        '\'' if quote == Some('\'') => "&apos;",
        '\n' if quote.is_some() => "&#10;",
        '\t' if quote.is_some() => "&#9;",
        '\r' => "&#13;",
        _ => return None,
    })
}

fn name_of(text: &str) -> &str {
    let end =
        text.find(|next: char| next.is_whitespace() || matches!(next, '>' | '/' | '=' | '<' | '"' | '\''));
    &text[..end.unwrap_or(text.len())]
}
