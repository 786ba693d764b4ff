//! The element `set-header`.

use http::{HeaderName, HeaderValue, header};

use super::{Compiler, Element, Type, expression};
use crate::apim::error::short;
use crate::apim::program::{HeaderChange, HeaderMode, HeaderText, Section};

/// Header fields of the connection or of message framing. Setting them would allow request smuggling.
const FRAMING: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Maximum number of values of one header.
const MAX_VALUES: usize = 64;

impl Compiler<'_> {
    pub(super) fn set_header(&mut self, element: &Element) -> Option<HeaderChange> {
        self.check_shape(element, &["name", "exists-action"], &["value"]);
        let name = self.required(element, "name").and_then(|name| {
            let written = self.literal(name)?;
            match written.parse::<HeaderName>() {
                Ok(header) if FRAMING.contains(&header) => {
                    let message = format!("header {written} is set by the server; remove it");
                    self.findings.error(name.position, message);
                    None
                }
                Ok(header) if header == header::HOST && self.section == Section::Inbound => {
                    let message = "header Host is set by the route; remove it";
                    self.findings.error(name.position, message);
                    None
                }
                Ok(header) => Some(header),
                Err(_) => {
                    self.findings.error(name.position, format!("invalid header name {:?}", short(written)));
                    None
                }
            }
        });
        let mode = match element.attribute("exists-action") {
            None => Some(HeaderMode::Override),
            Some(attribute) => match self.literal(attribute) {
                Some("override") => Some(HeaderMode::Override),
                Some("skip") => Some(HeaderMode::Skip),
                Some("append") => Some(HeaderMode::Append),
                Some("delete") => Some(HeaderMode::Delete),
                Some(other) => {
                    let other = short(other);
                    let message =
                        format!("exists-action: expected override, skip, append or delete, found {other:?}");
                    self.findings.error(attribute.position, message);
                    None
                }
                None => None,
            },
        };
        if element.children.len() > MAX_VALUES {
            self.findings.error(element.position, format!("<set-header> has more than {MAX_VALUES} values"));
            return None;
        }
        let values: Vec<_> = element.children.iter().map(|child| self.header_value(child)).collect();
        let (name, mode) = (name?, mode?);
        match (mode, values.is_empty()) {
            (HeaderMode::Delete, false) => {
                self.findings.error(element.position, "<value> is not allowed with exists-action=\"delete\"");
            }
            (HeaderMode::Delete, true) | (_, false) => {}
            (_, true) => self.findings.error(element.position, "<set-header> has no <value>"),
        }
        Some(HeaderChange { name, mode, values: values.into_iter().collect::<Option<_>>()? })
    }

    fn header_value(&mut self, element: &Element) -> Option<HeaderText> {
        self.check_shape(element, &[], &[]);
        self.check_plain(&element.text);
        if expression::is_expression(&element.text.value) {
            return Some(HeaderText::Expression(Box::new(self.compile(&element.text, Type::TEXT)?)));
        }
        match HeaderValue::from_str(element.text.value.trim()) {
            Ok(value) => Some(HeaderText::Literal(value)),
            Err(_) => {
                self.findings
                    .error(element.text.start(), "invalid header value; write one line of ASCII text");
                None
            }
        }
    }
}
