//! Lists from URLs.

use std::time::{Duration, Instant};

use super::{
    crl_server::{CrlServer, Reply},
    *,
};
use crate::support::soon;

/// Keys of a set whose list is downloaded every second.
fn keys(server: &CrlServer, more: &str) -> String {
    format!(
        "crl_url = [\"https://localhost:{}/own.crl?key=hunter2\"]\nrevocation = \"strict\"\ncrl_refresh = \"1s\"\n\
         crl_timeout = \"1s\"\ncrl_max_size = \"64KiB\"\n{more}",
        server.address.port()
    )
}

/// The label of the server's URL.
fn url(server: &CrlServer) -> String {
    format!(",url=\"https://localhost:{}/own.crl\"", server.address.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn downloaded_list_is_effective_on_open_connections() {
    let mut world = World::new();
    let server = CrlServer::start(&world.demo.dir(), Reply::List(world.list(1, &[]))).await;
    let running = world.start(&keys(&server, "crl_identity = \"orders\""));
    running.logged(0, RELOADED);
    let mut one = world.demo.http1(Some("listed")).await;
    let mut two = world.demo.http2(Some("listed")).await;
    for expected in [200, 403] {
        assert_eq!(whole(one.send_request(get("/")).await.unwrap()).await.0, expected);
        assert_eq!(whole(two.send_request(get("/")).await.unwrap()).await.0, expected);
        one.ready().await.unwrap();
        let from = running.lines();
        if expected == 200 {
            server.reply(Reply::List(world.list(2, &[LISTED])));
            let line = running.logged(from, DOWNLOADED);
            assert!(line.contains("trust=\"own\"") && line.contains("entries=1"), "{line}");
            running.logged(from, RELOADED);
        }
    }
    assert_eq!(world.status("good").await, 200);
    let asked = server.asked();
    assert!(asked.iter().all(|(target, is_identified)| target == "/own.crl?key=hunter2" && *is_identified));
    assert!(!running.log().contains("hunter2"));
    assert_eq!(running.count(0, DOWNLOADED), 2, "an unchanged list is not reported again");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_fails_leaves_the_last_valid_list_in_use_and_delays_no_request() {
    let mut world = World::new();
    let current = Reply::List(world.list(5, &[LISTED]));
    let server = CrlServer::start(&world.demo.dir(), current.clone()).await;
    let running = world.start(&keys(&server, ""));
    running.logged(0, RELOADED);
    assert_eq!(world.statuses().await, [200, 403]);
    let first_age = world.metric(&running, "gateway_crl_age_seconds", ISSUER).await.unwrap();
    let moved = format!("302 Found\r\nLocation: https://localhost:{}/moved.crl", server.address.port());
    let mut errors = 0.0;
    for (case, reply, reason) in [
        ("slow", Reply::Slow, "timeout"),
        ("without an end", Reply::Endless, "too_large"),
        ("of an announced size", Reply::List(vec![0; 65 * 1024]), "too_large"),
        ("moved", Reply::Head(moved), "redirect"),
        ("unavailable", Reply::Head("500 Internal Server Error".to_owned()), "status"),
        ("garbage", Reply::List(b"<html>not a list</html>".to_vec()), "invalid"),
        ("older", Reply::List(world.list(4, &[])), "invalid"),
    ] {
        server.reply(reply);
        let from = running.lines();
        running.logged(from, &format!("reason=\"{reason}\""));
        let line = running.logged(from, NOT_DOWNLOADED);
        assert!(line.contains("trust=\"own\"") && line.contains("is_kept=true"), "{case}: {line}");
        let start = Instant::now();
        assert_eq!(soon(world.statuses()).await, [200, 403], "{case}");
        assert!(start.elapsed() < Duration::from_secs(10), "{case}: {:?}", start.elapsed());
        let counted = world.metric(&running, "gateway_crl_fetch_errors_total", &url(&server)).await.unwrap();
        assert!(counted > errors, "{case}: {counted}");
        errors = counted;
    }
    let age = world.metric(&running, "gateway_crl_age_seconds", ISSUER).await.unwrap();
    assert!(age > first_age, "{first_age} {age}");
    assert!(
        server.asked().iter().all(|(target, _)| target.starts_with("/own.crl")),
        "no redirect is followed"
    );

    let from = running.lines();
    server.reply(Reply::List(world.list(6, &[])));
    running.logged(from, RELOADED);
    assert_eq!(world.statuses().await, [200, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_is_ready_with_its_first_list() {
    let mut world = World::new();
    let server = CrlServer::start(&world.demo.dir(), Reply::Slow).await;
    let start = Instant::now();
    let running = world.start(&keys(&server, ""));
    let is_ready = world.is_ready(&running).await;
    // The wait is bounded; a slow machine can reach its end.
    assert!(is_ready == 503 || start.elapsed() > Duration::from_secs(10), "{is_ready}");
    assert_eq!(world.statuses().await, [403, 403], "the status is unknown");
    server.reply(Reply::List(world.list(1, &[LISTED])));
    running.logged(0, RELOADED);
    assert_eq!(world.is_ready(&running).await, 200);
    assert_eq!(world.statuses().await, [200, 403]);
}

#[tokio::test(flavor = "multi_thread")]
async fn list_on_disk_is_used_after_a_restart_unless_it_is_damaged() {
    let mut world = World::new();
    let server = CrlServer::start(&world.demo.dir(), Reply::List(world.list(5, &[LISTED]))).await;
    let keys = keys(&server, "crl_cache = \"lists\"");
    let running = world.start(&keys);
    running.logged(0, RELOADED);
    drop(running);
    server.reply(Reply::Head("500 Internal Server Error".to_owned()));
    let running = world.start(&keys);
    assert_eq!(world.is_ready(&running).await, 200);
    assert_eq!(world.statuses().await, [200, 403]);
    // A list that is older than that on disk is rejected.
    server.reply(Reply::List(world.list(4, &[])));
    running.logged(0, "reason=\"invalid\"");
    assert_eq!(world.statuses().await, [200, 403]);
    drop(running);

    let files: Vec<_> = fs::read_dir(world.file("lists")).unwrap().map(|file| file.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let forged = Authority::root("Own CA").crl(6, &[], (now() - DAY, now() + DAY));
    server.reply(Reply::Slow);
    for damaged in [b"damaged".to_vec(), forged] {
        fs::write(file, damaged).unwrap();
        let running = world.start(&keys);
        running.logged(0, "the list of https://localhost:");
        assert_eq!(world.statuses().await, [403, 403]);
    }
}
