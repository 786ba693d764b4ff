//! Keys and remedies for syntax errors.

use super::names;

/// Returns the key on this line (counted from 1) of a text that is not valid TOML; empty if there is none. Only known
/// keys are repeated, since the rest of such a text can be anything.
pub(crate) fn key_on(text: &str, line: usize, sections: &[(&str, &[&str])]) -> String {
    let top = sections.first().map_or(&[][..], |(_, keys)| keys);
    let mut header = String::new();
    let mut routes = 0;
    let mut last = "";
    for text in text.lines().take(line) {
        last = text.trim();
        let Some(name) = last.strip_prefix('[') else {
            continue;
        };
        let is_list = name.starts_with('[');
        let name = name.trim_start_matches('[');
        let name = name.split([']', '#']).next().unwrap_or_default().trim();
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        if !name.split('.').all(names::is_name) {
            continue;
        }
        routes += usize::from(is_list && name == "routes");
        header = match (first, rest) {
            ("routes", "") => format!("routes[{routes}]"),
            ("routes", _) => format!("routes[{routes}].{rest}"),
            _ if top.contains(&first) => name.to_owned(),
            _ => String::new(),
        };
    }
    match last.split_once('=') {
        Some((key, _)) if !last.starts_with('[') => {
            let key = key.trim();
            let is_known = key.split('.').all(|part| sections.iter().any(|(_, keys)| keys.contains(&part)));
            let parts = [header.as_str(), if is_known { key } else { "" }];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
        }
        _ => header,
    }
}

/// Remedy for an error, by the parser's message.
pub(crate) fn remedy(message: &str) -> &'static str {
    /// Beginnings of messages, and their remedies.
    const ADVICE: &[(&str, &str)] = &[
        ("duplicate key", "a key or [section] is allowed once; keep one ([[routes]] has double brackets)"),
        ("string values must be quoted", "put the string in quotation marks"),
        ("invalid boolean", "write true or false, or put a string in quotation marks"),
        ("invalid basic string", "end the string with the quotation mark that it starts with"),
        ("invalid literal string", "end the string with the quotation mark that it starts with"),
        ("unclosed", "close the bracket"),
        ("invalid", "put the string in quotation marks"),
    ];
    let advice = ADVICE.iter().find(|(start, _)| message.starts_with(start));
    advice.map_or("write key = value, with strings in quotation marks", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTIONS: &[(&str, &[&str])] = &[
        ("the top of the file", &["listener", "store", "trust", "routes"]),
        ("[listener]", &["address"]),
        ("[[routes]]", &["path"]),
        ("[trust.NAME]", &["ca"]),
    ];

    #[test]
    fn key_of_a_broken_line_is_reported_if_it_is_known() {
        let text = "store = \n[listener]\naddress = x\nMIIE== x\n[[routes]]\n[ routes.upstream_tls ] # x\n \
                    ca.x = \n\
                    [[routes]]\npath = \n[zebra]\nca = \n[trust.a\nca = [\n\"x\"\n";
        let expected = [
            "store",
            "listener",
            "listener.address",
            "listener",
            "routes[1]",
            "routes[1].upstream_tls",
            "routes[1].upstream_tls",
            "routes[2]",
            "routes[2].path",
            "",
            "ca",
            "trust.a",
            "trust.a.ca",
            "trust.a",
            "trust.a",
        ];
        for (index, expected) in expected.into_iter().enumerate() {
            assert_eq!(key_on(text, index + 1, SECTIONS), expected, "line {}", index + 1);
        }
    }
}
