//! Damaged, incomplete and hostile files.

use super::{broken::BROKEN, *};

#[test]
fn carriage_returns_and_byte_order_mark_do_not_move_lines() {
    let text = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    let (config, found) = parsed(&text);
    assert_eq!((config.unwrap().routes[1].line, found[0].line), (48, 33));
}

#[test]
fn all_errors_of_a_file_are_reported_in_line_order() {
    let text = FULL
        .replace("127.0.0.1:8443", "localhost:8443")
        .replace("[trust.partners]", "[trust.partner]")
        .replace("ca = [\"own", "cb = [\"own")
        .replace("https://localhost:9444/api", "htps://x")
        .replace("[proxy]", "[proxies]");
    let (_, found) = parsed(&text);
    let lines: Vec<_> = found.iter().map(|found| (found.line, found.key.as_str(), found.severity)).collect();
    let expected = [
        (3, "listener.address", Severity::Error),
        (26, "routes[1].upstream", Severity::Error),
        (32, "routes[1].upstream_tls.cb", Severity::Error),
        (33, "routes[1].upstream_tls.verify", Severity::Warning),
        (38, "routes[1].client_certificate.trust", Severity::Error),
        (58, "proxies", Severity::Error),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn error_is_one_line_with_its_remedy() {
    let (_, found) = parsed(&FULL.replace("https://localhost:9444/api", "htps://x"));
    let expected = "etc/gateway.toml:26: routes[1].upstream: \"htps://x\" has an unknown scheme; \
                    write http://host:port or https://host:port";
    assert_eq!(found[0].to_string(), expected);
}

#[test]
fn each_error_has_its_line_key_and_remedy() {
    for (old, new, line, key, word) in BROKEN {
        assert!(FULL.contains(old), "{old}");
        let (_, found) = parsed(&FULL.replacen(old, new, 1));
        let errors: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
        let [error] = errors[..] else { panic!("{new}: {errors:#?}") };
        let shown = error.to_string();
        assert_eq!((error.line, error.key.as_str()), (*line, *key), "{new}: {shown}");
        assert!(shown.contains(word), "{new}: {shown}");
        assert!(!error.remedy.is_empty(), "{new}: {shown}");
    }
}

#[test]
fn missing_listener_and_missing_routes_are_errors() {
    let route = "[[routes]]\npath = \"/\"\nupstream = \"http://b\"\nclient_certificate = \"none\"\n";
    let cases: &[(&str, &[&str])] = &[
        ("", &["listener", "routes"]),
        (route, &["listener"]),
        (&format!("listener = 3\n{route}"), &["listener"]),
        (LISTENER, &["routes"]),
        (&format!("{LISTENER}\nroutes = []"), &["routes"]),
        (&format!("{LISTENER}\n[routes]\npath = \"/\""), &["routes"]),
        (&format!("{LISTENER}\nroutes = [\"/\"]"), &["routes[1]"]),
        (&format!("{LISTENER}\nroutes = [{{}}]"), &["routes[1].path", "routes[1].upstream"]),
    ];
    for (text, expected) in cases {
        let keys: Vec<_> = parsed(text).1.into_iter().map(|found| found.key).collect();
        assert_eq!(keys, *expected, "{text}");
    }
}

#[test]
fn syntax_error_does_not_report_other_keys_as_missing() {
    let (_, found) = parsed("[listener\naddress = \"127.0.0.1:8443\"\n");
    assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [1]);
    let (_, found) =
        parsed(&FULL.replace("[trust.partners]", "[trust.partners").replace("\"chain\"", "\"no\""));
    let lines: Vec<_> = found.iter().map(|found| found.line).collect();
    assert_eq!(lines, [8, 33], "{found:#?}");
}

#[test]
fn secrets_in_the_file_are_not_repeated() {
    let cases = [
        "[listener]\npassword = \"hunter2\"\ntoken = \"hunter2\"\nprivate_key = [\"hunter2\", 3]\n",
        "[identities.a]\npassword_file = { text = \"hunter2\" }\n",
        "[identities.a]\nprivate_key = \"\"\"-----BEGIN PRIVATE KEY-----\nhunter2\n\"\"\"\n",
        "[[routes]]\nupstream = \"https://x?token=hunter2\"\n",
        "[[routes]]\nupstream = \"https://:hunter2@x\"\n",
        "[identities.a]\npassword_file = hunter2\n",
        "[identities.a]\npassword_file = \"hunter2\n",
    ];
    for text in cases {
        assert!(parsed(text).0.is_none());
    }
}

#[test]
fn hostile_texts_are_reported_in_short_diagnostics() {
    let deep = format!("a = {}1{}", "[".repeat(5000), "]".repeat(5000));
    let dotted = format!("{} = 1", vec!["a"; 5000].join("."));
    let long =
        format!("{} = 1\n[listener]\naddress = \"{}\"\n", "x".repeat(100_000), "\u{202e}".repeat(100_000));
    for text in
        [&deep, &dotted, &long, "\0", "= = =", "[[[", "\"\\", "listener.a.b = 1\nroutes.x = 2\ntrust = []\n"]
    {
        for found in parsed(text).1 {
            assert!(found.to_string().chars().count() < 500, "{found}");
        }
    }
}

#[test]
fn file_in_another_format_is_reported_for_50_lines_only() {
    let (_, found) = parsed(&"12:00:00 INFO a line of a log\n".repeat(10_000));
    assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
}

#[test]
fn truncated_and_corrupted_files_are_read_or_rejected() {
    for end in 0..FULL.len() {
        parsed(&FULL[..end]);
    }
    for (at, _) in FULL.match_indices('\n') {
        for junk in ["\n\"", "\n=", "\n[", "\n]", "\n[[routes]]", "\nx"] {
            parsed(&format!("{}{junk}{}", &FULL[..at], &FULL[at..]));
        }
    }
}

#[test]
fn unreadable_file_is_a_diagnostic() {
    let folder = std::env::temp_dir().join(format!("gateway-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let cases = [
        (folder.join("none.toml"), 1, "cannot be read"),
        (folder.clone(), 1, "cannot be read"),
        (write("latin.toml", b"# a\n# b\n# \xe9\n"), 3, "UTF-8"),
        (write("large.toml", &vec![b'\n'; 4 * 1024 * 1024 + 1]), 1, "4 MiB"),
    ];
    for (file, line, word) in &cases {
        let (config, found) = read(file);
        assert!(config.is_none() && found.len() == 1, "{found:?}");
        assert_eq!((found[0].line, &found[0].file), (*line, file));
        assert!(found[0].problem.contains(word), "{}", found[0]);
    }
    let file = write("gateway.toml", FULL.as_bytes());
    assert_eq!(read(&file).0.unwrap().upstream_ca[0].resolved, folder.join("backend-ca.pem"));
    std::fs::remove_dir_all(&folder).unwrap();
}
