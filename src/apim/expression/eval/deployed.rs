//! Look-ups in the deployment's certificates.

use super::{CertificateText, Evaluated, Evaluation, Kind, Node, Value};
use crate::{apim::deployment::DeployedCertificate, certificate::Thumbprint};

impl<'r> Evaluation<'_, 'r> {
    pub(super) fn find_deployed(&mut self, key: &'r Node) -> Evaluated<Option<&'r DeployedCertificate>> {
        // The thumbprint of a certificate is looked up without formatting it.
        if let Kind::CertificateText(CertificateText::Thumbprint, inner) = &key.kind
            && let Value::Certificate(certificate) = self.value(inner)?
        {
            return Ok(self.inputs.deployed().by_thumbprint(certificate.certificate.sha1_thumbprint()));
        }
        match self.value(key)? {
            Value::Text(text) => {
                Ok(upper_hex(&text).and_then(|key| self.inputs.deployed().by_thumbprint(key)))
            }
            // Null equals no thumbprint.
            _ => Ok(None),
        }
    }

    /// The first entry for which the condition is `wanted`.
    pub(super) fn first_deployed(
        &mut self,
        slot: usize,
        condition: &'r Node,
        wanted: bool,
    ) -> Evaluated<Option<&'r DeployedCertificate>> {
        for entry in self.inputs.deployed().iter() {
            self.set_local(slot, Value::Pair(entry));
            if self.condition(condition)? == wanted {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

/// Parses a thumbprint in .NET's form only: 40 upper-case hex digits.
fn upper_hex(text: &str) -> Option<Thumbprint> {
    let is_upper = |digit: u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit);
    (text.len() == 40 && text.bytes().all(is_upper)).then(|| text.parse().ok()).flatten()
}
