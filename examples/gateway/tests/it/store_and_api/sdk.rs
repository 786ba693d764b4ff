//! Azure's SDKs as published.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use super::world::World;

const PYTHON: &str = "azure-mgmt-apimanagement==5.0.0";
const JAVASCRIPT: &str = "@azure/arm-apimanagement@10.0.0";

/// A Python with the SDK in its own folder, or the reason why it is unavailable.
fn python(folder: &Path) -> Result<PathBuf, String> {
    let venv = folder.join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYTHON];
    run(Command::new(venv.join("bin/python")).args(pip))?;
    Ok(venv.join("bin/python"))
}

/// A folder in which Node.js finds the SDK, or the reason why it is unavailable.
fn node(folder: &Path) -> Result<PathBuf, String> {
    let folder = folder.join("node");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let npm = ["install", "--silent", "--no-audit", "--no-fund", "--no-save", JAVASCRIPT];
    run(Command::new("npm").current_dir(&folder).args(npm))?;
    Ok(folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let said = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{said}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{said}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The prepared SDK; None if it is unavailable and not required.
fn or_skip<T>(made: Result<T, String>, sdk: &str) -> Option<T> {
    match made {
        Ok(made) => Some(made),
        Err(reason) if std::env::var_os("TOWER_MTLS_SDK").is_none() => {
            // Not by a macro, whose output a passing test captures.
            let what = format!("SKIPPED: Azure's SDK for {sdk} (TOWER_MTLS_SDK=1 makes this an error)");
            let _ = writeln!(std::io::stderr(), "{what}: {reason}");
            None
        }
        Err(reason) => panic!("{reason}"),
    }
}

/// Runs a script that prints a final success message.
fn expect(world: &World, command: &mut Command) {
    let url = format!("https://localhost:{}", world.running.management_port());
    let output = command.arg(url).arg(world.demo.dir()).arg(&world.upstream).output().unwrap();
    let (printed, reported) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && printed.contains("the SDK is content"),
        "{printed}\n{reported}\n{}",
        world.running.log()
    );
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(name)
}

#[tokio::test]
async fn azures_sdk_for_python_manages_certificates() {
    let world = World::start(
        "[[routes]]\npath = \"/used\"\nupstream = \"UPSTREAM\"\nidentity = { id = \"chosen\" }\n",
    );
    let Some(python) = or_skip(python(&world.demo.dir()), "Python") else { return };
    expect(&world, Command::new(python).arg(script("certificates.py")));
}

#[tokio::test]
async fn azures_sdk_for_python_manages_apis() {
    let world = World::start("");
    let Some(python) = or_skip(python(&world.demo.dir()), "Python") else { return };
    expect(&world, Command::new(python).arg(script("apis.py")));
}

#[tokio::test]
async fn azures_sdk_for_javascript_manages_everything() {
    let world = World::start("");
    let Some(folder) = or_skip(node(&world.demo.dir()), "JavaScript") else { return };
    // Packages are resolved from the script's folder.
    let copy = folder.join("management.mjs");
    fs::copy(script("management.mjs"), &copy).unwrap();
    let ca = world.demo.dir().join("ca.pem");
    expect(&world, Command::new("node").env("NODE_EXTRA_CA_CERTS", ca).arg(copy));
}
