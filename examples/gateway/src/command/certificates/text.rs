//! Output of certificates as text and JSON.

use serde_json::Value;

/// Formats a table with a header and one line for each certificate.
pub(super) fn table(entries: &[Value]) -> String {
    let mut rows = vec![["ID", "THUMBPRINT", "EXPIRES", "KEY", "USED BY", "SUBJECT"].map(str::to_owned)];
    rows.extend(entries.iter().map(|entry| {
        let properties = &entry["properties"];
        let thumbprint = plain(&properties["thumbprint"]);
        let last_four = thumbprint.get(thumbprint.len().saturating_sub(4)..).unwrap_or_default();
        let last_four = format!("...{last_four}");
        let expires = plain(&properties["expirationDate"]);
        let expires = expires.split('T').next().unwrap_or_default().to_owned();
        let key = if properties["hasPrivateKey"] == true { "yes" } else { "no" };
        let users = properties["usedBy"].as_array().map_or(0, Vec::len).to_string();
        [plain(&entry["name"]), last_four, expires, key.to_owned(), users, plain(&properties["subject"])]
    }));
    let widths: [usize; 6] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// Formats the details of a certificate, one per line.
pub(super) fn entry(entry: &Value) -> String {
    let properties = &entry["properties"];
    let users = properties["usedBy"].as_array().map(Vec::as_slice).unwrap_or_default();
    let users = users.iter().map(plain).collect::<Vec<_>>().join(", ");
    let has_key = properties["hasPrivateKey"] == true;
    let fields = [
        ("id", plain(&entry["name"])),
        ("subject", plain(&properties["subject"])),
        ("issuer", plain(&properties["issuer"])),
        ("thumbprint", plain(&properties["thumbprint"])),
        ("sha256", plain(&properties["sha256Thumbprint"])),
        ("valid from", plain(&properties["notBefore"])),
        ("expires", plain(&properties["expirationDate"])),
        (
            "private key",
            if has_key { "yes (client identity)" } else { "no (caller's certificate)" }.to_owned(),
        ),
        ("used by", if users.is_empty() { "-".to_owned() } else { users }),
        ("etag", plain(&entry["etag"])),
    ];
    fields.into_iter().map(|(name, value)| format!("{:13}{value}\n", format!("{name}:"))).collect()
}

/// Formats a JSON document.
pub(super) fn json(value: &Value) -> String {
    printable(&format!("{value:#}\n"))
}

fn plain(value: &Value) -> String {
    printable(value.as_str().unwrap_or_default()).replace('\n', "\u{fffd}")
}

/// Replaces control and directional characters: the text of certificates is untrusted.
pub(super) fn printable(text: &str) -> String {
    let is_directional = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| if c.is_control() && c != '\n' || is_directional(c) { '\u{fffd}' } else { c })
        .collect()
}
