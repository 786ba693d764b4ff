//! Pre-pass: escapes raw expressions to well-formed XML, and keeps the positions of the original text.

use std::ops::Range;

use super::{Finding, Format, Position};
use crate::apim::lexer::{end_of_expression, entity};

/// Maximum nesting depth of elements.
const MAX_ELEMENT_DEPTH: usize = 64;
/// Maximum attributes of one element. The XML library compares each with all others.
const MAX_ATTRIBUTES: usize = 64;
/// Tags around the text, which can have several roots. No document element has this name.
const WRAPPER: (&str, &str) = ("<document-text>", "</document-text>");

/// XML that is well-formed as far as the pre-pass checks, with the positions of the original.
pub(super) struct PreparedXml<'a> {
    source: &'a str,
    is_raw: bool,
    /// Offset and position of the next character of the source.
    at: usize,
    next: Position,
    /// Open elements: name and position.
    open: Vec<(&'a str, Position)>,
    /// Offset in the source after a byte order mark and an XML declaration.
    start: usize,
    pub(super) xml: String,
    /// Positions in the source of the bytes of `xml`.
    positions: Vec<Position>,
    /// Values that begin like expressions, in order; only for `Format::Xml`.
    pub(super) values: Vec<ExpressionValue>,
}

/// An attribute value, or the text after a start tag.
pub(super) struct ExpressionValue {
    /// Range in the source.
    pub(super) range: Range<usize>,
    /// Quote of an attribute value.
    pub(super) quote: Option<char>,
}

type Prepared<T = ()> = Result<T, Finding>;

impl<'a> PreparedXml<'a> {
    pub(super) fn new(source: &'a str, format: Format) -> Prepared<Self> {
        let mut prepared = Self {
            source,
            is_raw: format == Format::RawXml,
            at: 0,
            next: Position { line: 1, column: 1 },
            open: Vec::new(),
            start: 0,
            xml: String::new(),
            positions: Vec::new(),
            values: Vec::new(),
        };
        prepared.document()?;
        Ok(prepared)
    }

    /// The XML as a document, with the original prefix.
    pub(super) fn converted(&self) -> String {
        let inside = self.xml.get(WRAPPER.0.len()..self.xml.len() - WRAPPER.1.len());
        self.source[..self.start].to_owned() + inside.unwrap_or_default()
    }

    /// Position in the source of an offset in the XML.
    pub(super) fn position(&self, offset: usize) -> Position {
        self.positions.get(offset).copied().unwrap_or(self.next)
    }

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

    fn error<T>(&self, message: impl Into<String>) -> Prepared<T> {
        Err(Finding::new(self.next, message))
    }

    /// Appends XML for the next character of the source.
    fn push(&mut self, xml: &str) {
        self.xml.push_str(xml);
        self.positions.resize(self.xml.len(), self.next);
    }

    /// Skips a character of the source.
    fn advance(&mut self, character: char) {
        self.at += character.len_utf8();
        self.next.column += 1;
        if character == '\n' {
            self.next = Position { line: self.next.line + 1, column: 1 };
        }
    }

    /// Copies bytes unchanged.
    fn copy(&mut self, length: usize) {
        let end = (self.at + length).min(self.source.len());
        let copied = &self.source[self.at..end];
        self.xml.push_str(copied);
        for character in copied.chars() {
            self.positions.resize(self.positions.len() + character.len_utf8(), self.next);
            self.advance(character);
        }
    }

    fn document(&mut self) -> Prepared {
        self.push(WRAPPER.0);
        // A byte order mark does not count as a column.
        self.at = if self.source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let rest = self.rest();
        if let Some(inside) = rest.trim_ascii_start().strip_prefix("<?xml") {
            // Elements inside of it would be skipped.
            let declaration = inside.split_once("?>").map(|(declaration, _)| declaration);
            let is_valid = |declaration: &&str| {
                declaration.starts_with(|first: char| first.is_ascii_whitespace())
                    && !declaration.contains(['<', '>'])
            };
            let Some(declaration) = declaration.filter(is_valid) else {
                return self.error("invalid XML declaration; write <?xml version=\"1.0\"?>, or remove it");
            };
            let end = rest.len() - inside.len() + declaration.len() + "?>".len();
            rest[..end].chars().for_each(|character| self.advance(character));
        }
        self.start = self.at;
        while let Some(tag) = self.rest().find('<') {
            self.copy(tag);
            self.markup()?;
        }
        self.copy(self.rest().len());
        if let Some((name, position)) = self.open.pop() {
            return Err(Finding::new(position, format!("<{name}> has no end tag")));
        }
        self.push(WRAPPER.1);
        Ok(())
    }

    /// Reads markup, which begins with `<`.
    fn markup(&mut self) -> Prepared {
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
                Some((open, position)) => {
                    let message = format!("<{open}> has no end tag: found </{name}>");
                    return Err(Finding::new(position, message));
                }
                None => return self.error(format!("</{name}> has no start tag")),
            }
            let length = closing.find('>').map_or(rest.len(), |end| end + 3);
            self.copy(length);
            return Ok(());
        }
        self.start_tag()
    }

    fn start_tag(&mut self) -> Prepared {
        let start = self.next;
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
                return Err(Finding::new(start, format!("unterminated tag <{name}>")));
            };
            let is_end = self.rest()[stop..].starts_with('>');
            // The XML library compares the namespaces of each element with all others.
            let names = self.rest()[..stop].split(|character: char| character.is_ascii_whitespace());
            if names.into_iter().any(|name| name.starts_with("xmlns")) {
                return Err(Finding::new(start, "XML namespaces are not supported; remove them"));
            }
            self.copy(stop);
            if is_end {
                let is_empty = self.source[..self.at].ends_with('/');
                self.copy(1);
                if !is_empty {
                    self.open.push((name, start));
                    self.expression_up_to(None)?;
                }
                return Ok(());
            }
            attributes += 1;
            if attributes > MAX_ATTRIBUTES {
                return self.error(format!("<{name}> has more than {MAX_ATTRIBUTES} attributes"));
            }
            let open = self.next;
            let quote = if self.rest().starts_with('"') { '"' } else { '\'' };
            self.copy(1);
            self.expression_up_to(Some(quote))?;
            let Some(end) = self.rest().find(quote) else {
                return Err(Finding::new(open, "unterminated attribute value"));
            };
            self.copy(end + 1);
        }
    }

    /// Reads a value if it is an expression: an attribute value up to its quote, or the text after a start tag.
    fn expression_up_to(&mut self, quote: Option<char>) -> Prepared {
        let (end, value) = quote.map_or(('<', "text"), |quote| (quote, "attribute value"));
        if !self.is_at_expression() {
            return Ok(());
        }
        if !self.is_raw {
            let length = self.rest().find(end).unwrap_or_else(|| self.rest().len());
            self.values.push(ExpressionValue { range: self.at..self.at + length, quote });
            return Ok(());
        }
        self.expression(quote)?;
        if !self.rest().starts_with(end) {
            return self.error(format!("text after an expression; an expression must be the whole {value}"));
        }
        Ok(())
    }

    /// Copies an expression, escaped for its context, and the blanks around it.
    fn expression(&mut self, quote: Option<char>) -> Prepared {
        self.copy(self.blanks());
        let end = match end_of_expression(self.source, self.at + 1) {
            Ok(end) => end,
            Err(error) => {
                self.copy(error.offset.saturating_sub(self.at));
                return self.error(error.message);
            }
        };
        while self.at < end {
            let Some(character) = self.rest().chars().next() else { break };
            match (entity(self.rest()), escaped(character, quote)) {
                (Some((_, length)), _) => self.copy(length),
                (None, Some(escaped)) => {
                    self.push(escaped);
                    self.advance(character);
                }
                (None, None) => self.copy(character.len_utf8()),
            }
        }
        self.copy(self.blanks());
        Ok(())
    }
}

/// Returns the escape of a character of an expression, if it needs one. XML parsers replace unescaped line ends and tabs in
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
    let is_end = |next: char| next.is_whitespace() || matches!(next, '>' | '/' | '=' | '<' | '"' | '\'');
    text.split(is_end).next().unwrap_or_default()
}
