//! Documents converted between raw and XML form decide the same.

use std::time::{Duration, Instant};

use tower_mtls::apim::{
    Document, DocumentErrors,
    Format::{self, RawXml, Xml},
};

use super::{
    corpus::{decision, documents},
    fuzz::{Random, mutate},
    world::{WORLD, evaluate},
};

const CALLERS: [&str; 5] = ["orders", "billing", "fabrikam", "expired", "none"];

fn load(text: &str, format: Format) -> Result<Document, DocumentErrors> {
    WORLD.builder().format(format).load(text)
}

/// The decisions for the test's callers, or the errors.
fn decisions(text: &str, format: Format) -> Vec<String> {
    match load(text, format) {
        Ok(document) => {
            let warnings = document.warnings().iter().map(|warning| warning.message().to_owned());
            let decision = CALLERS.map(|caller| decision(&evaluate(&document, &WORLD.certificate(caller))));
            decision.into_iter().chain(warnings).collect()
        }
        Err(errors) => errors.iter().map(|error| error.message().to_owned()).collect(),
    }
}

#[test]
fn documents_decide_the_same_in_both_forms() {
    for (name, raw) in documents() {
        let expected = decisions(&raw, RawXml);
        let xml = RawXml.convert(&raw, Xml).unwrap();
        assert_eq!(decisions(&xml, Xml), expected, "{name}");
        // Text read in the wrong form is an error, or decides the same.
        if load(&xml, RawXml).is_ok() {
            assert_eq!(decisions(&xml, RawXml), expected, "{name}");
        }
        let back = Xml.convert(&xml, RawXml).unwrap();
        assert_eq!(decisions(&back, RawXml), expected, "{name}");
        assert_eq!(RawXml.convert(&back, Xml).unwrap(), xml, "{name}");
    }
}

#[test]
fn xml_form_reads_as_the_raw_form() {
    for (name, raw) in documents() {
        let xml = RawXml.convert(&raw, Xml).unwrap();
        let xml = format!("<documents>{xml}</documents>");
        let parsed = roxmltree::Document::parse(&xml).unwrap();
        let conditions: Vec<_> =
            parsed.descendants().filter_map(|node| node.attribute("condition")).collect();
        // Documents as written: all values are in double quotes, except escaped ones.
        let written = conditions.iter().filter(|condition| raw.contains(**condition)).count();
        assert!(written == conditions.len() || name == "escaped_xml", "{name}: {conditions:?}");
    }
}

#[test]
fn changed_documents_decide_the_same_in_both_forms() {
    let documents = documents();
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let (mut converted, mut loaded) = (0, 0);
    for round in 0..8_000 {
        let (_, text) = &documents[random.below(documents.len())];
        let (_, other) = &documents[random.below(documents.len())];
        let changed = mutate(&mut random, text, other);
        let (from, to) = if round % 2 == 0 { (Xml, RawXml) } else { (RawXml, Xml) };
        let changed = match to {
            // Changed in the escaped form: in the raw form most changes are not well-formed.
            RawXml => match RawXml.convert(&changed, Xml) {
                Ok(escaped) => mutate(&mut random, &escaped, "&amp;lt;&quot;&#10;"),
                Err(_) => continue,
            },
            _ => changed,
        };
        let Ok(there) = from.convert(&changed, to) else {
            assert!(load(&changed, from).is_err(), "{changed}");
            continue;
        };
        converted += 1;
        loaded += usize::from(load(&changed, from).is_ok());
        assert_eq!(decisions(&there, to), decisions(&changed, from), "{changed}");
    }
    assert!(converted > 800 && loaded > 200, "only {loaded} of {converted} loaded");
}

#[test]
fn costly_documents_are_converted_in_time() {
    for (text, from) in [
        ("<a b='@(1 &lt; 2)'/>".repeat(10_000), Xml),
        // Reaches the slowest path of the conversion.
        ("<a b='@(c == &apos;&amp;lt;&apos; //)'/>".repeat(5_000), Xml),
        (format!("<a b='@({})'/>", "&lt;".repeat(60_000)), Xml),
        (format!("<a b='@({})'/>", "&quot;&amp;lt;".repeat(15_000)), Xml),
        (format!("<a b='@({}'/>", "@(".repeat(100_000)), Xml),
        (format!("<a b='@({})'/>", "<".repeat(60_000)), RawXml),
        ("<a b='@(1 < 2)'/>".repeat(10_000), RawXml),
    ] {
        let started = Instant::now();
        let to = if from == Xml { RawXml } else { Xml };
        from.convert(&text, to).unwrap_or_else(|errors| panic!("{errors}: {}", &text[..40]));
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}: {}", started.elapsed(), &text[..40]);
    }
}
