//! The output of `gateway demo`: `curl` commands.

use std::fmt::Write;
use std::path::Path;

/// A call: expected status, description, HTTP version, stem of the caller's certificate, path.
type Call = (u16, &'static str, HttpVersion, Option<&'static str>, &'static str);

#[derive(Clone, Copy, Debug)]
enum HttpVersion {
    One,
    Two,
}

/// Calls that are admitted.
const ADMITTED: [Call; 5] = [
    (200, "the upstream received CN=orders-gateway", HttpVersion::One, Some("client"), "/orders"),
    (200, "the same over HTTP/2", HttpVersion::Two, Some("client"), "/orders"),
    (200, "the same upstream received CN=billing-gateway", HttpVersion::One, Some("client"), "/billing"),
    (200, "the same over HTTP/2", HttpVersion::Two, Some("client"), "/billing"),
    (200, "this route requires no certificate", HttpVersion::One, None, "/open"),
];

/// Calls that are rejected.
const REJECTED: [Call; 6] = [
    (403, "no certificate", HttpVersion::One, None, "/orders"),
    (403, "an expired certificate", HttpVersion::One, Some("expired"), "/orders"),
    (403, "a certificate of an untrusted CA", HttpVersion::One, Some("stranger"), "/orders"),
    (403, "a certificate of a CA with the trusted CA's name", HttpVersion::One, Some("impostor"), "/orders"),
    (403, "the same over HTTP/2, which has no reason phrases", HttpVersion::Two, Some("impostor"), "/orders"),
    (404, "no such route", HttpVersion::One, Some("client"), "/elsewhere"),
];

/// Returns the text for a demo in `dir` with these ports of the listener and the management listener.
///
/// Each `curl` command can be pasted in the directory in which the demo was started, and follows a comment with the
/// expected status: `# 200: ...`.
pub(crate) fn text(dir: &Path, port: u16, management_port: u16) -> String {
    let mut text = format!(
        "The gateway is listening on https://localhost:{port}. It authorizes callers by client certificate\n\
         and calls two upstreams, which require a client certificate, with each route's identity.\n\
         The configuration and a throw-away PKI are in {}. Paste these commands into another terminal:\n\
         \n\
         Admitted. The response is JSON from the upstream; see its \"client_certificate\".\n",
        dir.display()
    );
    for call in ADMITTED {
        push_call(&mut text, dir, port, call);
    }
    let token = dir.join("management.token");
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nThe portal is at https://localhost:{management_port}/; its token is in {}.\n\
         Health and metrics, on the management listener:\n",
        token.display()
    );
    push_management(&mut text, dir, management_port);
    text.push_str("\nRejected, over HTTP/1.1 with the reason phrase \"Invalid client certificate\":\n");
    for call in REJECTED {
        push_call(&mut text, dir, port, call);
    }
    text
}

/// Appends a comment with the expected status, and the `curl` command.
fn push_call(text: &mut String, dir: &Path, port: u16, (status, description, http, certificate, path): Call) {
    let http = match http {
        HttpVersion::One => "--http1.1",
        HttpVersion::Two => "--http2",
    };
    let file = |name: &str| relative(&dir.join(name).to_string_lossy());
    let mut line = format!("curl -sS -i {http} --cacert {}", quoted(&file("ca.pem")));
    if let Some(stem) = certificate {
        let certificate = file(&format!("{stem}.pem"));
        let key = file(&format!("{stem}.key"));
        // Writing to a string cannot fail.
        let _ = write!(line, " --cert {} --key {}", quoted(&escaped(&certificate)), quoted(&key));
    }
    let _ = write!(text, "\n# {status}: {description}\n{line} https://localhost:{port}{path}\n");
}

/// Appends the calls of the management listener. The shell reads the token from its file; it is not printed.
fn push_management(text: &mut String, dir: &Path, port: u16) {
    let file = |name: &str| quoted(&relative(&dir.join(name).to_string_lossy()));
    let curl = format!("curl -sS -i --cacert {}", file("ca.pem"));
    let token = format!("-H \"Authorization: Bearer $(cat {})\"", file("management.token"));
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n# 200: health\n{curl} https://localhost:{port}/healthz\n\
         \n# 200: metrics, with the token\n{curl} {token} https://localhost:{port}/metrics\n\
         \n# 401: without the token\n{curl} https://localhost:{port}/metrics\n"
    );
}

/// Prefixes a path that begins with a dash, which `curl` would read as an option.
fn relative(path: &str) -> String {
    if path.starts_with('-') { format!("./{path}") } else { path.to_owned() }
}

/// Escapes colons in the path for `--cert`, where `curl` reads a password after a colon.
fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(':', "\\:")
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::text;

    #[test]
    fn commands_can_be_pasted() {
        let tour = text(Path::new("gateway-demo"), 8443, 9443);
        assert!(tour.contains(
            "\ncurl -sS -i --cacert gateway-demo/ca.pem -H \"Authorization: Bearer \
             $(cat gateway-demo/management.token)\" https://localhost:9443/metrics\n"
        ));
        assert!(tour.contains(
            "# 200: the upstream received CN=orders-gateway\n\
             curl -sS -i --http1.1 --cacert gateway-demo/ca.pem --cert gateway-demo/client.pem \
             --key gateway-demo/client.key https://localhost:8443/orders\n"
        ));
    }

    #[test]
    fn each_command_follows_a_status() {
        let tour = text(Path::new("gateway-demo"), 8443, 9443);
        let lines: Vec<&str> = tour.lines().collect();
        let mut calls = 0;
        for pair in lines.windows(2) {
            if pair[1].starts_with("curl ") {
                let status = pair[0].strip_prefix("# ").unwrap().split(':').next().unwrap();
                assert!(["200", "401", "403", "404"].contains(&status), "{}", pair[0]);
                calls += 1;
            }
        }
        assert_eq!(calls, 14);
    }

    #[test]
    fn unusual_folder_is_quoted_for_shell_and_curl() {
        for (case, dir, expected) in [
            ("a space", "my demo", "--cert 'my demo/client.pem' --key 'my demo/client.key'"),
            ("a quote", "it's", "--cert 'it'\\''s/client.pem' --key 'it'\\''s/client.key'"),
            ("a colon", "a:b", "--cert 'a\\:b/client.pem' --key a:b/client.key"),
            ("a dollar sign", "$HOME", "--cert '$HOME/client.pem' --key '$HOME/client.key'"),
            ("a tilde", "~", "--cert '~/client.pem' --key '~/client.key'"),
            ("a dash in front", "-k", "--cert ./-k/client.pem --key ./-k/client.key"),
            ("an absolute path", "/srv/demo", "--cert /srv/demo/client.pem --key /srv/demo/client.key"),
        ] {
            assert!(text(Path::new(dir), 8443, 9443).contains(expected), "{case}");
        }
    }
}
