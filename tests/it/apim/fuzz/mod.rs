//! Randomly changed and generated documents, from a fixed seed. Loading never panics and is bounded in time; every
//! document that loads can be evaluated and explained.

mod guards;

use std::time::{Duration, Instant};

use tower_mtls::{
    Shared,
    apim::{Document, Format, RequestFacts},
};

use super::{
    corpus::documents,
    world::{NOW, WORLD, request},
};

/// xorshift64*.
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

/// Expressions that are likely to be well typed, so that the evaluator is reached.
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
        .trust(WORLD.trust.clone().without_revocation())
        .allow_unanchored()
        .deployment(Shared::new(WORLD.deployment()))
        .load(text);
    match loaded {
        Ok(document) => {
            tally.loaded += 1;
            let request = request();
            for caller in ["orders", "fabrikam", "none"] {
                let presented = WORLD.certificate(caller);
                let facts = RequestFacts::new(&request, &presented);
                let outcome = document.evaluate(&facts, NOW);
                // Callers without a certificate are never admitted.
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
fn generated_expressions_never_panic_and_never_take_long() {
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
fn growth_at_run_time_is_limited() {
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
        let outcome = super::world::evaluate(&document, &WORLD.certificate("orders"));
        assert!(started.elapsed() < Duration::from_secs(1), "{code}");
        let answer = outcome.response().unwrap();
        assert_eq!(answer.status(), 500, "{code}");
        assert!(answer.message().contains("limit on steps or memory"), "{}", answer.message());
    }
}
