//! Members of certificates, and verification of their chains.

use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    Base::{self, Bool, Bytes, DateTime, Int, Text},
    Checked, Checker, Evaluated, Evaluation, Fault, Kind, MemberUse,
    Parameter::{Constant, Of},
    Row, Tag, Typed, Value, member, method, same,
};
use crate::{
    apim::{
        dotnet,
        error::FindingKind,
        expression::{eval::CHAIN_STEPS, time},
        trust::is_trusted,
    },
    certificate::{Certificate, DistinguishedName, GeneralName, Hex, SingleValue, Timestamp},
};

pub(super) const CERTIFICATE: &[Row] = &[
    member("Thumbprint|GetCertHashString()", Text, |_, a| {
        Ok(Value::borrowed(dotnet::thumbprint(a.certificate(0)?)))
    })
    .tag(Tag::Thumbprint),
    member("GetCertHash()", Bytes, |_, a| {
        Ok(Value::Bytes(a.certificate(0)?.sha1_thumbprint().as_bytes().to_vec().into()))
    }),
    member("Verify()", Bool, |e, a| verify(e, a.certificate(0)?, true))
        .reads(|inputs| (inputs.trust, inputs.revocation) = (true, true))
        .hook(can_verify),
    member("VerifyNoRevocation()", Bool, |e, a| verify(e, a.certificate(0)?, false))
        .reads(|inputs| inputs.trust = true)
        .hook(can_verify),
    member("Subject", Text, |_, a| name(dotnet::subject(a.certificate(0)?))).tag(Tag::Subject),
    member("SubjectName", Base::DistinguishedName, |_, a| name(dotnet::subject(a.certificate(0)?)))
        .tag(Tag::Subject),
    member("Issuer", Text, |_, a| name(dotnet::issuer(a.certificate(0)?))).tag(Tag::Issuer),
    member("IssuerName", Base::DistinguishedName, |_, a| name(dotnet::issuer(a.certificate(0)?)))
        .tag(Tag::Issuer),
    member("SerialNumber|GetSerialNumberString()", Text, |_, a| {
        Ok(Value::borrowed(dotnet::serial(a.certificate(0)?)))
    })
    .tag(Tag::Serial),
    member("GetSerialNumber()", Bytes, |_, a| {
        let reversed = a.certificate(0)?.serial().as_bytes().iter().rev().copied();
        Ok(Value::Bytes(reversed.collect()))
    }),
    member("NotBefore", DateTime, |_, a| Ok(moment(a.certificate(0)?.validity().not_before))),
    member("NotAfter", DateTime, |_, a| Ok(moment(a.certificate(0)?.validity().not_after))),
    member("HasPrivateKey", Bool, |_, a| Ok(Value::Bool(a.has_private_key(0)?))),
    member("Version", Int, |e, a| {
        let version = parsed(e, a.certificate(0)?)?.version().0;
        Ok(Value::Int(i32::try_from(version).unwrap_or(0) + 1))
    }),
    same("SignatureAlgorithm", Base::Oid),
    member("RawData|GetRawCertData()", Bytes, |_, a| Ok(Value::Bytes(a.certificate(0)?.der().into()))),
    member("GetRawCertDataString()", Text, |e, a| e.text(format!("{:X}", Hex(a.certificate(0)?.der())))),
    method("Export", &[Constant("X509ContentType")], Bytes, |_, a| {
        Ok(Value::Bytes(a.certificate(0)?.der().into()))
    }),
    method("GetNameInfo", &[Constant("X509NameType"), Of(Bool)], Text, |_, a| {
        name_info(a.certificate(0)?, a.int(1)?, matches!(a.rest(2), [Value::Bool(true)]))
    })
    .hook(has_name_info),
];

/// At run time the value is the name.
pub(super) const NAME: &[Row] = &[same("Name", Text)];

pub(super) const OID: &[Row] = &[
    member("Value", Text, |e, a| {
        let oid = algorithm(e, a.certificate(0)?)?;
        e.text(oid)
    }),
    member("FriendlyName", Text, |e, a| {
        let oid = algorithm(e, a.certificate(0)?)?;
        let name = ALGORITHMS.iter().find(|(known, _)| *known == oid);
        name.map(|(_, name)| Value::borrowed(name)).ok_or(ALGORITHM)
    }),
];

const COMMON_NAME: Fault =
    Fault::CannotTell("The name has no common name or several; .NET chooses another attribute.");
const ALGORITHM: Fault = Fault::CannotTell("The name of this signature algorithm depends on the platform.");
const UNREADABLE_NAME: Fault =
    Fault::CannotTell("A name of the certificate contains a value that cannot be decoded unambiguously.");

/// Signature algorithms: object identifiers, and .NET's names on all platforms.
const ALGORITHMS: [(&str, &str); 7] = [
    ("1.2.840.113549.1.1.5", "sha1RSA"),
    ("1.2.840.113549.1.1.11", "sha256RSA"),
    ("1.2.840.113549.1.1.12", "sha384RSA"),
    ("1.2.840.113549.1.1.13", "sha512RSA"),
    ("1.2.840.10045.4.3.2", "sha256ECDSA"),
    ("1.2.840.10045.4.3.3", "sha384ECDSA"),
    ("1.2.840.10045.4.3.4", "sha512ECDSA"),
];

fn verify<'r>(
    evaluation: &mut Evaluation<'_, 'r>,
    certificate: &'r Certificate,
    checks_revocation: bool,
) -> Evaluated<Value<'r>> {
    evaluation.step(CHAIN_STEPS)?;
    let trust = evaluation.inputs.trust.ok_or(Fault::CannotTell("No trusted roots are configured."))?;
    let roots = trust.for_check(checks_revocation);
    let is_trusted = is_trusted(certificate, roots, evaluation.inputs.now);
    if let Some(part) = evaluation.traced().filter(|_| !is_trusted) {
        part.untrusted.push((certificate, roots));
    }
    Ok(Value::Bool(is_trusted))
}

/// Checks that trusted roots and revocation are configured as `Verify` and `VerifyNoRevocation` need them.
fn can_verify(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    if !checker.scope.has_trust {
        return checker.fail_about(
            FindingKind::Trust,
            member.at,
            &format!("{}() needs trusted roots, and none are configured", member.name),
            "configure the CAs of client certificates",
        );
    }
    if member.name == "Verify" && !checker.scope.declares_revocation {
        return checker.fail_about(
            FindingKind::Revocation,
            member.at,
            "Verify() checks revocation, and revocation is not configured",
            "give the roots revocation lists, declare that they have none, or call VerifyNoRevocation()",
        );
    }
    Ok(None)
}

fn moment<'r>(at: Timestamp) -> Value<'r> {
    Value::DateTime(time::from_timestamp(at))
}

fn name(printed: Option<&str>) -> Evaluated<Value<'_>> {
    printed.map(Value::borrowed).ok_or(UNREADABLE_NAME)
}

/// Parses the certificate again, for rarely used members.
fn parsed<'r>(
    evaluation: &mut Evaluation<'_, 'r>,
    certificate: &'r Certificate,
) -> Evaluated<X509Certificate<'r>> {
    evaluation.step(200)?;
    let parsed = X509Certificate::from_der(certificate.der());
    parsed.map(|(_, parsed)| parsed).map_err(|_| Fault::CannotTell("The certificate cannot be parsed."))
}

fn algorithm<'r>(evaluation: &mut Evaluation<'_, 'r>, certificate: &'r Certificate) -> Evaluated<String> {
    Ok(parsed(evaluation, certificate)?.signature_algorithm.algorithm.to_id_string())
}

/// `GetNameInfo`: the common name, or with another code the first DNS name.
fn name_info(certificate: &Certificate, code: i32, is_issuer: bool) -> Evaluated<Value<'_>> {
    let dns = certificate.subject_alternative_names().iter().find_map(|name| match name {
        GeneralName::Dns(name) => Some(Value::borrowed(name)),
        _ => None,
    });
    match (code, is_issuer) {
        // The whole name fails if one of its values cannot be decoded.
        (0, true) => name(dotnet::issuer(certificate)).and_then(|_| common_name(certificate.issuer())),
        (0, false) => name(dotnet::subject(certificate)).and_then(|_| common_name(certificate.subject())),
        (1, _) => dns.map_or_else(|| common_name(certificate.subject()), Ok),
        _ => Ok(dns.unwrap_or_else(|| Value::borrowed(""))),
    }
}

fn has_name_info(checker: &mut Checker, member: &mut MemberUse<'_>) -> Checked<Option<Typed>> {
    let [_, code, of_issuer] = &*member.nodes else { return Ok(None) };
    match (&code.kind, &of_issuer.kind) {
        (_, Kind::Constant(Value::Bool(false))) => Ok(None),
        (Kind::Constant(Value::Int(0)), Kind::Constant(Value::Bool(true))) => Ok(None),
        (_, Kind::Constant(_)) => checker.fail(
            member.start(1),
            "the X509NameType is not supported; use SimpleName, or DnsName or DnsFromAlternativeName of the subject",
        ),
        _ => checker.fail(member.start(2), "forIssuer of GetNameInfo must be true or false"),
    }
}

fn common_name(name: &DistinguishedName) -> Evaluated<Value<'_>> {
    match name.common_name() {
        SingleValue::One(only) => Ok(Value::borrowed(only)),
        _ => Err(COMMON_NAME),
    }
}
