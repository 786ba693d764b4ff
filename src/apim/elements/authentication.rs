//! `authentication-certificate`: as whom the backend is called.

use super::{Attribute, Base, Compiler, Element, Type, expression};
use crate::{
    apim::{
        expression::{Constant, Kind},
        outcome::ChosenIdentity,
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
            return self.error(element, "exactly one of thumbprint, certificate-id and body is needed");
        };
        if let Some(password) = element.attribute("password")
            && attribute.name != "body"
        {
            self.findings.error(password.position, "password stands beside body only");
            return None;
        }
        self.required(element, &attribute.name)?;
        let source = match attribute.name.as_str() {
            "body" => IdentitySource::Fixed(self.embedded(element, attribute)?),
            name if expression::is_expression(&attribute.value.value) => {
                let compiled = Box::new(self.compile(&attribute.value, Type::TEXT)?);
                self.refuse_callers_choice(element, attribute, &compiled, "as whom the backend is called")?;
                if name == "thumbprint" {
                    IdentitySource::Thumbprint(compiled)
                } else {
                    IdentitySource::Id(compiled)
                }
            }
            "thumbprint" => match attribute.value.value.parse::<Thumbprint>() {
                Ok(thumbprint @ Thumbprint::Sha1(_)) => {
                    self.name(CertificateKey::Thumbprint(thumbprint), attribute.position, true);
                    IdentitySource::Fixed(ChosenIdentity::Thumbprint(thumbprint))
                }
                Ok(_) => {
                    self.findings
                        .error(attribute.position, "a thumbprint is SHA-1 here, as in APIM: 40 hex digits");
                    return None;
                }
                Err(error) => {
                    self.findings.error(attribute.position, error.to_string());
                    return None;
                }
            },
            _ => {
                let id: std::sync::Arc<str> = attribute.value.value.trim().into();
                self.name(CertificateKey::Id(id.clone()), attribute.position, true);
                IdentitySource::Fixed(ChosenIdentity::Id(id))
            }
        };
        Some(Action::Authenticate(source))
    }

    /// A .pfx in the document: `@(Convert.FromBase64String("..."))`.
    fn embedded(&mut self, element: &Element, body: &Attribute) -> Option<ChosenIdentity> {
        if self.refuses_keys {
            let message =
                "a private key does not stand in a document here: name its certificate by certificate-id";
            self.findings.error(body.position, message);
            return None;
        }
        if !expression::is_expression(&body.value.value) {
            let message = "body is an expression: @(Convert.FromBase64String(\"...\"))";
            self.findings.error(body.position, message);
            return None;
        }
        // What is wrong with it is not told word by word: the words may be those of the key.
        let findings = std::mem::take(&mut self.findings);
        let compiled = self.compile(&body.value, Base::Bytes.into());
        let mut of_body = std::mem::replace(&mut self.findings, findings);
        of_body.replace_errors(
            "body is not understood here: it is @(Convert.FromBase64String(\"...\")) and nothing else",
        );
        self.findings.append(of_body);
        let compiled = compiled?;
        let Kind::Constant(Constant::Bytes(pfx)) = &compiled.root.kind else {
            let message = "body must be a constant, so that it is checked at load: \
                           @(Convert.FromBase64String(\"...\")); use certificate-id for what changes";
            self.findings.error(body.position, message);
            return None;
        };
        let password = match element.attribute("password") {
            Some(password) => self.literal(password)?,
            None => "",
        };
        self.findings
            .warn(body.position, "a private key stands in the document: whoever reads it has the key");
        self.read_pfx(body, pfx, password)
    }

    #[cfg(feature = "identity")]
    fn read_pfx(&mut self, body: &Attribute, pfx: &[u8], password: &str) -> Option<ChosenIdentity> {
        match crate::identity::ClientIdentity::from_pfx(pfx, password) {
            Ok(identity) => Some(ChosenIdentity::Embedded(identity)),
            Err(error) => {
                self.findings
                    .error(body.position, format!("body holds no identity that can be used: {error}"));
                None
            }
        }
    }

    #[cfg(not(feature = "identity"))]
    fn read_pfx(&mut self, body: &Attribute, _pfx: &[u8], _password: &str) -> Option<ChosenIdentity> {
        let message = "body needs the feature `identity`, which reads private keys: use certificate-id";
        self.findings.error(body.position, message);
        None
    }
}
