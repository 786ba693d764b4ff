//! The two forms of a document: what one is in the other.

use super::{
    Format::{self, RawXml, Xml},
    convert::is_same,
    read,
};

fn other(format: Format) -> Format {
    match format {
        Xml => RawXml,
        RawXml => Xml,
    }
}

/// Whether the text can be read; if so, it is the same document in the other form, and there and back again.
fn judge(text: &str, from: Format) -> bool {
    assert_eq!(
        from.convert(text, from).ok().as_deref(),
        read(text, from).is_ok().then_some(text),
        "{text:?}"
    );
    let Ok(elements) = read(text, from) else {
        assert!(from.convert(text, other(from)).is_err(), "{text:?}");
        return false;
    };
    let there = from.convert(text, other(from)).unwrap_or_else(|errors| panic!("{text:?}: {errors}"));
    let there_again =
        read(&there, other(from)).unwrap_or_else(|error| panic!("{text:?}: {there:?}: {error}"));
    assert!(is_same(&elements, &there_again), "{text:?}: {there:?}");
    let back =
        other(from).convert(&there, from).unwrap_or_else(|errors| panic!("{text:?}: {there:?}: {errors}"));
    assert!(is_same(&elements, &read(&back, from).unwrap()), "{text:?}: {back:?}");
    // From here on the text is one of two.
    let there = from.convert(&back, other(from)).unwrap();
    assert_eq!(other(from).convert(&there, from).unwrap(), back, "{text:?}");
    true
}

#[test]
fn raw_expressions_are_escaped_and_nothing_else_is() {
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
        // Escaped already, wholly or in part.
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
        assert!(judge(raw, RawXml), "{raw:?}");
    }
}

#[test]
fn escaped_expressions_are_written_as_they_are_where_that_is_read_as_the_same() {
    for (xml, raw) in [
        ("<a b=\"@(c == &quot;d&quot;)\"/>", r#"<a b="@(c == "d")"/>"#),
        ("<a b='@(c &lt; 1 &amp;&amp; d == \"e\")'/>", "<a b='@(c < 1 && d == \"e\")'/>"),
        ("<a b='@(c == &apos;d&apos; || e == &#39;f&#x27;)'/>", "<a b='@(c == 'd' || e == 'f')'/>"),
        ("<a b='@(\"c &amp; d\")'/>", "<a b='@(\"c & d\")'/>"),
        ("<a>\n  @(&quot;&lt;b&gt;&quot;)\n</a>", "<a>\n  @(\"<b>\")\n</a>"),
        ("<a b=\"@{&#13;&#10;&#9;return 1;&#10;}\"/>", "<a b=\"@{\r\n\treturn 1;\n}\"/>"),
        ("<a b=\"@(c /* &lt; &quot; */)\"/>", "<a b=\"@(c /* < \" */)\"/>"),
        // XML reads a line end in an attribute as a blank, and so it is written as one.
        ("<a b='@(c ||\r\n\td)'/>", "<a b='@(c ||  d)'/>"),
        ("<a>@(b ||\r\n\tc)</a>", "<a>@(b ||\n\tc)</a>"),
        // A string that holds what looks like an entity.
        ("<a b='@(\"&amp;lt;\")'/>", "<a b='@(&quot;&amp;lt;&quot;)'/>"),
        ("<a b='@(&quot;&amp;lt;&quot;)'/>", "<a b='@(&quot;&amp;lt;&quot;)'/>"),
        ("<a b=\"@(c == '&amp;lt;')\"/>", "<a b=\"&#64;(c == '&amp;lt;')\"/>"),
        // A comment that goes on to the end, since its line does not end.
        ("<a b='@(c // d\n)'/>", "<a b='&#64;(c // d\n)'/>"),
        // What is not one whole expression.
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
        assert!(judge(xml, Xml), "{xml:?}");
    }
}

#[test]
fn every_document_is_the_same_in_both_forms() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/apim/documents");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let raw = std::fs::read_to_string(&path).unwrap();
        for raw in [raw.clone(), raw.replace('\n', "\r\n"), format!("\u{feff}{raw}")] {
            assert!(judge(&raw, RawXml), "{path:?}");
            let xml = RawXml.convert(&raw, Xml).unwrap();
            assert!(judge(&xml, Xml), "{path:?}");
            // But for the one that is escaped where it need not be.
            if path.file_stem().is_some_and(|name| name != "escaped_xml") {
                assert_eq!(Xml.convert(&xml, RawXml).unwrap(), raw, "{path:?}");
            }
        }
        count += 1;
    }
    assert!(count >= 40);
}

/// Of what texts are made that are read in several ways.
const PIECES: &[&str] = &[
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
fn made_up_values_are_the_same_in_both_forms() {
    // xorshift64*
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |end: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as usize % end
    };
    let mut read = [0; 2];
    for _ in 0..10_000 {
        let inside: String = (0..below(9)).map(|_| PIECES[below(PIECES.len())]).collect();
        let (open, close) = [("@(", ")"), ("@{", "}"), (" @(", ") "), ("\n@(", ")\r\n"), ("", "")][below(5)];
        let value = format!("{open}{inside}{close}");
        let text = match below(4) {
            0 => format!("<a b=\"{value}\"/>"),
            1 => format!("<a b='{value}' c=\"@(d)\">@(\"e\")</a>"),
            2 => format!("<a>{value}</a>"),
            _ => format!("<a>{value}<b>{value}</b></a>"),
        };
        for (index, format) in [RawXml, Xml].into_iter().enumerate() {
            read[index] += usize::from(judge(&text, format));
        }
    }
    assert!(read.iter().all(|count| *count > 1_000), "{read:?} could be read: the pieces are too coarse");
}

#[test]
fn a_text_that_cannot_be_read_is_not_written_in_any_form() {
    for format in [Xml, RawXml] {
        for to in [Xml, RawXml] {
            let errors = format.convert("<a>\n  <b>\n</a>", to).unwrap_err();
            assert_eq!(errors.to_string(), "2:3: <b> is never closed: </a> comes first");
        }
    }
    assert!(Xml.convert("<a b=\"@(\"c\")\"/>", RawXml).is_err());
    let long = format!("<a b='@(\"{}\")'/>", "<".repeat(100_000));
    let errors = RawXml.convert(&long, Xml).unwrap_err();
    assert_eq!(errors.to_string(), "1:1: in the other form: the document is longer than 262144 bytes");
}
