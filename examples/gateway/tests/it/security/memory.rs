//! Secrets in the memory of the process, and access to it.
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, chown},
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    store_and_api::world::World,
    support::{
        Folder, gateway,
        pki::{Authority, Leaf},
        process_memory,
    },
};

/// User and group of processes that tests with all privileges start.
const OTHER_USER: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A command of an unprivileged user.
fn unprivileged(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = OTHER_USER.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", program]);
    command
}

/// The demo of an unprivileged user, killed on drop.
struct Unprivileged {
    process: Child,
    _folder: Folder,
}

impl Unprivileged {
    fn start(options: &[&str]) -> Self {
        let folder = Folder::new();
        let dir = folder.path().join("demo");
        fs::create_dir_all(&dir).unwrap();
        if is_root() {
            for dir in [folder.path(), &dir] {
                chown(dir, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
            }
        }
        let mut process = unprivileged(env!("CARGO_BIN_EXE_gateway"))
            .args(options)
            .args(["demo", "--port", "0", "--management-port", "0", "--dir"])
            .arg(&dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let line = BufReader::new(process.stdout.take().unwrap()).lines().next();
        line.expect("the demo ended before its tour did").unwrap();
        Self { process, _folder: folder }
    }

    /// True if a process of the same user can read the process's environment, which needs the right to debug it.
    fn is_readable(&self) -> bool {
        let file = format!("/proc/{}/environ", self.process.id());
        unprivileged("cat").arg(file).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// The user who owns the process's files in `/proc`.
    fn owner(&self) -> u32 {
        fs::metadata(format!("/proc/{}/environ", self.process.id())).unwrap().uid()
    }

    fn limit(&self) -> String {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.process.id())).unwrap();
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned()
    }
}

impl Drop for Unprivileged {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn debuggers_and_core_dumps_are_rejected_unless_allowed() {
    let user = if is_root() { OTHER_USER } else { rustix::process::getuid().as_raw() };
    let protected = Unprivileged::start(&[]);
    assert!(!protected.is_readable(), "a process of the same user must not read it");
    assert_eq!(protected.owner(), 0, "its files in /proc belong to root");
    let limit = protected.limit();
    assert_eq!(limit.split_whitespace().filter(|word| *word == "0").count(), 2, "{limit}");

    let open = Unprivileged::start(&["--allow-core-dumps"]);
    assert!(open.is_readable());
    assert_eq!(open.owner(), user);
}

#[test]
fn allowed_core_dumps_are_logged() {
    let allowing = || {
        let mut command = gateway();
        command.arg("--allow-core-dumps");
        command
    };
    let world = World::start_by(allowing(), TOKEN, "", "info");
    let line = world.running.logged(0, "--allow-core-dumps");
    assert!(line.contains("WARN") && line.contains("can read private keys"), "{line}");
    assert_eq!(World::start("").running.count(0, "--allow-core-dumps"), 0);
}

const TOKEN: &str = "token_file = \"management.token\"";

/// A gateway whose memory can be read.
fn readable(routes: &str) -> World {
    let mut command = gateway();
    command.arg("--allow-core-dumps");
    World::start_by(command, TOKEN, routes, "info")
}

/// The text in the encoding that .pfx files derive keys from.
fn bmp_string(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[tokio::test]
async fn uploaded_passwords_and_bodies_are_erased() {
    let world = readable("");
    let pid = world.running.pid();
    let (password, wrong) = ("Marker of a password 7Q", "Marker of a wrong one 7Q");
    let pfx = Authority::root("Partners").issue(&Leaf::client("uploaded")).pfx(password);
    let base64 = STANDARD.encode(&pfx);
    let part = &base64.as_bytes()[base64.len() / 2..][..32];
    let (wide, wide_wrong) = (bmp_string(password), bmp_string(wrong));
    let texts = [password.as_bytes(), &wide, wrong.as_bytes(), &wide_wrong, part];
    assert_eq!(world.put("one", &pfx, password, &[]).await.status, 201);
    assert_eq!(world.put("two", &pfx, wrong, &[]).await.status, 400);
    // The connections' buffers of TLS and HTTP, until their memory is used again: by uploads that are as large.
    let other = Authority::root("Partners").issue(&Leaf::client("uploaded later")).pfx("Another");
    let mut found = process_memory::count(pid, texts);
    for number in 0..50 {
        if found == [0; 5] {
            return;
        }
        let ids = ["a", "b", "c", "d"].map(|letter| format!("later-{number}-{letter}"));
        let put = |id: usize| world.put(&ids[id], &other, "Another", &[]);
        let (a, b, c, d) = tokio::join!(put(0), put(1), put(2), put(3));
        assert_eq!([a, b, c, d].map(|answer| answer.status), [201; 4]);
        found = process_memory::count(pid, texts);
    }
    panic!("copies of password, wrong password and body: {found:?}");
}

#[tokio::test]
async fn secrets_of_files_are_erased_once_they_are_loaded() {
    let identity = "[identities.orders]\npfx = \"orders.pfx\"\npassword_file = \"orders.password\"\n";
    let world = readable(identity);
    let pid = world.running.pid();
    let (_, password) = world.pfx("orders");
    let wide = bmp_string(&password);
    let sealing = String::from_utf8(world.file("kept.key")).unwrap();
    let server_key = String::from_utf8(world.file("server.key")).unwrap();
    let line = server_key.lines().nth(1).unwrap();
    let texts =
        [password.as_bytes(), &wide, world.token.as_bytes(), sealing.trim().as_bytes(), line.as_bytes()];
    assert_eq!(process_memory::count(pid, texts), [0; 5], "at start");
    world.running.hang_up();
    world.running.logged(0, "INFO gateway::server::follow: reloaded");
    assert_eq!(process_memory::count(pid, texts), [0; 5], "after a reload");
    // The search finds what is there.
    assert_ne!(process_memory::count(pid, [b"store.toml".as_slice()]), [0]);
}
