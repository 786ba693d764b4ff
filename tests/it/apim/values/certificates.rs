//! Members of certificates, and lookups in the deployment's certificates.

use tower_mtls::{Certificate, apim::DeploymentCertificates, certificate::Presented};

use super::{check, evaluated, variable};
use crate::support::pki::{Leaf, NOON};

#[test]
fn certificate_members_match_dotnet() {
    let issued = Leaf::client("orders")
        .serial(0xA1B2_C3D4)
        .dns("first.contoso.com")
        .dns("second.contoso.com")
        .from(NOON - 86_400)
        .until(NOON + 86_400)
        .self_signed();
    let certificate = Certificate::from_der(&issued.der).unwrap();
    let sha1 = certificate.sha1_thumbprint().to_string();
    let rows = [
        ("context.Request.Certificate.Subject", "\"CN=orders, O=Contoso\""),
        ("context.Request.Certificate.SubjectName.Name", "\"CN=orders, O=Contoso\""),
        ("context.Request.Certificate.SubjectName == context.Request.Certificate.Issuer", "true"),
        ("context.Request.Certificate.IssuerName.Name", "\"CN=orders, O=Contoso\""),
        ("context.Request.Certificate.SerialNumber", "\"00A1B2C3D4\""),
        ("context.Request.Certificate.GetSerialNumberString()", "\"00A1B2C3D4\""),
        (
            "Convert.ToBase64String(context.Request.Certificate.GetSerialNumber())",
            "\"1MOyoQA=\"", // d4 c3 b2 a1 00
        ),
        ("context.Request.Certificate.Thumbprint", &format!("{sha1:?}")),
        ("context.Request.Certificate.GetCertHashString()", &format!("{sha1:?}")),
        (
            "context.Request.Certificate.Thumbprint == context.Request.Certificate.Thumbprint.ToLower()",
            "false",
        ),
        ("context.Request.Certificate.GetCertHash() == null", "false"),
        ("context.Request.Certificate.NotAfter", "2026-01-02 00:00:00Z"),
        ("context.Request.Certificate.NotBefore", "2025-12-31 00:00:00Z"),
        ("DateTime.Now", "2026-01-01 00:00:00Z"),
        ("context.Request.Certificate.NotAfter < DateTime.Now", "false"),
        ("(context.Request.Certificate.NotAfter - DateTime.Now).TotalDays == 1.0", "true"),
        ("(context.Request.Certificate.NotAfter - DateTime.UtcNow).Days == 1", "true"),
        ("context.Request.Certificate.NotAfter.Subtract(DateTime.Now) > TimeSpan.FromHours(23)", "true"),
        ("context.Request.Certificate.NotAfter.AddDays(-1.5) < DateTime.Now", "true"),
        ("context.Request.Certificate.NotAfter.ToString(\"yyyy-MM-dd\")", "\"2026-01-02\""),
        ("context.Request.Certificate.NotAfter.Year", "2026"),
        ("DateTime.Now.AddYears(9000)", "un-representable DateTime"),
        ("context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, false)", "\"orders\""),
        ("context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, true)", "\"orders\""),
        ("context.Request.Certificate.GetNameInfo(X509NameType.DnsName, false)", "\"first.contoso.com\""),
        (
            "context.Request.Certificate.GetNameInfo(X509NameType.DnsFromAlternativeName, false)",
            "\"first.contoso.com\"",
        ),
        ("context.Request.Certificate.HasPrivateKey", "false"),
        ("context.Request.Certificate.Version", "3"),
        ("context.Request.Certificate.SignatureAlgorithm.FriendlyName", "\"sha256ECDSA\""),
        ("context.Request.Certificate.SignatureAlgorithm.Value", "\"1.2.840.10045.4.3.2\""),
        ("context.Request.Certificate.GetRawCertDataString().Substring(0, 4)", "\"3082\""),
        ("context.Request.Certificate.Export(X509ContentType.Cert) == null", "false"),
        (
            "context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint)",
            "true",
        ),
        ("context.Deployment.Certificates.Any(c => c.Key == context.Request.Certificate.Thumbprint)", "true"),
        (
            "context.Deployment.Certificates.Values.Any(c => context.Request.Certificate.Thumbprint == c.Thumbprint && c.HasPrivateKey)",
            "true",
        ),
        (
            "context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint.ToLower())",
            "false",
        ),
        (
            "context.Deployment.Certificates.Any(c => c.Value.Thumbprint != context.Request.Certificate.Thumbprint)",
            "false",
        ),
        ("context.Deployment.Certificates.Keys.Contains(context.Request.Certificate.Thumbprint)", "true"),
        (
            "context.Deployment.Certificates.ContainsKey(context.Request.Certificate.Thumbprint.ToLower())",
            "false",
        ),
        (
            "context.Deployment.Certificates[context.Request.Certificate.Thumbprint].Subject",
            "\"CN=orders, O=Contoso\"",
        ),
        (
            "context.Deployment.Certificates.First(c => c.Value.Subject.Contains(\"orders\")).Value.SerialNumber",
            "\"00A1B2C3D4\"",
        ),
        (
            "context.Deployment.Certificates.Values.FirstOrDefault(c => c.Subject == \"x\")?.Thumbprint",
            "null",
        ),
    ];
    check(&rows, &certificate.into());
}

#[test]
fn certificate_without_dns_names_uses_its_common_name() {
    let issued = Leaf::client("orders").self_signed();
    check(
        &[
            ("context.Request.Certificate.GetNameInfo(X509NameType.DnsName, false)", "\"orders\""),
            ("context.Request.Certificate.GetNameInfo(X509NameType.DnsFromAlternativeName, false)", "\"\""),
        ],
        &Certificate::from_der(&issued.der).unwrap().into(),
    );
    let unnamed = Leaf::client("orders").subject(&[]).self_signed();
    check(
        &[
            ("context.Request.Certificate.Subject", "\"\""),
            ("context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, false)", "no common name"),
        ],
        &Certificate::from_der(&unnamed.der).unwrap().into(),
    );
}

#[test]
fn any_by_thumbprint_is_a_lookup() {
    let issued = Leaf::client("orders").self_signed();
    let caller = Presented::from(Certificate::from_der(&issued.der).unwrap());
    let mut deployment = DeploymentCertificates::new();
    for index in 0..1_000_u16 {
        // Other signatures than the caller's, so that the thumbprints differ.
        let mut der = issued.der.clone();
        let end = der.len() - 2;
        der[end..].iter_mut().zip((index + 1).to_be_bytes()).for_each(|(byte, change)| *byte ^= change);
        let certificate = Certificate::from_der(&der).unwrap();
        deployment.insert(index.to_string(), certificate, false);
    }
    // Comparing every entry takes more steps than a request has.
    const TOO_MANY: &str = "exceeds the limit on steps or memory";
    for (code, expected) in [
        ("c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint", "false"),
        ("c => context.Request.Certificate.Thumbprint == c.Value.Thumbprint", "false"),
        ("c => c.Key == context.Request.Certificate.Thumbprint", "false"),
        ("c => c.Key == \"A\" && c.Value.Subject == \"b\"", "false"),
        ("c => c.Key == (string)context.Variables[\"a\"]", "false"),
        ("c => c.Value.Subject == \"b\" && c.Key == \"A\"", TOO_MANY),
        // A lookup would find no entry.
        ("c => c.Value.Thumbprint == c.Key", "true"),
        ("c => c.Value.Thumbprint != \"A\"", "true"),
    ] {
        let any = format!("context.Deployment.Certificates.Any({code})");
        let text = variable("a", "\"A\"") + &variable("value", &vec![any; 100].join(" || "));
        let found = evaluated(&text, &caller, deployment.clone());
        assert!(found.contains(expected), "{code}: {found}");
    }
}

#[test]
fn serial_numbers_keep_their_sign_byte() {
    for (content, text) in [
        (&[0x00, 0xa1, 0xb2, 0xc3, 0xd4][..], "\"00A1B2C3D4\""),
        (&[0x01, 0xb2], "\"01B2\""),
        (&[0xfb], "\"FB\""),
        (&[0x00], "\"00\""),
    ] {
        // Any number of this length, which is replaced: this one could not be issued if it is not positive.
        let any: Vec<u8> = (0..content.len()).map(|_| 0x5a).collect();
        let number = any.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let mut der = Leaf::client("orders").serial(number).self_signed().der;
        let at = der.windows(any.len()).position(|window| window == any).unwrap();
        der[at..at + content.len()].copy_from_slice(content);
        let presented = Presented::from(Certificate::from_der(&der).unwrap());
        check(&[("context.Request.Certificate.SerialNumber", text)], &presented);
    }
}
