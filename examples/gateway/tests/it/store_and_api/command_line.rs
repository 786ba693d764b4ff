//! `gateway certificates`, for people and scripts.

use std::process::Command;

use super::world::World;
use crate::support::gateway;

/// Exit code, standard output and standard error.
fn run(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let mut command: Command = gateway();
    command.current_dir(world.demo.dir()).arg("certificates").args(arguments);
    command.args([
        "--ca",
        "ca.pem",
        "--url",
        &format!("https://localhost:{}", world.running.management_port()),
    ]);
    if !arguments.contains(&"--token-file") {
        command.args(["--token-file", "management.token"]);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn certificates_are_uploaded_listed_shown_and_deleted() {
    let world = World::start(
        "[[routes]]\npath = \"/used\"\nupstream = \"UPSTREAM\"\nidentity = { id = \"orders\" }\n",
    );
    let upload = ["upload", "orders", "orders.pfx", "--password-file", "orders.password"];
    let (code, printed, reported) = run(&world, &upload);
    assert_eq!((code, reported.as_str()), (0, ""), "{printed}");
    assert!(
        printed.starts_with("uploaded\n") && printed.contains("subject:     CN=orders-gateway, O=Contoso\n"),
        "{printed}"
    );
    assert!(printed.contains("used by:     route /used\n"), "{printed}");
    let etag = printed.split("etag:").nth(1).unwrap().trim();

    let (code, printed, _) = run(&world, &["list"]);
    assert_eq!(code, 0);
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("ID ") && lines[1].starts_with("orders "), "{printed}");
    let (_, printed, _) = run(&world, &["list", "--json", "--filter", "name eq 'orders'"]);
    let list: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(list[0]["name"], "orders");
    let (_, printed, _) = run(&world, &["show", "orders", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(shown["etag"], etag);
    let (code, printed, _) = run(&world, &["upload", "a caller", "client.pem"]);
    assert!(code == 0 && printed.contains("private key: no (caller's certificate)"), "{printed}");

    for (arguments, expected, part) in [
        (&upload[..], 2, "already exists. To replace it"),
        (
            &["upload", "orders", "orders.pfx", "--password-file", "billing.password", "--replace"],
            2,
            "The password is wrong",
        ),
        (&["upload", "x", "gone.pfx"], 1, "gone.pfx: No such file"),
        (&["show", "x"], 2, "The certificate 'x' was not found"),
        (&["list", "--filter", "x"], 2, "The filter has the field x"),
        (&["delete", "orders"], 2, "used by the following entities:\n  route /used"),
        (&["delete", "a caller", "--if-match", etag], 2, "If-Match does not match the ETag"),
        (&["list", "--token-file", "orders.password"], 2, "token is missing or invalid"),
        (&["list", "--token-file", "gone"], 1, "--token-file gone: No such file"),
        (&["sing"], 1, "unrecognized subcommand"),
    ] {
        let (code, printed, reported) = run(&world, arguments);
        assert_eq!((code, printed.as_str()), (expected, ""), "{arguments:?}: {reported}");
        assert!(reported.contains(part), "{arguments:?}: {reported}");
    }
    let (code, printed, _) = run(
        &world,
        &["upload", "orders", "billing.pfx", "--password-file", "billing.password", "--if-match", etag],
    );
    assert!(code == 0 && printed.starts_with("replaced\n"), "{printed}");
    assert_eq!(run(&world, &["delete", "a caller"]), (0, "deleted\n".into(), String::new()));
    assert_eq!(run(&world, &["delete", "a caller"]), (0, "not found\n".into(), String::new()));
    let (code, _, reported) = {
        let output =
            gateway().args(["certificates", "list", "--url", "http://localhost:1"]).output().unwrap();
        (output.status.code(), (), String::from_utf8(output.stderr).unwrap())
    };
    assert!(code == Some(1) && reported.contains("use https://"), "{reported}");
}
