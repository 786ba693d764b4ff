//! The demo: every printed line is run as printed.

use crate::support::{Demo, Running, gateway, shell};

#[test]
fn tour_lines_answer_as_the_tour_states() {
    let demo = Demo::start();
    let mut expected = None;
    let mut asked = Vec::new();
    for line in demo.tour.clone().lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            expected = comment.split(':').next().map(str::to_owned);
        } else if line.starts_with("curl ") {
            let expected = expected.clone().expect("each call has an expected status");
            let answer = shell(&format!("{line} --max-time 30"));
            let status_line = answer.lines().next().unwrap();
            assert_eq!(status_line.split(' ').nth(1), Some(expected.as_str()), "{line}\n{answer}");
            let identity = [("/orders", "CN=orders-gateway"), ("/billing", "CN=billing-gateway")];
            for (_, identity) in identity.iter().filter(|(path, _)| expected == "200" && line.ends_with(path))
            {
                assert!(answer.contains(identity), "{line}\n{answer}");
            }
            if expected == "403" && line.contains("--http1.1") {
                assert_eq!(status_line, "HTTP/1.1 403 Invalid client certificate");
            }
            asked.push((expected, line.contains("--http2")));
        }
    }
    for wanted in [("200", false), ("200", true), ("403", false), ("403", true), ("404", false)] {
        assert!(asked.iter().any(|(status, http2)| (status.as_str(), *http2) == wanted), "{wanted:?}");
    }
    assert!(asked.iter().any(|(status, _)| status == "401"), "the token exists at any time");
    assert_eq!(demo.terminate(), Some(0), "SIGTERM exits with 0");
}

#[test]
fn demo_that_cannot_start_writes_nothing() {
    let demo = Demo::start();
    let toml = || std::fs::read_to_string(demo.dir().join("gateway.toml")).unwrap();
    let before = toml();
    let new = demo.dir().join("new");
    for (dir, ports, expected) in [
        (
            demo.dir(),
            ["0", "0"],
            "another demo is running in this folder; stop it, or use another folder with --dir DIR",
        ),
        (new.clone(), ["1", "1"], "--management-port: same as --port; choose another port"),
    ] {
        let [port, management_port] = ports;
        let mut command = gateway();
        command.args(["demo", "--port", port, "--management-port", management_port, "--dir"]).arg(dir);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{expected}");
        assert_eq!(String::from_utf8(output.stderr).unwrap().trim_end(), expected);
    }
    assert_eq!(toml(), before);
    assert!(!new.exists());
}

#[tokio::test]
async fn forged_identity_header_does_not_reach_the_upstream() {
    let demo = Demo::start();
    let request =
        b"GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-ARR-ClientCert: forged\r\n\
        X_Forwarded_Client_Cert: forged\r\nX-Forwarded-For: forged\r\nX-Kept: kept\r\n\r\n";
    let answer = demo.send_raw(None, request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("x-kept"), "{answer}");
    assert!(!answer.contains("forged"), "{answer}");
}

#[tokio::test]
async fn headers_of_remove_request_headers_do_not_reach_the_upstream() {
    let demo = Demo::start();
    let removed = "[proxy]\nremove_request_headers = [\"x-my-identity\", \"X-Corp-*\"]\n";
    let config = demo.toml();
    assert!(!config.contains("[proxy]"));
    let file = demo.dir().join("removed.toml");
    std::fs::write(&file, config + removed).unwrap();
    let (running, port) = Running::start(&file);
    let demo = demo.on_port(port);
    let request = b"GET /open HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX_My_Identity: forged\r\n\
        x-corp-user: forged\r\nX-Consumer-Username: forged\r\nx-corporate: kept\r\n\r\n";
    let answer = demo.send_raw(None, request).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("x-corporate"), "{answer}");
    assert!(!answer.contains("forged"), "{answer}");
    drop(running);
}
