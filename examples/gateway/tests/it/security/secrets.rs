//! Passwords, tokens and keys are never disclosed.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};

use crate::store_and_api::world::World;
use crate::support::shell;

const WRONG: &str = "wrong-horse-battery-staple";

#[tokio::test]
async fn secrets_are_in_no_trace_log_response_or_file() {
    let world = World::start_logging("", "trace");
    let (pfx, password) = world.pfx("orders");
    let dir = world.demo.dir();
    let mut answers = String::new();
    for (id, password, tag) in
        [("a", &*password, ""), ("a", &password, "*"), ("b", WRONG, ""), ("a", &password, "")]
    {
        answers += &world.put(id, &pfx, password, &[("if-match", tag)]).await.text;
    }
    for path in ["/certificates", "/certificates/a", "/certificates/b"] {
        answers += &world.ask(Method::GET, path, &[], "").await.text;
    }
    // The same over HTTP/2, with another client.
    let body = crate::store_and_api::world::upload(&pfx, &password);
    std::fs::write(dir.join("body.json"), body).unwrap();
    answers += &shell(&format!(
        "cd {} && curl -s --http2 --cacert ca.pem -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \
         -X PUT --data-binary @body.json https://localhost:{}{}/certificates/c",
        dir.display(),
        world.token,
        world.running.management_port(),
        crate::store_and_api::world::SERVICE,
    ));
    assert!(answers.contains("/certificates/c"), "{answers}");
    world.ask(Method::DELETE, "/certificates/a", &[("if-match", "*")], "").await;

    let pem = shell(&format!(
        "cd {} && openssl pkcs12 -in orders.pfx -passin file:orders.password -nocerts -nodes",
        dir.display()
    ));
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let secret = &key.secret_der()[36..68];
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let sealing = std::fs::read_to_string(dir.join("kept.key")).unwrap().trim().to_owned();
    world.running.logged(0, "outcome=\"deleted\"");
    let (log, pfx) = (world.running.log(), STANDARD.encode(&pfx));
    let mut secrets = vec![
        ("the password", password.clone()),
        ("a wrong password", WRONG.to_owned()),
        ("the token", world.token.clone()),
        ("the sealing key", sealing),
        ("the .pfx file", pfx[..64].to_owned()),
        ("the key, hex", hex),
        ("the key, as Debug prints bytes", format!("{secret:?}").trim_matches(['[', ']']).to_owned()),
    ];
    secrets.extend((0..3).map(|skip| ("the key, base64", STANDARD.encode(&secret[skip..skip + 27]))));
    assert!(log.contains(" TRACE "), "nothing is logged at trace level");
    assert!(log.contains("outcome=\"created\"") && log.contains("outcome=\"refused\""), "no audit line");
    for (case, secret) in secrets {
        for (place, text) in [("the log", &log), ("an answer", &answers)] {
            let found = text.lines().find(|line| line.to_lowercase().contains(&secret.to_lowercase()));
            assert!(found.is_none(), "{case} is in {place}: {}", found.unwrap_or_default());
        }
    }
    // Log lines name the changed entry and the address of the client.
    let audit = log.lines().find(|line| line.contains("outcome=\"created\"")).unwrap();
    for part in
        ["action=\"put\"", "id=\"a\"", "purpose=\"identity\"", "by=\"the token\"", "remote=127.0.0.1:"]
    {
        assert!(audit.contains(part), "{part} in {audit}");
    }
}
