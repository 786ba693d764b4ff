//! The command line.

mod certificates;
mod check;
mod demo;
mod explain;
mod run;

use std::{net::IpAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use http::{HeaderName, HeaderValue};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_mtls::Timestamp;
use tracing_subscriber::EnvFilter;

use crate::{log::Log, management, serve};

/// A mutual-TLS API gateway: decides by the caller's certificate who may call, and calls each upstream under
/// the route's own identity.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A tour with throw-away certificates and two upstreams inside the process (the default)
    Demo(Demo),
    /// Serve a configuration file; a changed file or SIGHUP reloads it, SIGTERM and Ctrl-C let what is in flight
    /// finish
    Run(Config),
    /// Say whether a configuration file, and all that it names, would serve; exit 1 if not
    ///
    /// Prints one line for each finding: file, line, key, what is wrong, what would be right. Warnings and
    /// notes alone leave the exit code at 0.
    Check(Config),
    /// Say what each rule of a route, or its policy document, says of a caller, and the verdict; exit 2 if it would be
    /// refused
    ///
    /// Whom a route with mode = "shadow" refuses passes all the same, and the exit code is 0.
    /// A document is shown a GET of PATH with `Host` and what --header and --remote add.
    Explain(Explain),
    /// The certificates in the store of a gateway that serves; exit 2 if it refuses what is asked, 1 if it cannot
    /// be asked
    Certificates(certificates::Certificates),
}

const DIR: &str = "gateway-demo";
const PORT: u16 = 8443;
const MANAGEMENT_PORT: u16 = 9443;

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_LOG: &str = "info";

#[derive(Debug, Args)]
struct Demo {
    /// Where the certificates, keys and the configuration are written
    #[arg(long, value_name = "DIR", default_value = DIR)]
    dir: PathBuf,
    /// The port to listen on, on 127.0.0.1
    #[arg(long, value_name = "N", default_value_t = PORT)]
    port: u16,
    /// The port of the management listener, on 127.0.0.1
    #[arg(long, value_name = "N", default_value_t = MANAGEMENT_PORT)]
    management_port: u16,
}

impl Default for Demo {
    fn default() -> Self {
        Self { dir: DIR.into(), port: PORT, management_port: MANAGEMENT_PORT }
    }
}

#[derive(Debug, Args)]
struct Explain {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The path that is asked for
    #[arg(long, value_name = "PATH")]
    route: String,
    /// The host that is asked for
    #[arg(long, value_name = "H")]
    host: Option<String>,
    /// The caller's certificate, and the chain it sends, as PEM
    #[arg(long, value_name = "PEM", required_unless_present = "no_certificate")]
    certificate: Option<PathBuf>,
    /// The caller presents no certificate
    #[arg(long, conflicts_with = "certificate")]
    no_certificate: bool,
    /// Where the caller's connection comes from (`context.Request.IpAddress` of documents); unknown if left out
    #[arg(long, value_name = "ADDRESS")]
    remote: Option<IpAddr>,
    /// A header of the request, such as "X-Region: west"; for documents, once for each
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = explain::header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The moment to judge at, such as 2026-12-31T23:59:59Z; now if left out
    #[arg(long, value_name = "RFC3339", value_parser = explain::moment)]
    at: Option<Timestamp>,
}

#[derive(Debug, Args)]
struct Config {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn run() -> ExitCode {
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command.unwrap_or_else(|| Command::Demo(Demo::default())),
        Err(error) => {
            // Nobody is left to be told that standard error is closed.
            let _ = error.print();
            // Not clap's 2, which `explain` answers for a certificate that would be refused.
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match command {
        Command::Demo(Demo { dir, port, management_port }) => {
            served(|metrics| demo::demo(&dir, port, management_port, metrics))
        }
        Command::Run(Config { config }) => served(|metrics| run::run(&config, metrics)),
        Command::Check(Config { config }) => return check::check(&config),
        Command::Explain(asked) => return explain::explain(&asked),
        Command::Certificates(asked) => return certificates::certificates(asked),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Serves with a log on standard error. `RUST_LOG` chooses what is logged.
fn served(serve: impl FnOnce(&PrometheusHandle) -> Result<(), String>) -> Result<(), String> {
    let (filter, problem) = filter(&std::env::var_os("RUST_LOG").unwrap_or_default().to_string_lossy());
    if let Some(problem) = problem {
        eprintln!("{problem}");
    }
    let _log = Log::start(filter).map_err(|error| format!("cannot log: {error}"))?;
    // Before anything is loaded: what is counted is counted where it is told of.
    let recorder = management::recorder().map_err(|error| format!("cannot count requests: {error}"))?;
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| format!("cannot count requests: {error}"))?;
    serve(&metrics)
}

/// What `RUST_LOG` asks for; `info` if it is unset, empty or cannot be read, and the last is told.
fn filter(wanted: &str) -> (EnvFilter, Option<String>) {
    if wanted.trim().is_empty() {
        return (EnvFilter::new(DEFAULT_LOG), None);
    }
    match EnvFilter::builder().parse(wanted) {
        Ok(filter) => (filter, None),
        Err(error) => {
            let problem = format!("RUST_LOG cannot be read: {error}; using {DEFAULT_LOG}");
            (EnvFilter::new(DEFAULT_LOG), Some(problem))
        }
    }
}

/// Ends with the first SIGTERM or Ctrl-C. A second one ends the process, whatever is still in flight.
async fn until_signal() {
    serve::until_signal().await;
    tokio::spawn(async {
        serve::until_signal().await;
        tracing::warn!("second signal: ending at once");
        // The log is written by a thread of its own.
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::process::exit(1);
    });
}

/// Runs this with a thread for each core, and ends even if a thread still waits for a file system.
fn block_on(serving: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| format!("cannot start the runtime: {error}"))?;
    let served = runtime.block_on(serving);
    runtime.shutdown_background();
    served
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn rust_log_is_read_or_told_and_info_is_the_default() {
        for (wanted, expected, is_told) in [
            ("", "info", false),
            (" ", "info", false),
            ("warn,gateway=debug", "gateway=debug,warn", false),
            ("gateway=loud", "info", true),
        ] {
            let (filter, problem) = filter(wanted);
            assert_eq!((filter.to_string().as_str(), problem.is_some()), (expected, is_told), "{wanted:?}");
            if let Some(problem) = problem {
                assert!(problem.starts_with("RUST_LOG cannot be read: "), "{problem}");
                assert!(problem.ends_with("; using info") && !problem.contains('\n'), "{problem}");
            }
        }
    }
}
