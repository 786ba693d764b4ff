//! Texts of policy documents.

pub(super) const IS_ORDERS: &str =
    "context.Request.Certificate.Thumbprint == \"CA06F56B258B7A0D4F2B05470939478651151984\"";
pub(super) const PROVEN: &str = "<choose><when condition=\"@(context.Request.Certificate == null || \
                      !context.Request.Certificate.VerifyNoRevocation())\"><return-response>\
                      <set-status code=\"403\" /></return-response></when></choose>";

pub(super) const CHOOSE: &str = "<authentication-certificate certificate-id=\"@(context.Request.Certificate.GetNameInfo(\
                      X509NameType.SimpleName, false))\" />";

pub(super) fn answer(code: u16) -> String {
    format!("<return-response><set-status code=\"{code}\" /></return-response>")
}

pub(super) fn when(code: &str, inside: &str) -> String {
    format!("<when condition=\"@({code})\">{inside}</when>")
}

pub(super) fn condition(code: &str) -> String {
    format!(
        "<choose>\n <when condition=\"@({code})\"><return-response><set-status code='403' /></return-response></when>\n</choose>"
    )
}

pub(super) fn filled(code: &str) -> String {
    code.replace("CERT", "context.Request.Certificate")
        .replace("STORE", "context.Deployment.Certificates")
        .replace("PIN", "\"CA06F56B258B7A0D4F2B05470939478651151984\"")
}

pub(super) fn refusing(code: &str) -> String {
    let code = if code.starts_with('{') { format!("@{code}") } else { format!("@({code})") };
    format!("<choose><when condition=\"{}\">{}</when></choose>", filled(&code), answer(403))
}
