//! Parser of names: RFC 4514, and .NET's form with quoted values and semicolons.

use std::fmt;

use x509_parser::asn1_rs::Oid;

use super::{DistinguishedName, keyword};

const UTF8_STRING: u32 = 12;
/// Size limit in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// Error of parsing a [`DistinguishedName`] or a [`NamePattern`](crate::policy::NamePattern).
///
/// ```
/// use tower_mtls::certificate::DistinguishedName;
///
/// let error = "CN=orders,XYZ=1".parse::<DistinguishedName>().unwrap_err();
/// assert_eq!(error.byte(), 10);
/// assert!(error.to_string().starts_with("not a distinguished name, byte 10: unknown attribute type"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameParseError {
    byte: usize,
    problem: String,
}

impl NameParseError {
    /// Position in the text at which parsing stopped, in bytes from 0.
    pub fn byte(&self) -> usize {
        self.byte
    }
}

impl fmt::Display for NameParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a distinguished name, byte {}: {}", self.byte, self.problem)
    }
}

impl std::error::Error for NameParseError {}

/// One attribute: its type as content bytes, and its value as a DER element.
type Pair = (Vec<u8>, Vec<u8>);

pub(super) fn parse(text: &str) -> Result<DistinguishedName, NameParseError> {
    let mut parser = Parser { text, at: 0 };
    if text.len() > MAX_TEXT {
        return Err(parser.error(format!("longer than {MAX_TEXT} bytes")));
    }
    let mut rdns: Vec<Vec<Pair>> = Vec::new();
    let mut rdn = Vec::new();
    parser.skip_spaces();
    if parser.peek().is_none() {
        return Err(parser.error("it is empty; write for example CN=orders,O=Contoso"));
    }
    if let Some(problem) = parser.foreign_form() {
        return Err(parser.error(problem));
    }
    loop {
        rdn.push(parser.attribute()?);
        parser.skip_spaces();
        match parser.next() {
            Some('+') => {}
            Some(',' | ';') => rdns.push(std::mem::take(&mut rdn)),
            None => {
                rdns.push(rdn);
                break;
            }
            Some(other) => {
                parser.at -= other.len_utf8();
                return Err(parser.error(format!("expected ',' or '+' but found {other:?}")));
            }
        }
        parser.skip_spaces();
    }
    // The last relative name is first in text (RFC 4514, section 2.1).
    let content: Vec<u8> = rdns.iter().rev().flat_map(|rdn| encode_rdn(rdn)).collect();
    DistinguishedName::from_der(&der_element(16 | CONSTRUCTED, &content))
        .map_err(|error| NameParseError { byte: 0, problem: error.to_string() })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn error(&self, problem: impl Into<String>) -> NameParseError {
        NameParseError { byte: self.at, problem: problem.into() }
    }

    /// Remedy for a form that other tools print.
    fn foreign_form(&self) -> Option<&'static str> {
        if self.peek() == Some('/') {
            return Some("write commas instead of slashes: CN=orders, O=Contoso");
        }
        let (label, _) = self.rest().split_once('=')?;
        match label.trim_end().to_ascii_lowercase().as_str() {
            "subject" => Some("leave out subject="),
            "issuer" => Some("leave out issuer="),
            _ => None,
        }
    }

    fn attribute(&mut self) -> Result<Pair, NameParseError> {
        let oid = self.attribute_type()?;
        self.skip_spaces();
        let value = match self.peek() {
            Some('#') => self.hex_value()?,
            Some('"') => der_element(UTF8_STRING, self.quoted_value()?.as_bytes()),
            _ => der_element(UTF8_STRING, self.plain_value()?.as_bytes()),
        };
        Ok((oid, value))
    }

    fn attribute_type(&mut self) -> Result<Vec<u8>, NameParseError> {
        let Some(length) = self.rest().find(['=', ',', ';', '+', '"']) else {
            return Err(self.error("expected TYPE=value, for example CN=orders"));
        };
        if !self.rest()[length..].starts_with('=') {
            return Err(self.error("expected TYPE=value, for example CN=orders"));
        }
        let name = self.rest()[..length].trim();
        let dotted = name.strip_prefix("OID.").or_else(|| name.strip_prefix("oid.")).unwrap_or(name);
        let oid = match keyword::oid(name) {
            Some(oid) => oid.to_vec(),
            None if dotted.starts_with(|first: char| first.is_ascii_digit()) => dotted_oid(dotted)
                .ok_or_else(|| self.error(format!("{dotted:?} is not an object identifier")))?,
            None => {
                let problem = format!(
                    "unknown attribute type {name:?}; use CN, O, OU, C, L, ST, DC, UID, E, ... or a dotted number"
                );
                return Err(self.error(problem));
            }
        };
        self.at += length + 1;
        Ok(oid)
    }

    /// `#` and the hex digits of a whole BER element.
    fn hex_value(&mut self) -> Result<Vec<u8>, NameParseError> {
        self.at += 1;
        let length = self.rest().find(|c: char| !c.is_ascii_hexdigit()).unwrap_or_else(|| self.rest().len());
        let digits = &self.rest().as_bytes()[..length];
        if length == 0 || !length.is_multiple_of(2) {
            return Err(self.error("expected pairs of hex digits after '#'"));
        }
        let bytes = digits
            .chunks(2)
            .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        self.at += length;
        Ok(bytes)
    }

    /// .NET's form, in which a quote is doubled; RFC 2253's backslash is accepted too.
    fn quoted_value(&mut self) -> Result<String, NameParseError> {
        let open = self.at;
        self.at += 1;
        let mut value = Vec::new();
        loop {
            match self.next() {
                Some('"') if self.peek() == Some('"') => {
                    self.at += 1;
                    value.push(b'"');
                }
                Some('"') => break,
                Some('\\') => self.escaped(&mut value)?,
                Some(other) => value.extend(other.encode_utf8(&mut [0; 4]).bytes()),
                None => {
                    self.at = open;
                    return Err(self.error("this quote is never closed"));
                }
            }
        }
        self.utf8(value)
    }

    /// Unquoted form: with backslash escapes; trailing spaces are ignored unless escaped.
    fn plain_value(&mut self) -> Result<String, NameParseError> {
        let mut value = Vec::new();
        let mut end = 0;
        while let Some(next) = self.peek() {
            match next {
                ',' | ';' | '+' => break,
                '"' | '<' | '>' => {
                    return Err(self.error(format!("{next:?} must be written \\{next}, or the value quoted")));
                }
                '\\' => {
                    self.at += 1;
                    self.escaped(&mut value)?;
                    end = value.len();
                }
                other => {
                    self.at += other.len_utf8();
                    value.extend(other.encode_utf8(&mut [0; 4]).bytes());
                    if !matches!(other, ' ' | '\t' | '\r' | '\n') {
                        end = value.len();
                    }
                }
            }
        }
        value.truncate(end);
        self.utf8(value)
    }

    /// The escape after a backslash: a special character, or two hex digits for one byte.
    fn escaped(&mut self, value: &mut Vec<u8>) -> Result<(), NameParseError> {
        let pair = self.rest().get(..2).filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if let Some(byte) = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            self.at += 2;
            value.push(byte);
            return Ok(());
        }
        match self.next() {
            Some(special @ (' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\')) => {
                value.push(special as u8);
                Ok(())
            }
            _ => Err(self.error("expected a special character or two hex digits after '\\'")),
        }
    }

    fn utf8(&self, value: Vec<u8>) -> Result<String, NameParseError> {
        String::from_utf8(value).map_err(|_| self.error("the escaped bytes are not UTF-8"))
    }
}

fn dotted_oid(dotted: &str) -> Option<Vec<u8>> {
    let arcs = dotted.split('.').map(|arc| arc.parse().ok()).collect::<Option<Vec<u64>>>()?;
    Some(Oid::from(&arcs).ok()?.as_bytes().to_vec())
}

fn encode_rdn(rdn: &[Pair]) -> Vec<u8> {
    let mut pairs: Vec<Vec<u8>> = rdn
        .iter()
        .map(|(oid, value)| der_element(16 | CONSTRUCTED, &[der_element(6, oid), value.clone()].concat()))
        .collect();
    pairs.sort();
    der_element(17 | CONSTRUCTED, &pairs.concat())
}

const CONSTRUCTED: u32 = 0x20;

/// One DER element with a tag below 31.
pub(super) fn der_element(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag as u8];
    if content.len() < 0x80 {
        element.push(content.len() as u8);
    } else {
        let length = content.len().to_be_bytes();
        let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(0)..];
        element.push(0x80 | significant.len() as u8);
        element.extend(significant);
    }
    element.extend(content);
    element
}

#[cfg(test)]
mod tests {
    #[test]
    fn forms_of_other_tools_are_errors_with_a_remedy() {
        const SLASHES: &str = "write commas instead of slashes: CN=orders, O=Contoso";
        for (text, byte, message) in [
            ("/CN=orders/O=Contoso", 0, SLASHES),
            (" /C=DE/CN=orders", 1, SLASHES),
            ("subject=CN = orders, O = Contoso", 0, "leave out subject="),
            ("subject= /CN=orders", 0, "leave out subject="),
            ("Subject = CN=orders", 0, "leave out subject="),
            ("issuer=CN=orders", 0, "leave out issuer="),
        ] {
            let error = super::parse(text).unwrap_err();
            assert_eq!(error.byte(), byte, "{text:?}");
            assert!(error.to_string().ends_with(message), "{error}");
        }
        assert!(super::parse("CN=/orders, O=subject=x").is_ok());
    }
}
