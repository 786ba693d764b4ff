//! From raw text to well-formed XML, with a map back.

use std::{fmt::Write, ops::Range};

use super::{
    Format,
    csharp::{Unread, end_of_expression},
};

/// Elements nested deeper than this are made to cost.
const DEEPEST: usize = 64;
/// Attributes of one element. Each is compared with all others.
const MOST_ATTRIBUTES: usize = 64;
/// Stands around the text, which may have several roots. No element of a document has this name.
const WRAPPER: &str = "document-text";

/// Well-formed (as far as this pass can see) XML.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) xml: String,
    /// (offset in `xml`, offset in the original), in order; from each on both advance alike.
    map: Vec<(usize, usize)>,
    /// Where the original begins, behind what stands in front of the first element.
    start: usize,
    /// Values that begin like expressions, in order. Only of texts that are XML as they are.
    pub(super) values: Vec<Value>,
}

/// What stands between two quotes, or behind a start tag.
#[derive(Debug)]
pub(super) struct Value {
    /// In the original.
    pub(super) range: Range<usize>,
    /// Around an attribute's value.
    pub(super) quote: Option<char>,
}

impl Prepared {
    /// The XML as a text of its own, with what stood in front of it.
    pub(super) fn text(&self, source: &str) -> String {
        let inside = self.xml.strip_prefix(&format!("<{WRAPPER}>")).unwrap_or_default();
        let inside = inside.strip_suffix(&format!("</{WRAPPER}>")).unwrap_or_default();
        source[..self.start].to_owned() + inside
    }

    /// Where a byte of the XML stood in the original text.
    pub(super) fn original(&self, offset: usize) -> usize {
        let index = self.map.partition_point(|(xml, _)| *xml <= offset);
        match index.checked_sub(1).and_then(|index| self.map.get(index)) {
            Some((xml, original)) => original + (offset - xml),
            None => 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct Problem {
    pub(super) offset: usize,
    pub(super) message: String,
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        Self { offset: unread.offset, message: unread.message.into() }
    }
}

pub(super) fn prepare(source: &str, format: Format) -> Result<Prepared, Problem> {
    let mut pass = Pass {
        source,
        at: 0,
        prepared: Prepared {
            xml: String::with_capacity(source.len() + 64),
            map: Vec::new(),
            start: 0,
            values: Vec::new(),
        },
        is_raw: format == Format::RawXml,
        open: Vec::new(),
    };
    pass.run()?;
    Ok(pass.prepared)
}

struct Pass<'a> {
    source: &'a str,
    at: usize,
    prepared: Prepared,
    is_raw: bool,
    /// Elements that are open: name and place.
    open: Vec<(&'a str, usize)>,
}

impl<'a> Pass<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn problem<T>(&self, message: impl Into<String>) -> Result<T, Problem> {
        Err(Problem { offset: self.at, message: message.into() })
    }

    /// From here on the XML goes along with the original.
    fn mark(&mut self) {
        self.prepared.map.push((self.prepared.xml.len(), self.at));
    }

    /// Takes the next bytes over as they are.
    fn copy(&mut self, length: usize) {
        let end = (self.at + length).min(self.source.len());
        self.prepared.xml.push_str(&self.source[self.at..end]);
        self.at = end;
    }

    fn run(&mut self) -> Result<(), Problem> {
        let _ = write!(self.prepared.xml, "<{WRAPPER}>");
        self.at = if self.source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let leading = self.rest().len() - self.rest().trim_ascii_start().len();
        if self.rest().trim_ascii_start().starts_with("<?xml") {
            let end = self.rest().find("?>").map_or_else(|| self.rest().len(), |end| end + 2);
            self.at += end.max(leading);
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
            return Err(Problem { offset, message: format!("<{name}> is never closed") });
        }
        let _ = write!(self.prepared.xml, "</{WRAPPER}>");
        Ok(())
    }

    /// Whatever begins with `<`.
    fn markup(&mut self) -> Result<(), Problem> {
        let rest = self.rest();
        for (start, end, what) in [("<!--", "-->", "comment"), ("<![CDATA[", "]]>", "CDATA section")] {
            if rest.starts_with(start) {
                let Some(length) = rest.get(start.len()..).and_then(|inside| inside.find(end)) else {
                    return self.problem(format!("this {what} is never closed"));
                };
                self.copy(start.len() + length + end.len());
                return Ok(());
            }
        }
        if rest.starts_with("<!") {
            return self.problem("a document type is not accepted");
        }
        if rest.starts_with("<?") {
            return self.problem("processing instructions are not supported");
        }
        if let Some(closing) = rest.strip_prefix("</") {
            let name = name_of(closing);
            match self.open.pop() {
                Some((open, _)) if open == name => {}
                Some((open, offset)) => {
                    let at = self.at;
                    let message = format!("<{open}> is never closed: </{name}> comes first");
                    let _ = at;
                    return Err(Problem { offset, message });
                }
                None => return self.problem(format!("</{name}> closes nothing")),
            }
            let length = closing.find('>').map_or(rest.len(), |end| end + 3);
            self.copy(length);
            return Ok(());
        }
        self.start_tag()
    }

    fn start_tag(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let name = name_of(&self.rest()[1..]);
        if name.is_empty() {
            return self.problem("'<' begins no tag: write &lt;");
        }
        if self.open.len() == DEEPEST {
            return self.problem(format!("elements are nested more than {DEEPEST} deep"));
        }
        self.copy(1 + name.len());
        let mut attributes = 0;
        loop {
            let Some(stop) = self.rest().find(['>', '"', '\'']) else {
                return Err(Problem { offset: start, message: format!("the tag <{name}> is never closed") });
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
            if attributes > MOST_ATTRIBUTES {
                return self.problem(format!("<{name}> has more than {MOST_ATTRIBUTES} attributes"));
            }
            self.value()?;
        }
    }

    /// An attribute's value, from one quote to the other.
    fn value(&mut self) -> Result<(), Problem> {
        let open = self.at;
        let quote = if self.rest().starts_with('"') { '"' } else { '\'' };
        self.copy(1);
        let leading = self.rest().len() - self.rest().trim_ascii_start().len();
        let is_expression = is_expression(self.rest().trim_ascii_start());
        if self.is_raw && is_expression {
            self.copy(leading);
            self.expression(Some(quote))?;
            let trailing = self.rest().len() - self.rest().trim_ascii_start().len();
            self.copy(trailing);
            if !self.rest().starts_with(quote) {
                return self.problem(
                    "the expression ends here and the attribute's value does not: an expression is the whole value",
                );
            }
            self.copy(1);
            return Ok(());
        }
        let Some(end) = self.rest().find(quote) else {
            return Err(Problem { offset: open, message: "this value is never closed".into() });
        };
        if is_expression {
            self.note(end, Some(quote));
        }
        self.copy(end + 1);
        Ok(())
    }

    /// Remembers a value that begins here.
    fn note(&mut self, length: usize, quote: Option<char>) {
        let range = self.at..self.at + length;
        self.prepared.values.push(Value { range, quote });
    }

    /// A raw expression between tags.
    fn expression_in_text(&mut self) -> Result<(), Problem> {
        let leading = self.rest().len() - self.rest().trim_ascii_start().len();
        if !is_expression(self.rest().trim_ascii_start()) {
            return Ok(());
        }
        if !self.is_raw {
            let length = self.rest().find('<').unwrap_or_else(|| self.rest().len());
            self.note(length, None);
            return Ok(());
        }
        self.copy(leading);
        self.expression(None)?;
        if !self.rest().trim_ascii_start().starts_with('<') {
            return self
                .problem("the expression ends here and the text does not: an expression is the whole text");
        }
        Ok(())
    }

    /// Takes an expression over, escaped for the place where it stands.
    fn expression(&mut self, quote: Option<char>) -> Result<(), Problem> {
        let mut kept = Vec::new();
        let end = end_of_expression(self.source, self.at, |range| kept.push(range))?;
        let mut kept = kept.into_iter().peekable();
        while self.at < end {
            if let Some(range) = kept.next_if(|range| range.start == self.at) {
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
        Ok(())
    }
}

/// How a character of an expression is written in XML, if not as it is. Of white space an attribute keeps only what is
/// escaped; of line ends a text loses carriage returns.
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

fn is_expression(text: &str) -> bool {
    text.starts_with("@(") || text.starts_with("@{")
}

fn name_of(text: &str) -> &str {
    let end =
        text.find(|next: char| next.is_whitespace() || matches!(next, '>' | '/' | '=' | '<' | '"' | '\''));
    &text[..end.unwrap_or(text.len())]
}
