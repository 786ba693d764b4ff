//! The element `authentication-certificate`.

use super::{Attribute, Base, Compiler, Element, Type, expression};
use crate::{
    apim::{
        decision::ChosenIdentity,
        expression::{Constant, Kind},
        program::{Action, CertificateKey, IdentitySource},
    },
    certificate::Thumbprint,
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
                element,
                "<authentication-certificate> needs exactly one of thumbprint, certificate-id and body",
            );
        };
        if let Some(password) = element.attribute("password")
            && attribute.name != "body"
        {
            self.findings.error(password.position, "attribute password is only allowed with body");
            return None;
        }
        self.required(element, &attribute.name)?;
        let source = match attribute.name.as_str() {
            "body" => IdentitySource::Fixed(self.embedded(element, attribute)?),
            name if expression::is_expression(&attribute.value.value) => {
                let compiled = Box::new(self.compile(&attribute.value, Type::TEXT)?);
                if name == "thumbprint" {
                    IdentitySource::Thumbprint(compiled, attribute.position)
                } else {
                    IdentitySource::Id(compiled, attribute.position)
                }
            }
            "thumbprint" => match attribute.value.value.parse::<Thumbprint>() {
                Ok(thumbprint @ Thumbprint::Sha1(_)) => {
                    self.add_reference(CertificateKey::Thumbprint(thumbprint), attribute.position, true);
                    IdentitySource::Fixed(ChosenIdentity::Thumbprint(thumbprint))
                }
                Ok(_) => {
                    self.findings.error(
                        attribute.position,
                        "invalid thumbprint; use SHA-1, 40 hex digits, as in APIM",
                    );
                    return None;
                }
                Err(error) => {
                    self.findings.error(attribute.position, error.to_string());
                    return None;
                }
            },
            _ => {
                let id: std::sync::Arc<str> = attribute.value.value.trim().into();
                self.add_reference(CertificateKey::Id(id.clone()), attribute.position, true);
                IdentitySource::Fixed(ChosenIdentity::Id(id))
            }
        };
        Some(Action::Authenticate(source))
    }

    /// Reads a .pfx in the document: `@(Convert.FromBase64String("..."))`.
    fn embedded(&mut self, element: &Element, body: &Attribute) -> Option<ChosenIdentity> {
        if self.only_referenced_identities {
            let message = "body: private keys in documents are not allowed; use certificate-id";
            self.findings.error(body.position, message);
            return None;
        }
        if !expression::is_expression(&body.value.value) {
            let message = "body must be an expression; write @(Convert.FromBase64String(\"...\"))";
            self.findings.error(body.position, message);
            return None;
        }
        // Errors are replaced, since their text could repeat parts of the key.
        let index = self.findings.errors.len();
        let compiled = self.compile(&body.value, Base::Bytes.into());
        let message = "body is not supported; write @(Convert.FromBase64String(\"...\"))";
        self.findings.replace_errors(index, message);
        let compiled = compiled?;
        let Kind::Constant(Constant::Bytes(pfx)) = &compiled.root.kind else {
            let message = "body must be a constant, which is checked at load; write \
                           @(Convert.FromBase64String(\"...\")), or use certificate-id";
            self.findings.error(body.position, message);
            return None;
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
            Err(error) => {
                self.findings.error(body.position, format!("body is not a usable identity: {error}"));
                None
            }
        }
    }

    #[cfg(not(feature = "identity"))]
    fn read_pfx(&mut self, body: &Attribute, _pfx: &[u8], _password: &str) -> Option<ChosenIdentity> {
        let message = "body needs the feature `identity`; use certificate-id";
        self.findings.error(body.position, message);
        None
    }
}
