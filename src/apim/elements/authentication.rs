//! The element `authentication-certificate`.

use super::{Attribute, Base, Compiler, Element, Type, expression};
use crate::apim::{
    backend::ChosenIdentity,
    expression::{Kind, Value},
    program::{Action, Selection, SelectionAttribute, Template},
};

impl Compiler<'_> {
    pub(super) fn authentication_certificate(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &["thumbprint", "certificate-id", "body", "password"], &[]);
        let given: Vec<&Attribute> = ["thumbprint", "certificate-id", "body"]
            .iter()
            .filter_map(|name| element.attribute(name))
            .collect();
        let [attribute] = given.as_slice() else {
            return self.error(
                element.position,
                "<authentication-certificate> needs exactly one of thumbprint, certificate-id and body",
            );
        };
        if let Some(password) = element.attribute("password")
            && attribute.name != "body"
        {
            return self.error(password.position, "attribute password is only allowed with body");
        }
        self.required(element, &attribute.name)?;
        let position = attribute.position;
        let (attribute, value) = match attribute.name.as_str() {
            "body" => {
                let identity = self.embedded(element, attribute)?;
                (SelectionAttribute::Body, Template::Literal(identity))
            }
            "thumbprint" => {
                let value = self.template(&attribute.value, Type::TEXT, |compiler, text| {
                    compiler.thumbprint(position, text).map(ChosenIdentity::Thumbprint)
                });
                (SelectionAttribute::Thumbprint, value?)
            }
            _ => {
                let value = self.template(&attribute.value, Type::TEXT, |_, id| {
                    Some(ChosenIdentity::Id(id.trim().into()))
                });
                (SelectionAttribute::CertificateId, value?)
            }
        };
        if let Some(identity) = value.literal() {
            self.add_reference(identity, position, true, None);
        }
        Some(Action::Authenticate(Selection { attribute, position, value }))
    }

    /// Reads a .pfx in the document: `@(Convert.FromBase64String("..."))`.
    fn embedded(&mut self, element: &Element, body: &Attribute) -> Option<ChosenIdentity> {
        if self.only_referenced_identities {
            let message = "body: private keys in documents are not allowed; use certificate-id";
            return self.error(body.position, message);
        }
        if !expression::is_expression(&body.value.value) {
            let message = "body must be an expression; write @(Convert.FromBase64String(\"...\"))";
            return self.error(body.position, message);
        }
        // Errors are replaced, since their text could repeat parts of the key.
        let index = self.findings.errors.len();
        let compiled = self.compile(&body.value, Base::Bytes.into());
        let message = "body is not supported; write @(Convert.FromBase64String(\"...\"))";
        self.findings.replace_errors(index, message);
        let compiled = compiled?;
        let Kind::Constant(Value::Bytes(pfx)) = &compiled.root.kind else {
            let message = "body must be a constant, which is checked at load; write \
                           @(Convert.FromBase64String(\"...\")), or use certificate-id";
            return self.error(body.position, message);
        };
        let password = match element.attribute("password") {
            Some(password) => self.literal(password)?,
            None => "",
        };
        self.findings.warn(
            body.position,
            "the document contains a private key, which all its readers can use; use certificate-id",
        );
        self.read_pfx(body, pfx, password)
    }

    #[cfg(feature = "identity")]
    fn read_pfx(&mut self, body: &Attribute, pfx: &[u8], password: &str) -> Option<ChosenIdentity> {
        match crate::identity::ClientIdentity::from_pfx(pfx, password) {
            Ok(identity) => Some(ChosenIdentity::Embedded(identity)),
            Err(error) => self.error(body.position, format!("body is not a usable identity: {error}")),
        }
    }

    #[cfg(not(feature = "identity"))]
    fn read_pfx(&mut self, body: &Attribute, _pfx: &[u8], _password: &str) -> Option<ChosenIdentity> {
        self.error(body.position, "body needs the feature `identity`; use certificate-id")
    }
}
