//! The elements `set-header` and `set-variable`.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

use super::{Base, Compiler, Element, Type};
use crate::apim::{
    error::short,
    headers::HeaderMode,
    program::{Action, HeaderTemplate, Section, Template},
};

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

/// Maximum number of variables, since lookup is linear.
const MAX_VARIABLES: usize = 256;

impl Compiler<'_> {
    pub(super) fn set_variable(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &["name", "value"], &[]);
        let name = self.required(element, "name");
        let value = match element.attribute("value") {
            Some(value) => self.template(&value.value, Base::Object.into(), |_, text| Some(text.into())),
            None => self.error(element.position, "attribute value of <set-variable> is missing"),
        };
        let name: Arc<str> = self.literal(name?)?.into();
        let variables = &mut self.analysis.variables;
        if variables.len() == MAX_VARIABLES && !variables.contains(&name) {
            return self
                .error(element.position, format!("the document sets more than {MAX_VARIABLES} variables"));
        }
        variables.insert(name.clone());
        Some(Action::Variable(name, value?))
    }
    pub(super) fn set_header(&mut self, element: &Element) -> Option<HeaderTemplate> {
        self.check_shape(element, &["name", "exists-action"], &["value"]);
        let name = self.required(element, "name").and_then(|name| {
            let written = self.literal(name)?;
            let problem = match written.parse::<HeaderName>() {
                Ok(header) if FRAMING.contains(&header) => {
                    format!("header {written} is set by the server; remove it")
                }
                Ok(header) if header == header::HOST && self.section == Section::Inbound => {
                    "header Host is set by the route; remove it".into()
                }
                Ok(header) => return Some(header),
                Err(_) => format!("invalid header name {:?}", short(written)),
            };
            self.error(name.position, problem)
        });
        let mode = self.choice(
            element,
            "exists-action",
            HeaderMode::Override,
            "override, skip, append or delete",
            &[
                ("override", HeaderMode::Override),
                ("skip", HeaderMode::Skip),
                ("append", HeaderMode::Append),
                ("delete", HeaderMode::Delete),
            ],
        );
        if element.children.len() > MAX_VALUES {
            let message = format!("<set-header> has more than {MAX_VALUES} values");
            return self.error(element.position, message);
        }
        let values: Vec<_> = element.children.iter().map(|child| self.header_value(child)).collect();
        let (name, mode) = (name?, mode?);
        if (mode == HeaderMode::Delete) != values.is_empty() {
            let message = match values.is_empty() {
                true => "<set-header> has no <value>",
                false => "<value> is not allowed with exists-action=\"delete\"",
            };
            self.findings.error(element.position, message);
        }
        Some(HeaderTemplate { name, mode, values: values.into_iter().collect::<Option<_>>()? })
    }

    fn header_value(&mut self, element: &Element) -> Option<Template<HeaderValue>> {
        self.check_shape(element, &[], &[]);
        self.check_plain(&element.text);
        self.template(&element.text, Type::TEXT, |compiler, text| {
            HeaderValue::from_str(text.trim()).map_or_else(
                |_| {
                    let message = "invalid header value; write one line of ASCII text";
                    compiler.error(element.text.start(), message)
                },
                Some,
            )
        })
    }
}
