//! Concurrent administrators, compared with a model of their responses.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::world::{World, ask_on, upload};
use crate::support::{get, whole};

const ADMINISTRATORS: usize = 32;
const IDS: usize = 12;

/// A successful change: the ETag before and after it; None: no entry.
type Change = (String, Option<String>, Option<String>);

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_updates_are_not_lost_and_entries_in_use_are_not_deleted() {
    let operations = if std::env::var_os("TOWER_MTLS_LONG").is_some() { 10_000 } else { 1_500 };
    let world = Arc::new(World::start(
        "[[routes]]\npath = \"/used\"\nupstream = \"UPSTREAM\"\nidentity = { id = \"used\" }\n",
    ));
    let identities = ["orders", "billing"].map(|name| world.pfx(name));
    assert_eq!(world.put("used", &identities[0].0, &identities[0].1, &[]).await.status, 201);
    let callers: Vec<_> = ["client.pem", "stranger.pem", "impostor.pem", "ca.pem"]
        .map(|name| upload(&world.file(name), ""))
        .into();
    let replacements = identities.map(|(pfx, password)| upload(&pfx, &password));
    let uploads = Arc::new((callers, replacements));
    let changes: Arc<Mutex<Vec<Change>>> = Arc::default();
    // The entry of each ETag, as seen by any administrator.
    let contents: Arc<Mutex<HashMap<(String, String), String>>> = Arc::default();
    let mut administrators = JoinSet::new();
    for number in 0..ADMINISTRATORS {
        let (world, uploads) = (world.clone(), uploads.clone());
        let (changes, contents) = (changes.clone(), contents.clone());
        administrators.spawn(async move {
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1) << 20);
            let mut open = world.connect().await;
            let saw = |id: &str, tag: &str, thumbprint: &str| {
                let mut contents = contents.lock().unwrap();
                let known =
                    contents.entry((id.to_owned(), tag.to_owned())).or_insert_with(|| thumbprint.to_owned());
                assert_eq!(known, thumbprint, "{id} {tag}");
            };
            for turn in 0..operations / ADMINISTRATORS {
                // Sometimes the entry in use.
                if turn % 16 == 5 {
                    let delete =
                        world.request(Method::DELETE, "/certificates/used", &[("if-match", "*")], "");
                    assert_eq!(ask_on(&mut open, delete).await.status, 400);
                    let body = &uploads.1[random.below(2)];
                    let put = world.request(Method::PUT, "/certificates/used", &[("if-match", "*")], body);
                    assert_eq!(ask_on(&mut open, put).await.status, 200);
                    continue;
                }
                let id = format!("entry-{}", random.below(IDS));
                let path = format!("/certificates/{id}");
                let got = ask_on(&mut open, world.request(Method::GET, &path, &[], "")).await;
                let tag = match got.status {
                    200 => Some(got.etag().to_owned()),
                    404 => None,
                    other => panic!("{other}: {got:?}"),
                };
                if let Some(tag) = &tag {
                    saw(&id, tag, got.body["properties"]["thumbprint"].as_str().unwrap());
                }
                let sent = tag.clone().unwrap_or_default();
                let (method, body) = match (&tag, random.below(4)) {
                    (Some(_), 0) => (Method::DELETE, ""),
                    _ => (Method::PUT, &*uploads.0[random.below(uploads.0.len())]),
                };
                let request = world.request(method.clone(), &path, &[("if-match", &sent)], body);
                let answer = ask_on(&mut open, request).await;
                let after = match (answer.status, &tag) {
                    (201, None) | (200, Some(_)) if method == Method::PUT => Some(answer.etag().to_owned()),
                    (200, Some(_)) => None,
                    // A concurrent change came first.
                    (412, _) | (204, Some(_)) => continue,
                    (other, _) => panic!("{method} {other}: {answer:?}"),
                };
                if let Some(after) = &after {
                    saw(&id, after, answer.body["properties"]["thumbprint"].as_str().unwrap());
                }
                changes.lock().unwrap().push((id, tag, after));
            }
        });
    }
    while let Some(done) = administrators.join_next().await {
        done.unwrap();
    }

    // The model: each state of an entry has at most one successor, and the last one is the stored one.
    let mut by_id: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for change in std::mem::take(&mut *changes.lock().unwrap()) {
        by_id.entry(change.0.clone()).or_default().push(change);
    }
    let mut made = 0;
    for (id, changes) in &by_id {
        made += changes.len();
        let mut left: Vec<_> = changes.iter().filter_map(|(_, before, _)| before.as_deref()).collect();
        let count = left.len();
        left.sort_unstable();
        left.dedup();
        assert_eq!(left.len(), count, "{id}: two changes followed on the same state, so that one is lost");
        let mut last: Vec<_> = changes.iter().filter_map(|(_, _, after)| after.as_deref()).collect();
        last.retain(|tag| left.binary_search(tag).is_err());
        let got = world.ask(Method::GET, &format!("/certificates/{id}"), &[], "").await;
        match got.status {
            200 => assert_eq!(last, [got.etag()], "{id}"),
            _ => assert!(last.is_empty(), "{id}: {last:?} is gone"),
        }
    }
    assert!(made > operations / 4, "{made} changes were made");
    println!("{ADMINISTRATORS} administrators, {operations} operations, {made} changes");
    assert_eq!(world.ask(Method::GET, "/certificates/used", &[], "").await.status, 200);
}

/// The entries of the second test: identities, upstreams that use them, and APIs whose policies name both.
const NAMES: usize = 5;

/// The change of one administrator in this `turn`: method, path and properties.
fn next_change(random: &mut Random, world: &World) -> (Method, String, Option<Value>) {
    let name = |kind: &str, random: &mut Random| format!("{kind}-{}", random.below(NAMES));
    let is_deletion = random.below(4) == 0;
    let (path, properties) = match random.below(6) {
        0 | 1 => (format!("/certificates/{}", name("identity", random)), Value::Null),
        2 => {
            let credentials = json!({ "certificateIds": [name("identity", random)] });
            let properties = json!({ "url": world.upstream, "protocol": "http", "credentials": credentials });
            (format!("/backends/{}", name("upstream", random)), properties)
        }
        3 => {
            let api = name("api", random);
            let path = if random.below(3) == 0 { name("api", random) } else { api.clone() };
            (format!("/apis/{api}"), json!({ "path": path, "serviceUrl": world.upstream }))
        }
        _ => {
            let chosen = match random.below(2) {
                0 => format!("<authentication-certificate certificate-id='{}' />", name("identity", random)),
                _ => format!("<set-backend-service backend-id='{}' />", name("upstream", random)),
            };
            let value = format!("<policies><inbound>{chosen}</inbound></policies>");
            (format!("/apis/{}/policies/policy", name("api", random)), json!({ "value": value }))
        }
    };
    if is_deletion { (Method::DELETE, path, None) } else { (Method::PUT, path, Some(properties)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_never_refer_to_missing_entries() {
    let operations = if std::env::var_os("TOWER_MTLS_LONG").is_some() { 10_000 } else { 1_500 };
    let world = Arc::new(World::start(""));
    let uploads = Arc::new(["orders", "billing"].map(|name| {
        let (pfx, password) = world.pfx(name);
        upload(&pfx, &password)
    }));
    // ETags with a successor: each of them once.
    let followed: Arc<Mutex<HashMap<(String, String), usize>>> = Arc::default();
    let mut administrators = JoinSet::new();
    for number in 0..ADMINISTRATORS {
        let (world, uploads, followed) = (world.clone(), uploads.clone(), followed.clone());
        administrators.spawn(async move {
            let mut random = Random(0xd1b5_4a32_d192_ed03 ^ (number as u64 + 1) << 20);
            let (mut open, mut caller) = (world.connect().await, world.demo.http1(None).await);
            let mut counts = [0; 6];
            for _ in 0..operations / ADMINISTRATORS {
                let (method, path, properties) = next_change(&mut random, &world);
                let got = ask_on(&mut open, world.request(Method::GET, &path, &[], "")).await;
                let tag = if got.status == 200 { got.etag().to_owned() } else { String::new() };
                if method == Method::DELETE && tag.is_empty() {
                    continue;
                }
                let body = match properties {
                    Some(Value::Null) => uploads[random.below(2)].clone(),
                    Some(properties) => json!({ "properties": properties }).to_string(),
                    None => String::new(),
                };
                let headers: &[(&str, &str)] = if tag.is_empty() { &[] } else { &[("if-match", &tag)] };
                let answer = ask_on(&mut open, world.request(method.clone(), &path, headers, &body)).await;
                counts[usize::from(answer.status / 100)] += 1;
                match (answer.status, method.as_str()) {
                    // Created, or deleted, from the state that was seen. A missing entry has no tag; DELETE of an API
                    // responds the same either way.
                    (200, _) => *followed.lock().unwrap().entry((path, tag)).or_default() += 1,
                    (201, "PUT") | (204, "DELETE") => {}
                    // It names a missing entry, is in use, or overlaps, or a concurrent change came first.
                    (400 | 404 | 409 | 412, _) => {}
                    other => panic!("{other:?} {path}: {answer:?}"),
                }
                // In any state, requests find the entries that it names.
                let path = format!("/api-{}", random.below(NAMES));
                caller.ready().await.unwrap();
                let Ok(response) = caller.send_request(get(&path)).await else {
                    // Cut: its API was deleted meanwhile.
                    world.running.logged(0, "reason=\"no_route\"");
                    caller = world.demo.http1(None).await;
                    continue;
                };
                let (status, _, text) = whole(response).await;
                assert!([200, 404, 502].contains(&status), "{path}: {status} {text}");
                assert!(!text.contains("unknown_identity"), "{path}: {text}");
            }
            counts
        });
    }
    let mut counts = [0; 6];
    while let Some(done) = administrators.join_next().await {
        for (sum, more) in counts.iter_mut().zip(done.unwrap()) {
            *sum += more;
        }
    }
    let followed = std::mem::take(&mut *followed.lock().unwrap());
    let lost: Vec<_> = followed.iter().filter(|(_, times)| **times > 1).collect();
    assert!(lost.is_empty(), "two changes followed on the same state, so that one is lost: {lost:?}");
    assert!(counts[2] > operations / 8 && counts[4] > operations / 20, "{counts:?}");
    println!(
        "{ADMINISTRATORS} administrators, {operations} operations, {} made, {} refused",
        counts[2], counts[4]
    );

    // Every entry named by a policy or an upstream exists, with its key.
    let list = |path: &'static str| world.ask(Method::GET, path, &[], "");
    let names = |body: &Value| -> Vec<String> {
        body["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let (certificates, upstreams) = (list("/certificates").await, list("/backends").await);
    let known: Vec<_> = names(&certificates.body)
        .into_iter()
        .map(|name| format!("certificate-id='{name}'"))
        .chain(names(&upstreams.body).into_iter().map(|name| format!("backend-id='{name}'")))
        .collect();
    for upstream in upstreams.body["value"].as_array().unwrap() {
        let id = upstream["properties"]["credentials"]["certificateIds"][0].as_str().unwrap();
        assert!(known.contains(&format!("certificate-id='{id}'")), "{upstream}");
    }
    let mut policies = 0;
    for api in names(&list("/apis").await.body).iter().filter(|name| name.starts_with("api-")) {
        let policy = world.ask(Method::GET, &format!("/apis/{api}/policies/policy"), &[], "").await;
        if policy.status == 200 {
            policies += 1;
            let value = policy.body["properties"]["value"].as_str().unwrap();
            assert!(known.iter().any(|known| value.contains(known.as_str())), "{value}: {known:?}");
        }
    }
    println!("{policies} policies and {} upstreams in the end", upstreams.body["count"]);
}
