//! Lists in files.

use super::*;
use crate::support::replace;

const FILE: &str = "crl = [\"own.crl\"]\nrevocation = \"strict\"";

#[tokio::test]
async fn certificate_listed_in_a_replaced_file_gets_403_on_open_connections() {
    let mut world = World::new();
    fs::write(world.file("own.crl"), world.list(1, &[])).unwrap();
    let running = world.start(FILE);
    let mut one = world.demo.http1(Some("listed")).await;
    let mut two = world.demo.http2(Some("listed")).await;
    let mut good = world.demo.http2(Some("good")).await;
    let changes: [(u16, u64, &[u64]); 3] = [(200, 2, &[LISTED]), (403, 3, &[]), (200, 4, &[LISTED])];
    for (expected, number, serials) in changes {
        assert_eq!(whole(one.send_request(get("/")).await.unwrap()).await.0, expected);
        assert_eq!(whole(two.send_request(get("/")).await.unwrap()).await.0, expected);
        assert_eq!(whole(good.send_request(get("/")).await.unwrap()).await.0, 200);
        one.ready().await.unwrap();
        let from = running.lines();
        replace(&world.file("own.crl"), world.list(number, serials));
        running.logged(from, RELOADED);
    }
    assert_eq!(world.metric(&running, "gateway_crl_unverified", "").await, Some(0.0));
    assert_eq!(world.metric(&running, "gateway_crl_entries", ISSUER).await, Some(1.0));
    let age = world.metric(&running, "gateway_crl_age_seconds", ISSUER).await.unwrap();
    let left = world.metric(&running, "gateway_crl_next_update_seconds", ISSUER).await.unwrap();
    assert!((age - DAY as f64).abs() < 60.0 && (left - DAY as f64).abs() < 60.0, "{age} {left}");
}

#[tokio::test]
async fn invalid_or_older_file_leaves_the_last_valid_list_in_use() {
    let mut world = World::new();
    let current = world.list(5, &[LISTED]);
    fs::write(world.file("own.crl"), &current).unwrap();
    let running = world.start(FILE);
    assert_eq!(world.statuses().await, [200, 403]);
    let other = Authority::root("Other CA");
    // Another key under the same name.
    let forged = Authority::root("Own CA").crl(6, &[], (now() - DAY, now() + DAY));
    for (case, contents, words) in [
        ("not a list", b"<html>".to_vec(), "write a complete CRL"),
        ("empty", Vec::new(), "write a complete CRL"),
        ("truncated", current[..current.len() - 40].to_vec(), "write a complete CRL"),
        ("an older list", world.list(4, &[]), "write the current CRL"),
        ("the list of another CA", other.crl(6, &[], (now() - DAY, now() + DAY)), "write the current CRL"),
        ("a forged list", forged, "CN=Own CA,O=Contoso"),
    ] {
        let from = running.lines();
        replace(&world.file("own.crl"), contents);
        let error = running.logged(from, NOT_RELOADED);
        let position = "revocation.toml:10: trust.own.crl: \"own.crl\": ";
        assert!(error.contains(position) && error.contains(words), "{case}: {error}");
        assert_eq!(world.statuses().await, [200, 403], "{case}");
        let from = running.lines();
        replace(&world.file("own.crl"), &current);
        running.logged(from, RELOADED);
    }
}

#[tokio::test]
async fn overdue_list_rejects_listed_certificates_only_unless_strict() {
    for (mode, expected) in [("soft", [200, 403]), ("strict", [403, 403]), ("off", [200, 200])] {
        let mut world = World::new();
        let overdue = world.authority.crl(1, &[LISTED], (now() - 2 * DAY, now() - DAY));
        fs::write(world.file("own.crl"), overdue).unwrap();
        let running = world.start(&format!("crl = [\"own.crl\"]\nrevocation = \"{mode}\""));
        assert_eq!(world.statuses().await, expected, "{mode}");
        let left = world.metric(&running, "gateway_crl_next_update_seconds", ISSUER).await;
        assert_eq!(left.is_some_and(|left| left < 0.0), mode != "off", "{mode}: {left:?}");
    }
}
