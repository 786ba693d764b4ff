//! Documents that nobody wrote: changed at random, always in the same way. Nothing panics, nothing takes long, and what
//! loads can be evaluated and explained.

use std::time::{Duration, Instant};

use tower_mtls::{
    Verification,
    apim::{Document, Format, RequestFacts, Revocation, SharedDeployment},
};

use crate::{
    corpus::documents,
    world::{NOW, WORLD, request},
};

/// xorshift64*
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }
}

const PIECES: &[&str] = &[
    "\"",
    "'",
    "@(",
    "@{",
    ")",
    "}",
    "(",
    "[",
    "]",
    "<",
    ">",
    "/>",
    "</",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "&",
    "&amp;",
    "&quot;",
    "&#x41;",
    "\\",
    "\u{feff}",
    "é",
    "\u{1f600}",
    "\0",
    "\n",
    "\r\n",
    "null",
    "true",
    "!",
    "!=",
    "==",
    "<=",
    "&&",
    "||",
    "??",
    "?.",
    "?",
    ":",
    "=>",
    "c => ",
    ".Value",
    ".Key",
    ".Thumbprint",
    ".Subject",
    ".NotAfter",
    ".Split(',')",
    ".Substring(1, 2)",
    ".Replace(\"a\", \"aa\")",
    ".Trim()",
    ".ToUpper()",
    ".Length",
    ".Any(x => x == \"a\")",
    "[0]",
    "[99]",
    " + ",
    " - ",
    "1",
    "2147483647",
    "1.5",
    "$\"{",
    "}\"",
    "{{",
    "}}",
    "(string)",
    "(int)",
    "var a = ",
    "a = a + a;",
    "return ",
    "if (",
    "else ",
    ";",
    "context",
    ".Request",
    ".Certificate",
    ".Deployment.Certificates",
    ".Any(",
    ".Variables[\"allowed\"]",
    ".GetValueOrDefault<string>(\"caller\", \"\")",
    "DateTime.Now",
    ".AddDays(99999999)",
    "TimeSpan.FromDays(1)",
    "string.Join(\",\", ",
    "new [] {\"a\"}",
    "Convert.FromBase64String(\"AAAA\")",
    "<choose>",
    "<when condition=\"",
    "</when>",
    "<otherwise>",
    "<return-response />",
    "<set-header name=\"a\"><value>",
    "<validate-client-certificate ",
    "ignore-error=\"true\" ",
    "<base />",
    "<policies>",
    "<inbound>",
];

pub(crate) fn mutate(random: &mut Random, text: &str, other: &str) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(4) {
        let at = random.below(text.len() + 1);
        let to = (at + random.below(12)).min(text.len());
        match random.below(6) {
            0 => drop(text.drain(at..to)),
            1 => drop(text.splice(at..at, random.of(PIECES).chars())),
            2 => drop(text.splice(at..to, random.of(PIECES).chars())),
            3 => {
                let part: Vec<char> = text[at..to].to_vec();
                let copies = 1 + random.below(20);
                drop(text.splice(at..at, part.iter().cycle().take(part.len() * copies).copied()));
            }
            4 => {
                let other: Vec<char> = other.chars().collect();
                let from = random.below(other.len());
                let end = (from + random.below(80)).min(other.len());
                drop(text.splice(at..at, other[from..end].iter().copied()));
            }
            _ => text.truncate(at),
        }
    }
    text.into_iter().collect()
}

/// Expressions that are likely to be typed right, so that the evaluator is reached.
fn expression(random: &mut Random, depth: usize) -> String {
    const TEXTS: &[&str] = &[
        "\"a\"",
        "\"CN=orders, O=Contoso\"",
        "context.Request.Certificate.Subject",
        "context.Request.Certificate.Thumbprint",
        "context.Request.Certificate?.Issuer",
        "context.Request.Method",
        "context.Request.Url.Path",
        "context.Request.Url.QueryString",
        "context.Request.Headers.GetValueOrDefault(\"x-caller\", \"\")",
        "context.Variables.GetValueOrDefault<string>(\"v\", \"\")",
        "(string)context.Variables[\"v\"]",
        "null",
        "context.Request.Certificate.GetNameInfo(X509NameType.SimpleName, false)",
        "context.Request.IpAddress",
    ];
    const SUFFIXES: &[&str] = &[
        "",
        ".Trim()",
        ".ToUpper()",
        ".ToLower()",
        ".Substring(1)",
        ".Substring(0, 3)",
        ".Replace(\"C\", \"CCCCCCCC\")",
        ".Split(',').First()",
        ".Split('=')[1]",
        ".Split(\", \").Last()",
        ".TrimEnd('A', 'B')",
    ];
    const CONDITIONS: &[&str] = &[
        "true",
        "context.Request.Certificate == null",
        "context.Request.Certificate.NotAfter < DateTime.Now.AddDays(400000)",
        "context.Request.Certificate.VerifyNoRevocation()",
        "context.Deployment.Certificates.Count > 2",
        "context.Deployment.Certificates.Any(c => c.Value.Subject.Contains(\"a\"))",
        "context.Deployment.Certificates.Values.All(c => c.NotAfter > DateTime.Now)",
        "(context.Request.Certificate.NotAfter - DateTime.Now).TotalDays > 10",
        "context.Variables.ContainsKey(\"v\")",
    ];
    let text = |random: &mut Random| {
        let base = random.of(TEXTS);
        let joined =
            if random.below(4) == 0 { format!("({base} + {})", random.of(TEXTS)) } else { base.to_owned() };
        match joined.as_str() {
            "null" => joined,
            _ => format!("({joined}){}{}", random.of(SUFFIXES), random.of(SUFFIXES)),
        }
    };
    if depth == 0 {
        return match random.below(5) {
            0 => random.of(CONDITIONS).to_owned(),
            1 => format!("{} == {}", text(random), text(random)),
            2 => format!(
                "string.Equals({}, {}, StringComparison.OrdinalIgnoreCase)",
                text(random),
                text(random)
            ),
            3 => format!("({}).Contains(\"o\")", text(random)),
            _ => format!("new [] {{ \"a\", {} }}.Contains({})", text(random), text(random)),
        };
    }
    let (one, two) = (expression(random, depth - 1), expression(random, depth - 1));
    match random.below(4) {
        0 => format!("({one} || {two})"),
        1 => format!("({one} && {two})"),
        2 => format!("!({one})"),
        _ => format!("({one} ? {two} : {one})"),
    }
}

struct Tally {
    loaded: usize,
    slowest: Duration,
}

fn try_out(tally: &mut Tally, text: &str, format: Format) {
    let started = Instant::now();
    let loaded = Document::builder()
        .format(format)
        .trust(WORLD.trust.clone())
        .revocation(Revocation::Off)
        .allow_unanchored()
        .deployment(SharedDeployment::new(WORLD.deployment()))
        .load(text);
    match loaded {
        Ok(document) => {
            tally.loaded += 1;
            let request = request();
            for caller in ["orders", "fabrikam", "none"] {
                let presented = WORLD.certificate(caller);
                let facts = RequestFacts::new(&request, &presented);
                let outcome = document.evaluate(&facts, NOW);
                // Whoever presented nothing is never admitted.
                assert!(
                    caller != "none" || !outcome.forward().is_some_and(tower_mtls::apim::Forward::admits)
                );
                assert!(!document.explain(&facts, NOW).to_string().is_empty());
            }
        }
        Err(errors) => {
            let lines = text.lines().count().max(1);
            for error in errors.iter() {
                assert!((1..=lines + 1).contains(&error.line()) && error.column() >= 1, "{error}: {text:?}");
            }
        }
    }
    tally.slowest = tally.slowest.max(started.elapsed());
}

#[test]
fn changed_documents_never_panic_and_never_take_long() {
    let documents = documents();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut tally = Tally { loaded: 0, slowest: Duration::ZERO };
    for round in 0..30_000 {
        let (_, text) = &documents[random.below(documents.len())];
        let (_, other) = &documents[random.below(documents.len())];
        let changed = mutate(&mut random, text, other);
        let format = if round % 4 == 0 { Format::Xml } else { Format::RawXml };
        try_out(&mut tally, &changed, format);
    }
    assert!(tally.loaded > 1_000, "only {} loaded: the changes are too coarse", tally.loaded);
    assert!(tally.slowest < Duration::from_secs(2), "{:?}", tally.slowest);
}

#[test]
fn made_up_expressions_never_panic_and_never_take_long() {
    let mut random = Random(0xD1B5_4A32_D192_ED03);
    let mut tally = Tally { loaded: 0, slowest: Duration::ZERO };
    for _ in 0..10_000 {
        let depth = random.below(4);
        let condition = expression(&mut random, depth);
        let text = format!(
            "<set-variable name=\"v\" value=\"@(context.Request.Certificate?.Subject)\" /><choose><when \
             condition=\"@({condition})\"><return-response /></when></choose>"
        );
        try_out(&mut tally, &text, Format::RawXml);
    }
    assert!(tally.loaded > 5_000, "only {} loaded: most are typed wrong", tally.loaded);
    assert!(tally.slowest < Duration::from_secs(2), "{:?}", tally.slowest);
}

#[test]
fn what_grows_at_run_time_is_stopped() {
    let doubling: String = (0..40).map(|_| "a = a + a;").collect();
    let replacing: String = (0..20).map(|_| "a = a.Replace(\"a\", \"aaaaaaaaaaaaaaaa\");").collect();
    let chains =
        (0..200).map(|_| "context.Request.Certificate.VerifyNoRevocation()").collect::<Vec<_>>().join(" && ");
    for code in [
        format!("@{{ var a = \"a\"; {doubling} return a == \"b\"; }}"),
        format!("@{{ var a = \"a\"; {replacing} return a == \"b\"; }}"),
        format!("@({chains})"),
    ] {
        let text = format!(
            "<choose><when condition='{}'><return-response /></when></choose>",
            code.replace('\'', "&apos;")
        );
        let document = WORLD.load(&text).unwrap_or_else(|errors| panic!("{errors}"));
        let started = Instant::now();
        let outcome = crate::world::evaluate(&document, &WORLD.certificate("orders"));
        assert!(started.elapsed() < Duration::from_secs(1), "{code}");
        let answer = outcome.response().unwrap();
        assert_eq!(answer.status(), 500, "{code}");
        assert!(answer.message().contains("more steps or memory"), "{}", answer.message());
    }
}

/// Conditions about proofs, right and wrong.
fn proof(random: &mut Random, depth: usize) -> String {
    const CONDITIONS: &[&str] = &[
        "true",
        "CERT == null",
        "CERT != null",
        "CERT.Verify()",
        "CERT?.Verify() == true",
        "CERT?.Verify() != true",
        "CERT.Thumbprint == PIN",
        "CERT?.Thumbprint != PIN",
        "PIN.Equals(CERT.Thumbprint.ToLower(), StringComparison.OrdinalIgnoreCase)",
        "CERT.Thumbprint.Length == 40",
        "CERT.Thumbprint == HEADER",
        "(HEADER == \"a\" ? PIN : HEADER) == CERT?.Thumbprint",
        "CERT.Thumbprint.StartsWith(PIN.Substring(0, 1), StringComparison.Ordinal)",
        "CERT.Subject == \"CN=orders, O=Contoso\"",
        "new[] { PIN, \"A\" }.Contains(CERT?.Thumbprint)",
        "new[] { PIN, HEADER }.Any(t => t == CERT.Thumbprint)",
        "new[] { PIN, \"A\" }.All(t => t != CERT.Thumbprint)",
        "STORE.Any(c => c.Value.Thumbprint == CERT.Thumbprint)",
        "STORE.Any(c => c.Value.Subject == CERT.Subject)",
        "STORE.All(c => c.Value.Thumbprint != CERT.Thumbprint)",
        "STORE.ContainsKey(CERT.Thumbprint)",
        "STORE.Values.FirstOrDefault(c => c.Thumbprint == CERT?.Thumbprint) == null",
        "STORE.Values.FirstOrDefault(c => c.Subject == CERT?.Subject)?.Thumbprint == CERT?.Thumbprint",
        "STORE.Values.First(c => c.Subject == CERT.Subject).Verify()",
        "HEADER == \"a\"",
        "context.Variables.GetValueOrDefault<bool>(\"v\")",
        "(bool)context.Variables[\"v\"]",
        "context.Variables.ContainsKey(\"v\")",
        "\"a,b\".Split(',').Any(t => t.Trim() == CERT.Thumbprint)",
        "$\"{CERT?.Thumbprint}\" == PIN",
    ];
    if depth == 0 {
        return random.of(CONDITIONS).to_owned();
    }
    let (one, two) = (proof(random, depth - 1), proof(random, depth - 1));
    match random.below(5) {
        0 => format!("({one} || {two})"),
        1 => format!("({one} && {two})"),
        2 => format!("!({one})"),
        3 => format!("(CERT == null || {one})"),
        _ => format!("({one} ? {two} : !({one}))"),
    }
}

fn elements(random: &mut Random, depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..=random.below(3) {
        let depth_of_condition = random.below(3);
        let condition = proof(random, depth_of_condition);
        text += &match random.below(if depth == 0 { 5 } else { 8 }) {
            0 => format!("<set-variable name='v' value=\"@({condition})\" />"),
            1 => format!(
                "<set-variable name='v' value=\"@{{ var a = {condition}; if (HEADER == \"a\") {{ a = {}; }} return a; }}\" />",
                proof(random, 1)
            ),
            2 => "<authentication-certificate certificate-id=\"@($\"of-{CERT.Subject}\")\" />".to_owned(),
            3 => match random.below(3) {
                0 => "<validate-client-certificate validate-trust='false' ignore-error='true' />".to_owned(),
                1 => "<validate-client-certificate ignore-error='true' />".to_owned(),
                _ => "<validate-client-certificate />".to_owned(),
            },
            4 => match random.below(3) {
                0 => String::new(),
                _ => format!(
                    "<set-header name='X-A' exists-action='{}'><value>{}</value></set-header>",
                    random.of(&["override", "skip", "append"]),
                    random.of(&["a", "@(CERT?.Subject)", "@(CERT == null ? \"\" : PIN)"]),
                ),
            },
            _ => {
                let then = match random.below(3) {
                    0 => elements(random, depth - 1),
                    _ => "<return-response><set-status code='403' /></return-response>".to_owned(),
                };
                let otherwise = match random.below(3) {
                    0 => format!("<otherwise>{}</otherwise>", elements(random, depth - 1)),
                    _ => String::new(),
                };
                format!("<choose><when condition=\"@({condition})\">{then}</when>{otherwise}</choose>")
            }
        };
    }
    text
}

#[test]
fn what_is_found_out_about_callers_is_true_of_every_request() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let (mut proved, mut chosen, mut warned, mut passed) = (0, 0, 0, 0);
    let (mut anchored, mut admitted) = (0, 0);
    for _ in 0..20_000 {
        let text = elements(&mut random, 2)
            .replace("CERT", "context.Request.Certificate")
            .replace("STORE", "context.Deployment.Certificates")
            .replace("PIN", "\"ORDERS-THUMBPRINT\"")
            .replace("HEADER", "context.Request.Headers.GetValueOrDefault(\"X-A\", \"\")");
        let text = WORLD.fill(&text);
        let Ok(document) = WORLD.load(&text) else { continue };
        chosen += usize::from(document.summary().chooses_identity);
        proved += usize::from(document.summary().proves_certificate);
        anchored += usize::from(document.summary().is_anchored && !document.summary().proves_certificate);
        let warns = |words: &str| document.warnings().iter().any(|it| it.message().starts_with(words));
        let passes_nobody = warns("requests without a certificate pass");
        warned += usize::from(passes_nobody);
        for caller in ["lone", "impostor", "none"] {
            let presented = WORLD.certificate(caller);
            let thumbprint = match &presented {
                tower_mtls::Presented::Certificate(certificate) => certificate.sha1_thumbprint().to_string(),
                _ => "b".to_owned(),
            };
            for header in ["", "a", &thumbprint] {
                let request = http::Request::get("/").header("x-a", header).body(()).unwrap();
                let facts = RequestFacts::new(&request, &presented);
                let outcome = document.evaluate(&facts, NOW);
                let shadow = document.evaluate_shadow(&facts, NOW);
                assert!(shadow.forward().is_none_or(|it| it.forwarding().identity().is_none()), "{text}");
                let is_sure = caller == "none" && passes_nobody;
                assert!(!is_sure || outcome.forward().is_some(), "{caller} {header}: {text}");
                let Some(forward) = outcome.forward() else { continue };
                passed += 1;
                admitted += usize::from(forward.admits());
                let verification = forward.verification();
                assert_ne!(verification, Some(Verification::Proven), "{caller} {header}: {text}");
                assert!(!forward.admits() || !document.summary().is_anchored, "{caller} {header}: {text}");
                assert!(
                    caller == "none" || !document.summary().proves_certificate,
                    "{caller} {header}: {text}"
                );
                assert!(forward.forwarding().identity().is_none(), "{caller} {header}: {text}");
            }
        }
    }
    let tally = format!("{proved} proved, {chosen} chosen, {warned} warned, {passed} passed");
    assert!(proved > 1_000 && chosen > 200 && warned > 50 && passed > 1_000, "{tally}");
    assert!(anchored > 100 && admitted > 500, "{anchored} anchored, {admitted} admitted");
}
