//! Tests of kill -9 at random moments: each entry is either old or new, and no file contains a plain private key.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::scratch::Scratch;

const FOLDER: &str = "GATEWAY_TEST_CRASH_FOLDER";
const IDS: usize = 5;

fn id(index: usize) -> Id {
    format!("entry {index}").parse().unwrap()
}

/// Uploads of the writer, prepared once because creating .pfx files takes time.
fn uploads(folder: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let read = |name: String| fs::read(folder.join(name)).unwrap();
    (0..2).map(|version| (read(format!("{version}.pfx")), read(format!("{version}.der")))).collect()
}

/// Child process of the test below: changes the store until it is killed, and prints each completed change.
#[tokio::test]
async fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let uploads = uploads(folder);
    let OpenStore { handle, publisher, .. } = open_in(folder).await.unwrap();
    let mut snapshots = publisher.subscribe();
    tokio::spawn(async move { publisher.run().await });
    for turn in 0.. {
        let id = id(turn % IDS);
        // Most changes replace an entry, one in seven removes it.
        if turn % 7 == 6 {
            change(&handle, &mut snapshots, &id, None, &Precondition::Present).await;
            println!("deleted {id}");
            continue;
        }
        let exists = snapshots.borrow().settings.certificates.contains_key(&id);
        let condition = if exists { Precondition::Present } else { Precondition::Absent };
        let (pfx, _) = &uploads[turn / IDS % 2];
        let upload = Some(upload(pfx, "secret"));
        let revision = change(&handle, &mut snapshots, &id, upload, &condition).await;
        println!("put {revision} {id}");
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["store::tests::crash::writer", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_gateway_leaves_each_entry_either_old_or_new() {
    let kills = if std::env::var_os("TOWER_MTLS_LONG").is_some() { 1000 } else { 50 };
    let scratch = Scratch::new();
    let folder = scratch.path();
    fs::create_dir_all(folder).unwrap();
    let test_certificates = ["one", "two"].map(test_certificate);
    for (version, certificate) in test_certificates.iter().enumerate() {
        fs::write(folder.join(format!("{version}.pfx")), &certificate.pfx).unwrap();
        fs::write(folder.join(format!("{version}.der")), &certificate.certificate).unwrap();
    }
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut last_revision = 0;
    let mut writes = 0;
    for kill in 0..kills {
        let mut writer = spawn(folder);
        // The writer is killed a random number of microseconds after its first change.
        let mut output = BufReader::new(writer.stdout.take().unwrap());
        let mut first = String::new();
        while !first.starts_with("put ") && !first.starts_with("deleted ") {
            first.clear();
            assert_ne!(output.read_line(&mut first).unwrap(), 0, "the writer ended early");
        }
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Not a synchronization: varies the moment of the kill.
        std::thread::sleep(std::time::Duration::from_micros(seed % 30_000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();

        // All reported changes are stored; at most one further change was completed without a report.
        let mut reported = BTreeMap::new();
        for line in std::iter::once(first.trim_end()).chain(rest.lines()) {
            let (id, revision) = match line.split_once(' ') {
                Some(("put", rest)) => {
                    let (revision, id) = rest.split_once(' ').unwrap();
                    (id, Some(revision.parse::<Revision>().unwrap()))
                }
                Some(("deleted", id)) => (id, None),
                _ => continue,
            };
            writes += 1;
            reported.insert(id.to_owned(), revision);
        }
        let OpenStore { handle, publisher, .. } = open_in(folder).await.unwrap();
        let snapshot = publisher.subscribe().borrow().clone();
        let entries: Vec<_> = snapshot.settings.certificates.values().map(|entry| &*entry.value).collect();
        assert_eq!(snapshot.expiries().len(), entries.len(), "kill {kill}: all private keys can be opened");
        for entry in &entries {
            let der = entry.certificate.der();
            let is_known = test_certificates.iter().any(|certificate| certificate.certificate == der);
            assert!(is_known, "kill {kill}: {entry:?}");
        }
        let mut differences = 0;
        for (id, revision) in &reported {
            let found = entries.iter().find(|entry| *entry.id == **id).map(|entry| entry.revision);
            if found != *revision {
                differences += 1;
                assert!(
                    found.is_none_or(|found| found > revision.unwrap_or(0)),
                    "kill {kill}: {id} went back"
                );
            }
        }
        assert!(differences <= 1, "kill {kill}: reported changes are lost");
        let newest = entries.iter().map(|entry| entry.revision).max().unwrap_or(0);
        assert!(newest >= last_revision || reported.values().any(Option::is_none), "kill {kill}");
        last_revision = newest;
        drop((handle, publisher));
        if kill % 10 == 0 || kill + 1 == kills {
            assert_no_plain_keys(folder, &test_certificates);
        }
    }
    println!("{kills} kills within {writes} writes");
}

/// Asserts that no file of the store contains a plain private key or is readable by other users.
fn assert_no_plain_keys(folder: &Path, certificates: &[TestCertificate]) {
    let mut files: Vec<_> =
        fs::read_dir(folder.join("store")).unwrap().map(|file| file.unwrap().path()).collect();
    files
        .extend(fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|file| file.is_file()));
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let is_input = name.ends_with(".pfx") || name.ends_with(".der");
        if is_input {
            continue;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{name}");
        }
        let contents = fs::read(&file).unwrap();
        let lower = contents.to_ascii_lowercase();
        for certificate in certificates {
            // The private key, which follows the PKCS#8 header.
            let secret = &certificate.key[36..68];
            let hex = hex::encode(secret);
            let has = |within: &[u8], part: &[u8]| within.windows(part.len()).any(|window| window == part);
            assert!(!has(&contents, secret) && !has(&lower, hex.as_bytes()), "{name}");
            // At each alignment within a longer base64 text.
            for skip in 0..3 {
                let text = STANDARD.encode(&secret[skip..skip + 27]);
                assert!(!has(&contents, text.as_bytes()), "{name}");
            }
        }
    }
}
