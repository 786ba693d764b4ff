//! Conversion between the two forms of a document.

use roxmltree::Node;
use tower_mtls::apim::Format::{self, RawXml, Xml};

use super::{corpus, fuzz::Random};

fn other(format: Format) -> Format {
    match format {
        Xml => RawXml,
        _ => Xml,
    }
}

/// Elements, attributes and texts of a document as an XML parser reads them.
fn tree(xml: &str) -> String {
    fn describe(node: Node<'_, '_>, tree: &mut String) {
        if node.is_text() {
            tree.push_str(node.text().unwrap());
        } else if node.is_element() {
            let attributes: Vec<_> = node.attributes().map(|a| (a.name(), a.value())).collect();
            *tree += &format!("<{} {attributes:?}>", node.tag_name().name());
            node.children().for_each(|child| describe(child, tree));
            tree.push_str("</>");
        }
    }
    let xml = xml.trim_start_matches('\u{feff}');
    let xml = if xml.starts_with("<?xml") { xml.split_once("?>").unwrap().1 } else { xml };
    // Line ends are normalized first (XML 1.0, section 2.11).
    let xml = format!("<document>{xml}</document>").replace("\r\n", "\n").replace('\r', "\n");
    let mut tree = String::new();
    describe(roxmltree::Document::parse(&xml).unwrap().root_element(), &mut tree);
    tree
}

/// Returns true if the text can be read. Checks that it then reads the same in the other form and after a round trip.
fn reads_same(text: &str, from: Format) -> bool {
    let Ok(same) = from.convert(text, from) else {
        assert!(from.convert(text, other(from)).is_err(), "{text:?}");
        return false;
    };
    assert_eq!(same, text);
    let convert = |text: &str, from: Format| {
        from.convert(text, other(from)).unwrap_or_else(|errors| panic!("{text:?}: {errors}"))
    };
    let converted = convert(text, from);
    let back = convert(&converted, other(from));
    // After one round trip, further conversions alternate between two texts.
    let again = convert(&back, from);
    assert_eq!(convert(&again, other(from)), back, "{text:?}");
    let (one, two) = if from == Xml { (text, back) } else { (converted.as_str(), again) };
    assert_eq!(tree(one), tree(&two), "{one:?} {two:?}");
    true
}

#[test]
fn conversion_to_xml_escapes_only_expressions() {
    for (raw, xml) in [
        (r#"<a b="@(c == "d")"/>"#, "<a b=\"@(c == &quot;d&quot;)\"/>"),
        (r#"<a b="@(c < 1 && d > '"')" />"#, "<a b=\"@(c &lt; 1 &amp;&amp; d &gt; '&quot;')\" />"),
        (
            "<a b='@(c == \"d\" && e == \'f\')'/>",
            "<a b='@(c == &quot;d&quot; &amp;&amp; e == &apos;f&apos;)'/>",
        ),
        ("<a b=\"@{\r\n\treturn 1;\n}\"/>", "<a b=\"@{&#13;&#10;&#9;return 1;&#10;}\"/>"),
        ("<a>\r\n\t@(\"<\" +\n\t'\"')\r\n</a>", "<a>\r\n\t@(&quot;&lt;&quot; +\n\t'&quot;')\r\n</a>"),
        ("<a>@(b\r\n)</a>", "<a>@(b&#13;\n)</a>"),
        // Already escaped, wholly or in part.
        ("<a b='@(c &amp;&amp; d < 1)'/>", "<a b='@(c &amp;&amp; d &lt; 1)'/>"),
        ("<a b=\"@(&quot;c &amp; d&quot;)\"/>", "<a b=\"@(&quot;c &amp; d&quot;)\"/>"),
        // Outside of expressions.
        (
            "\u{feff}<?xml version=\"1.0\"?>\r\n<!-- @(\"<\") -->\n<a  b = 'c\n\td' >\t<![CDATA[@(\"<\")]]></a >\r\n",
            "\u{feff}<?xml version=\"1.0\"?>\r\n<!-- @(\"<\") -->\n<a  b = 'c\n\td' >\t<![CDATA[@(\"<\")]]></a >\r\n",
        ),
        ("<a b=\"\n  @(\"c\")\t\"/>", "<a b=\"\n  @(&quot;c&quot;)\t\"/>"),
    ] {
        assert_eq!(RawXml.convert(raw, Xml).unwrap(), xml, "{raw:?}");
        assert!(reads_same(raw, RawXml), "{raw:?}");
    }
}

#[test]
fn conversion_to_raw_xml_unescapes_unless_the_reading_changes() {
    for (xml, raw) in [
        ("<a b=\"@(c == &quot;d&quot;)\"/>", r#"<a b="@(c == "d")"/>"#),
        ("<a b='@(c &lt; 1 &amp;&amp; d == \"e\")'/>", "<a b='@(c < 1 && d == \"e\")'/>"),
        ("<a b='@(c == &apos;d&apos; || e == &#39;f&#x27;)'/>", "<a b='@(c == 'd' || e == 'f')'/>"),
        ("<a b='@(\"c &amp; d\")'/>", "<a b='@(\"c & d\")'/>"),
        ("<a>\n  @(&quot;&lt;b&gt;&quot;)\n</a>", "<a>\n  @(\"<b>\")\n</a>"),
        ("<a b=\"@{&#13;&#10;&#9;return 1;&#10;}\"/>", "<a b=\"@{\r\n\treturn 1;\n}\"/>"),
        ("<a b=\"@(c /* &lt; &quot; */)\"/>", "<a b=\"@(c /* < \" */)\"/>"),
        // XML reads a line end in an attribute as a blank.
        ("<a b='@(c ||\r\n\td)'/>", "<a b='@(c ||  d)'/>"),
        ("<a>@(b ||\r\n\tc)</a>", "<a>@(b ||\n\tc)</a>"),
        // A string that contains the text of an entity.
        ("<a b='@(\"&amp;lt;\")'/>", "<a b='@(&quot;&amp;lt;&quot;)'/>"),
        ("<a b='@(&quot;&amp;lt;&quot;)'/>", "<a b='@(&quot;&amp;lt;&quot;)'/>"),
        ("<a b=\"@(c == '&amp;lt;')\"/>", "<a b=\"&#64;(c == '&amp;lt;')\"/>"),
        // A comment that extends to the end, because its line does not end.
        ("<a b='@(c // d\n)'/>", "<a b='&#64;(c // d\n)'/>"),
        // Not one whole expression.
        ("<a b='@(c'/>", "<a b='&#64;(c'/>"),
        ("<a b='@(c) d'/>", "<a b='&#64;(c) d'/>"),
        ("<a b='@(1)&apos; c=&apos;2'/>", "<a b='&#64;(1)&apos; c=&apos;2'/>"),
        ("<a>@(b <!-- c --> )</a>", "<a>&#64;(b <!-- c --> )</a>"),
        ("<a>@(b<c d='@(1 &lt; 2)'/>)</a>", "<a>&#64;(b<c d='@(1 < 2)'/>)</a>"),
        // Read as XML in both forms.
        ("<a b='&#64;(c &lt; d)'/>", "<a b='&#64;(c &lt; d)'/>"),
        ("<a><!-- b -->@(c &lt; d)</a>", "<a><!-- b -->@(c &lt; d)</a>"),
        ("<a><![CDATA[@(b < c)]]></a>", "<a><![CDATA[@(b < c)]]></a>"),
        ("<a b='c &amp; d &lt; e\n'>f &amp; g</a>", "<a b='c &amp; d &lt; e\n'>f &amp; g</a>"),
    ] {
        assert_eq!(Xml.convert(xml, RawXml).unwrap(), raw, "{xml:?}");
        assert!(reads_same(xml, Xml), "{xml:?}");
    }
}

#[test]
fn sample_documents_read_the_same_in_both_forms() {
    let documents = corpus::documents();
    for (name, raw) in &documents {
        for raw in [raw.clone(), raw.replace('\n', "\r\n"), format!("\u{feff}{raw}")] {
            assert!(reads_same(&raw, RawXml), "{name}");
            let xml = RawXml.convert(&raw, Xml).unwrap();
            assert!(reads_same(&xml, Xml), "{name}");
            // Except for the sample that escapes more than necessary.
            if *name != "escaped_xml" {
                assert_eq!(Xml.convert(&xml, RawXml).unwrap(), raw, "{name}");
            }
        }
    }
    assert!(documents.len() >= 40);
}

/// Fragments of random texts, chosen for ambiguity.
const FRAGMENTS: &[&str] = &[
    "@(",
    "@{",
    ")",
    "}",
    "(",
    "{",
    "[",
    "]",
    "\"",
    "\"",
    "'",
    "\\",
    "\\\"",
    "\"\"",
    "@\"",
    "$\"",
    "$\"{",
    "}\"",
    "{{",
    "&quot;",
    "&quot;",
    "&amp;",
    "&lt;",
    "&gt;",
    "&apos;",
    "&#10;",
    "&#13;",
    "&#9;",
    "&#34;",
    "&#64;",
    "&#92;",
    "&#38;",
    "lt;",
    "amp;",
    "quot;",
    "&",
    "<",
    ">",
    "/*",
    "*/",
    "//",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "\u{85}",
    "\u{2028}",
    "\u{a0}",
    "é",
    "\u{1f600}",
    "a",
    "b == ",
    " && ",
    " < ",
    "<!-- c -->",
    "<![CDATA[",
    "]]>",
    "</a>",
    "/>",
    "=",
    ";",
    "#",
    "x",
];

#[test]
fn random_values_read_the_same_in_both_forms() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut below = |end: usize| random.below(end);
    let mut read = [0; 2];
    for _ in 0..10_000 {
        let inside: String = (0..below(9)).map(|_| FRAGMENTS[below(FRAGMENTS.len())]).collect();
        let (open, close) = [("@(", ")"), ("@{", "}"), (" @(", ") "), ("\n@(", ")\r\n"), ("", "")][below(5)];
        let value = format!("{open}{inside}{close}");
        let text = match below(4) {
            0 => format!("<a b=\"{value}\"/>"),
            1 => format!("<a b='{value}' c=\"@(d)\">@(\"e\")</a>"),
            2 => format!("<a>{value}</a>"),
            _ => format!("<a>{value}<b>{value}</b></a>"),
        };
        for (index, format) in [RawXml, Xml].into_iter().enumerate() {
            read[index] += usize::from(reads_same(&text, format));
        }
    }
    assert!(
        read.iter().all(|count| *count > 1_000),
        "only {read:?} could be read: the fragments are too coarse"
    );
}

#[test]
fn unreadable_text_is_not_converted() {
    for format in [Xml, RawXml] {
        for to in [Xml, RawXml] {
            let errors = format.convert("<a>\n  <b>\n</a>", to).unwrap_err();
            assert_eq!(errors.to_string(), "2:3: <b> has no end tag: found </a>");
        }
    }
    assert!(Xml.convert("<a b=\"@(\"c\")\"/>", RawXml).is_err());
    let long = format!("<a b='@(\"{}\")'/>", "<".repeat(100_000));
    let errors = RawXml.convert(&long, Xml).unwrap_err();
    assert_eq!(errors.to_string(), "1:1: in the other form: the document is longer than 262144 bytes");
}
