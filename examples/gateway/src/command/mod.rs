//! The command line. Imports all rooms.

mod certificates;
mod check;
mod core_dumps;
mod demo;
mod explain;
mod run;

use std::{net::IpAddr, num::NonZero, path::PathBuf, process::ExitCode, thread, time::Duration};

use clap::{Args, Parser, Subcommand};
use http::{HeaderName, HeaderValue};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime;
use tower_mtls::{Workers, certificate::Timestamp};
use tracing_subscriber::EnvFilter;

use crate::{log::Log, management, server};

/// API gateway for mutual TLS: authorizes callers by client certificate, and calls upstreams with a per-route client
/// identity
#[derive(Debug, Parser)]
#[command(name = "gateway", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    /// Allow core dumps, and debuggers of the same user. Both can read private keys
    #[arg(long, global = true)]
    allow_core_dumps: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a demo with throw-away certificates and two upstreams in the process (default)
    Demo(DemoArgs),
    /// Serve a configuration file
    ///
    /// A replaced file or SIGHUP reloads the configuration. SIGTERM and Ctrl-C drain connections and exit.
    Run(ConfigArgs),
    /// Validate a configuration file and the files it refers to; exit code 1 on errors
    ///
    /// Prints one line for each finding: file, line, key, problem, remedy. Warnings and notes do not change the exit code.
    Check(ConfigArgs),
    /// Evaluate the rules or the policy document of a route for a caller; exit code 2 if the request would be rejected
    ///
    /// On a route with mode = "shadow" rejected requests pass, and the exit code is 0. A policy document is evaluated for
    /// a GET request with the path, the Host header, and the values of --header and --remote.
    Explain(ExplainArgs),
    /// Manage the certificates in the store of a running gateway; exit code 2 if it rejects the request, 1 on other errors
    Certificates(certificates::CertificatesArgs),
}

const DEFAULT_DIR: &str = "gateway-demo";
const DEFAULT_PORT: u16 = 8443;
const DEFAULT_MANAGEMENT_PORT: u16 = 9443;

const DEFAULT_LOG: &str = "info";

#[derive(Debug, Args)]
struct DemoArgs {
    /// Folder for certificates, keys and the configuration
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    dir: PathBuf,
    /// Port of the gateway on 127.0.0.1
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Port of the management listener on 127.0.0.1
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MANAGEMENT_PORT)]
    management_port: u16,
}

impl Default for DemoArgs {
    fn default() -> Self {
        Self { dir: DEFAULT_DIR.into(), port: DEFAULT_PORT, management_port: DEFAULT_MANAGEMENT_PORT }
    }
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Path of the request
    #[arg(long, value_name = "PATH")]
    route: String,
    /// Host of the request
    #[arg(long, value_name = "H")]
    host: Option<String>,
    /// The caller's certificate, followed by its chain, as PEM
    #[arg(long, value_name = "PEM", required_unless_present = "no_certificate")]
    certificate: Option<PathBuf>,
    /// The caller presents no certificate
    #[arg(long, conflicts_with = "certificate")]
    no_certificate: bool,
    /// IP address of the caller (`context.Request.IpAddress` in policy documents) [default: unknown]
    #[arg(long, value_name = "ADDRESS")]
    remote: Option<IpAddr>,
    /// Request header for policy documents, such as "X-Region: west"; can be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = explain::header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Time of the evaluation, such as 2026-12-31T23:59:59Z [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = explain::timestamp)]
    at: Option<Timestamp>,
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn run() -> ExitCode {
    let CommandLine { command, allow_core_dumps } = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // A closed standard error cannot be reported.
            let _ = error.print();
            // Not clap's exit code 2, which `explain` returns for rejected requests.
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if !allow_core_dumps && let Err(problem) = core_dumps::disable() {
        eprintln!("{problem}");
        return ExitCode::FAILURE;
    }
    let with_log = |serve: &dyn Fn(&PrometheusHandle) -> Result<(), String>| {
        with_log(|metrics| {
            if allow_core_dumps {
                tracing::warn!("{}", core_dumps::ALLOWED);
            }
            serve(metrics)
        })
    };
    let result = match command.unwrap_or_else(|| Command::Demo(DemoArgs::default())) {
        Command::Demo(DemoArgs { dir, port, management_port }) => {
            with_log(&|metrics| demo::demo(&dir, port, management_port, metrics))
        }
        Command::Run(ConfigArgs { config }) => with_log(&|metrics| run::run(&config, metrics)),
        Command::Check(ConfigArgs { config }) => return check::check(&config),
        Command::Explain(args) => return explain::explain(&args),
        Command::Certificates(args) => return certificates::certificates(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Serves with a log on standard error, filtered by `RUST_LOG`.
fn with_log(serve: impl FnOnce(&PrometheusHandle) -> Result<(), String>) -> Result<(), String> {
    let (filter, problem) = filter(&std::env::var_os("RUST_LOG").unwrap_or_default().to_string_lossy());
    if let Some(problem) = problem {
        eprintln!("{problem}");
    }
    let _log = Log::start(filter).map_err(|error| format!("cannot start the log: {error}"))?;
    // Installed before anything is loaded, so that all metrics are recorded.
    let recorder = management::recorder().map_err(|error| format!("cannot record metrics: {error}"))?;
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| format!("cannot record metrics: {error}"))?;
    serve(&metrics)
}

/// Parses `RUST_LOG`; `info` if it is unset, empty or invalid. An invalid value also returns a message.
fn filter(directives: &str) -> (EnvFilter, Option<String>) {
    if directives.trim().is_empty() {
        return (EnvFilter::new(DEFAULT_LOG), None);
    }
    match EnvFilter::builder().parse(directives) {
        Ok(filter) => (filter, None),
        Err(error) => {
            let problem = format!("RUST_LOG: {error}; using {DEFAULT_LOG}");
            (EnvFilter::new(DEFAULT_LOG), Some(problem))
        }
    }
}

/// Resolves at the first SIGTERM or Ctrl-C. A second one exits the process at once.
async fn until_signal() {
    server::until_signal().await;
    tokio::spawn(async {
        server::until_signal().await;
        tracing::warn!("second signal: exiting at once");
        // Leaves time for the log's thread.
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::process::exit(1);
    });
}

/// Runs a future on a runtime of one thread, and does not wait for blocked threads at the end.
fn block_on(future: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}

/// Starts this number of threads for the connections of callers, by default one for each CPU of the process. None: one, the
/// thread of the runtime.
fn start_workers(count: Option<usize>) -> Result<Option<Workers>, String> {
    let count = count.and_then(NonZero::new).or_else(|| thread::available_parallelism().ok());
    let several = count.filter(|count| count.get() > 1);
    several
        .map(Workers::start)
        .transpose()
        .map_err(|error| format!("cannot start the worker threads: {error}"))
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn invalid_rust_log_is_reported_and_info_is_the_default() {
        for (directives, expected, is_reported) in [
            ("", "info", false),
            (" ", "info", false),
            ("warn,gateway=debug", "gateway=debug,warn", false),
            ("gateway=loud", "info", true),
        ] {
            let (filter, problem) = filter(directives);
            assert_eq!(
                (filter.to_string().as_str(), problem.is_some()),
                (expected, is_reported),
                "{directives:?}"
            );
            if let Some(problem) = problem {
                assert!(problem.starts_with("RUST_LOG: "), "{problem}");
                assert!(problem.ends_with("; using info") && !problem.contains('\n'), "{problem}");
            }
        }
    }
}
