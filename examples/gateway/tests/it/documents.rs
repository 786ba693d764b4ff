//! README.md and the pages of docs/: commands and their output, configurations, links.
//!
//! - `console` blocks run in one shell per page. In the expected output `...` matches any text, and alone on a line
//!   any number of lines.
//! - `toml` blocks pass `gateway check`: files with `[listener]` as they are, fragments appended to [`BASE`].

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{Demo, Folder, check};

/// The configuration that fragments extend; its sections yield to those of the fragment.
const BASE: &str = "\
[listener]
address = \"127.0.0.1:8443\"
certificate = \"server.pem\"
private_key = \"server.key\"
[trust.partners]
ca = [\"partners-ca.pem\"]
revocation = \"off\"
[identities.orders]
pfx = \"orders.pfx\"
password_file = \"orders.password\"
[upstream_tls]
ca = [\"upstream-ca.pem\"]
[[routes]]
path = \"/orders\"
upstream = \"https://localhost:9444/orders\"
identity = \"orders\"
";

/// Names in documents -> files of the demo.
const ALIASES: [(&str, &str); 7] = [
    ("billing.key", "client.key"),
    ("billing.pem", "client.pem"),
    ("employees-ca.pem", "partners-ca.pem"),
    ("orders-ca.pem", "backend-ca.pem"),
    ("shop.password", "orders.password"),
    ("shop.pfx", "orders.pfx"),
    ("upstream-ca.pem", "backend-ca.pem"),
];

/// A document that judges certificates and proves none.
const EXPIRY: &str = r#"<choose><when condition="@(context.Request.Certificate == null || context.Request.Certificate.NotAfter < DateTime.Now)">
<return-response><set-status code="403" reason="Invalid client certificate" /></return-response></when></choose>"#;

/// A fenced block of a page.
struct Block {
    info: String,
    line: usize,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A page by its path from the repository's root.
fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// README.md and all of docs/.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(root().join("docs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = names.map(|name| format!("docs/{name}")).collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

fn blocks(page: &str, info: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in read(page).lines().enumerate() {
        match (open.as_mut(), line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block { info: info.to_owned(), line: index + 1, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block does not end");
    blocks.retain(|block| block.info == info);
    blocks
}

/// The block as a whole configuration.
fn configuration(block: &str) -> String {
    if block.contains("[listener]") {
        return block.to_owned();
    }
    let headers: Vec<&str> = block.lines().filter(|line| line.starts_with('[')).collect();
    let mut is_kept = true;
    let mut whole = String::new();
    for line in BASE.lines() {
        if line.starts_with('[') {
            is_kept = !headers.iter().any(|header| header.split_whitespace().next() == Some(line));
        }
        if is_kept {
            whole.extend([line, "\n"]);
        }
    }
    whole + block
}

/// A folder with the demo's files, also under the names of the documents.
fn demo_files(demo: &Demo) -> Folder {
    let folder = Folder::new();
    for entry in fs::read_dir(demo.dir()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    for (alias, file) in ALIASES {
        fs::copy(demo.dir().join(file), folder.path().join(alias)).unwrap();
    }
    let documents = blocks("docs/azure-api-management.md", "xml");
    fs::write(folder.path().join("orders.policy.xml"), &documents[0].text).unwrap();
    fs::write(folder.path().join("expiry.policy.xml"), EXPIRY).unwrap();
    folder
}

/// Runs all commands of a page in this folder, and compares what they print.
#[track_caller]
fn commands_print_their_output(page: &str, folder: &Path, demo: Option<&Demo>) {
    let mut script = String::new();
    let mut expectations = Vec::new();
    for block in blocks(page, "console") {
        let mut line = block.line + 1;
        let Some(text) = block.text.strip_prefix("$ ") else {
            panic!("{page}:{line}: the block does not begin with a command");
        };
        for part in text.split("\n$ ") {
            let (command, output) = part.split_once('\n').unwrap_or((part, ""));
            write!(script, "{}\necho; echo '== end of {line}'\n", with_ports(command, demo)).unwrap();
            expectations.push((line, command.to_owned(), with_ports(output, demo)));
            line += 1 + output.lines().count();
        }
    }
    assert!(!expectations.is_empty(), "{page}: no commands");

    let binary = Path::new(env!("CARGO_BIN_EXE_gateway")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("PATH", path)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut rest = printed.as_str();
    for (line, command, expected) in expectations {
        let end = format!("\n== end of {line}\n");
        let (actual, after) =
            rest.split_once(&end).unwrap_or_else(|| panic!("{page}:{line}: {command}: no end\n{errors}"));
        rest = after;
        let actual: Vec<String> = actual.trim_end().lines().map(squeezed).collect();
        let expected: Vec<String> = expected.trim_end().lines().map(squeezed).collect();
        assert!(
            lines_match(&expected, &actual),
            "{page}:{line}: {command}\nexpected:\n{}\nprinted:\n{}\n{errors}",
            expected.join("\n"),
            actual.join("\n")
        );
    }
}

/// The text with the ports of this demo in place of the default ones.
fn with_ports(text: &str, demo: Option<&Demo>) -> String {
    let Some(demo) = demo else { return text.to_owned() };
    let management = format!("localhost:{}", demo.management_port);
    let url = format!("gateway certificates --url https://{management}");
    text.replace("localhost:8443", &format!("localhost:{}", demo.port))
        .replace("localhost:9443", &management)
        .replace("gateway certificates", &url)
}

/// The line with single spaces.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines_match(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=actual.len()).any(|skipped| lines_match(rest, &actual[skipped..]))
        }
        Some((first, rest)) => actual
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

fn line_matches(expected: &str, actual: &str) -> bool {
    let Some((first, mut pieces)) = expected.split_once("...") else { return expected == actual };
    let Some(mut rest) = actual.strip_prefix(first) else { return false };
    while let Some((piece, others)) = pieces.split_once("...") {
        let Some(position) = rest.find(piece) else { return false };
        rest = &rest[position + piece.len()..];
        pieces = others;
    }
    rest.ends_with(pieces)
}

/// A folder in which `gateway-demo` is the folder of this demo.
fn beside(demo: &Demo) -> Folder {
    let folder = Folder::new();
    std::os::unix::fs::symlink(demo.dir(), folder.path().join("gateway-demo")).unwrap();
    folder
}

/// Runs the commands of a page beside a running demo.
#[track_caller]
fn demo_commands_print_their_output(page: &str) {
    let demo = Demo::start();
    commands_print_their_output(page, beside(&demo).path(), Some(&demo));
}

#[test]
fn commands_of_readme_print_their_output() {
    demo_commands_print_their_output("README.md");
}

#[test]
fn commands_of_gateway_page_print_their_output() {
    demo_commands_print_their_output("docs/gateway.md");
}

#[test]
fn commands_of_operations_page_print_their_output() {
    demo_commands_print_their_output("docs/operations.md");
}

#[test]
fn commands_of_store_page_print_their_output() {
    demo_commands_print_their_output("docs/store-and-api.md");
}

#[test]
fn commands_of_configuration_page_print_their_output() {
    let folder = Folder::new();
    let first = &blocks("docs/configuration.md", "toml")[0];
    fs::write(folder.path().join("gateway.toml"), &first.text).unwrap();
    commands_print_their_output("docs/configuration.md", folder.path(), None);
}

#[test]
fn commands_of_azure_page_print_their_output() {
    let demo = Demo::start();
    let folder = demo_files(&demo);
    let first = &blocks("docs/azure-api-management.md", "toml")[0];
    fs::write(folder.path().join("gateway.toml"), configuration(&first.text)).unwrap();
    commands_print_their_output("docs/azure-api-management.md", folder.path(), None);
}

#[test]
fn configurations_of_all_pages_pass_check() {
    let demo = Demo::start();
    let folder = demo_files(&demo);
    let mut checked = 0;
    for page in pages() {
        for block in blocks(&page, "toml") {
            let place = format!("{page}:{}", block.line);
            let file = folder.path().join("block.toml");
            fs::write(&file, configuration(&block.text)).unwrap();
            let (code, printed) = check(&file);
            assert_eq!(code, Some(0), "{place}\n{printed}");
            if block.text.contains("[listener]") {
                assert!(!printed.contains("warning"), "{place}\n{printed}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 6, "{checked} configurations");
}

#[test]
fn readme_links_every_page_of_docs() {
    let readme = read("README.md");
    for page in pages().iter().filter(|page| page.starts_with("docs/")) {
        assert!(readme.contains(&format!("]({page})")), "{page}");
    }
    assert!(readme.lines().count() <= 220, "{} lines", readme.lines().count());
}

#[test]
fn links_between_documents_resolve() {
    let mut all = pages();
    all.extend(["CHANGELOG.md", "CONTRIBUTING.md", "DESIGN.md", "SECURITY.md"].map(str::to_owned));
    let mut resolved = 0;
    for page in &all {
        let text = read(page);
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => root().join(page),
                file => root().join(page).parent().unwrap().join(file),
            };
            let linked = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{page}: {target}"));
            let mut headings = linked.lines().filter(|line| line.starts_with('#')).map(slug);
            assert!(anchor.is_empty() || headings.any(|heading| heading == anchor), "{page}: {target}");
            resolved += 1;
        }
    }
    assert!(resolved > 40, "{resolved} links");
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().replace(' ', "-")
}
