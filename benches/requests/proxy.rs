//! The proxies as processes under callgrind.

use std::{
    env, fmt, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    thread,
};

use tokio::runtime::{self, Runtime};
use tower_mtls::Certificate;

use super::{Protocol, REQUESTS, peers, profile::Profile, tls};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    Gateway,
    BareProxy,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::BareProxy => "bare proxy",
        })
    }
}

/// The certificates, the upstream and the gateway's configuration.
pub(crate) struct Scene {
    /// For the upstream and the caller.
    runtime: Runtime,
    /// With all files of the scene and of callgrind.
    folder: PathBuf,
    upstream: SocketAddr,
    gateway: PathBuf,
}

impl Scene {
    /// Builds the gateway, unless one is given, and starts the upstream.
    pub(crate) fn new(gateway: Option<&Path>) -> Self {
        let folder = folder("callgrind");
        let gateway = gateway.map(|file| file.canonicalize().unwrap()).unwrap_or_else(|| {
            build_gateway();
            folder.with_file_name("release").join("gateway")
        });
        tls::write(&folder);
        let runtime = runtime();
        let upstream = runtime.block_on(peers::upstream(&folder, Protocol::Http1));
        fs::write(folder.join("gateway.toml"), configuration(&folder, upstream, 1)).unwrap();
        Self { runtime, folder, upstream, gateway }
    }

    /// Counts per request.
    pub(crate) fn profile(&self, program: Program, protocol: Protocol) -> Profile {
        let output = self.folder.join(format!("{program}-{}.out", protocol.name()).replace(' ', "-"));
        let mut command = callgrind(&output);
        match program {
            Program::Gateway => command.arg(&self.gateway).args(["run", "--config", "gateway.toml"]),
            Program::BareProxy => {
                command.arg(env::current_exe().unwrap()).args(["bare-proxy", ".", &self.upstream.to_string()])
            }
        };
        command.current_dir(&self.folder).env_remove("RUST_LOG");
        let mut process = command.stderr(Stdio::piped()).spawn().expect("valgrind is installed");
        let address = address(process.stderr.take().unwrap());
        let warm = || control(&process, "zero");
        self.runtime.block_on(peers::call(&self.folder, address, protocol, warm));
        control(&process, "dump");
        process.kill().unwrap();
        process.wait().unwrap();
        // The first dump of the process.
        let output = output.with_extension("out.1");
        Profile::parse(&fs::read_to_string(output).unwrap()).per_request(REQUESTS)
    }
}

/// Creates a folder in the target folder.
pub(crate) fn folder(name: &str) -> PathBuf {
    let executable = env::current_exe().unwrap();
    // TARGET/release/deps/EXECUTABLE
    let folder = executable.ancestors().nth(3).unwrap().join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The runtime of the upstream and the caller.
pub(crate) fn runtime() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Sends a command to callgrind.
fn control(process: &Child, command: &str) {
    let pid = format!("--pid={}", process.id());
    let output = Command::new("vgdb").args([&pid, command]).output().expect("vgdb is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Builds the gateway with symbols.
fn build_gateway() {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--profile", "bench", "-p", "tower-mtls-gateway", "--locked"];
    let status = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(status.unwrap().success(), "the gateway cannot be built");
}

fn callgrind(output: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    command.args(super::profile::ALLOCATORS.map(|function| format!("--separate-callers12={function}")));
    command.arg(format!("--callgrind-out-file={}", output.display()));
    command
}

/// Waits for the address in the log, and reads the rest of it in the background.
pub(crate) fn address(log: ChildStderr) -> SocketAddr {
    let mut lines = BufReader::new(log).lines().map(Result::unwrap);
    let mut seen = String::new();
    let address = lines.by_ref().find_map(|line| {
        let address = line.split_once("address=").map(|(_, address)| address.trim().parse().unwrap());
        seen += &(line + "\n");
        address
    });
    thread::spawn(move || lines.for_each(drop));
    address.unwrap_or_else(|| panic!("the proxy has ended:\n{seen}"))
}

/// Returns the configuration of a gateway with one route, which the caller `caller` may use.
pub(crate) fn configuration(folder: &Path, upstream: SocketAddr, workers: usize) -> String {
    let caller = Certificate::from_der(&tls::certificate(folder, "caller")).unwrap();
    let (issuer, thumbprint, port) = (caller.issuer(), caller.sha256_thumbprint(), upstream.port());
    format!(
        r#"
workers = {workers}

[listener]
address = "127.0.0.1:0"
certificate = "proxy.pem"
private_key = "proxy.key"

[trust.callers]
ca = ["ca.pem"]

[identities.upstream]
certificate = "identity.pem"
private_key = "identity.key"

[[routes]]
path = "/"
upstream = "https://localhost:{port}"
identity = "upstream"

[routes.upstream_tls]
ca = ["ca.pem"]

[routes.client_certificate]
validity = true
trust = "callers"
issuer = ["{issuer}"]
thumbprint = ["{thumbprint}"]
"#
    )
}
