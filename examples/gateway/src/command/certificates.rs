//! `gateway certificates`: manages the store through the management API.

mod client;
mod text;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use self::client::{CommandError, ManagementClient};
use crate::file;

#[derive(Debug, Args)]
pub(super) struct CertificatesArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    action: Action,
}

/// Connection to the gateway.
#[derive(Debug, Args)]
struct ConnectionArgs {
    /// URL of the management listener, or of a service below it
    #[arg(long, global = true, value_name = "URL", default_value = "https://localhost:9443")]
    url: http::Uri,
    /// File with the bearer token
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// CA of the listener's certificate, as PEM [default: the system's CAs]
    #[arg(long, global = true, value_name = "PEM")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List certificates
    List {
        /// OData filter, such as "endswith(thumbprint,'94A6')" or "expirationDate lt 2027-01-01"
        #[arg(long, value_name = "ODATA")]
        filter: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a certificate
    Show {
        /// Id of the certificate
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Upload a client identity (.pfx) or a caller's certificate
    Upload {
        /// Id of the certificate
        id: String,
        /// .pfx, .cer or PEM file
        file: PathBuf,
        /// File with the password of the .pfx file; - reads standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Replace an existing certificate
        #[arg(long, conflicts_with = "if_match")]
        replace: bool,
        /// Replace the certificate if it has this ETag
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
    },
    /// Delete a certificate that is not in use
    Delete {
        /// Id of the certificate
        id: String,
        /// Delete the certificate only if it has this ETag
        #[arg(long, value_name = "ETAG", default_value = "*")]
        if_match: String,
    },
}

/// Maximum size of a file in bytes.
const MAX_FILE_SIZE: usize = 1024 * 1024;

/// Runs the command. Exit codes: 0 success, 2 rejected by the gateway, 1 other errors.
pub(super) fn certificates(args: CertificatesArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::Failed(format!("cannot start the runtime: {error}")));
    let result = runtime.and_then(|runtime| runtime.block_on(run(args)));
    match result {
        Ok(output) => {
            print!("{output}");
            ExitCode::SUCCESS
        }
        Err(CommandError::Failed(problem)) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
        Err(CommandError::Rejected(problem)) => {
            eprintln!("{}", text::printable(&problem));
            ExitCode::from(2)
        }
    }
}

async fn run(CertificatesArgs { connection, action }: CertificatesArgs) -> Result<String, CommandError> {
    let ConnectionArgs { url, token_file, ca } = connection;
    let client = ManagementClient::new(&url, token_file.as_deref(), ca.as_deref())?;
    match action {
        Action::List { filter, json } => {
            let found = list(&client, filter.as_deref()).await?;
            Ok(if json { text::json(&found.into()) } else { text::table(&found) })
        }
        Action::Show { id, json } => {
            let response = client.send(Method::GET, Some(&id), &[], None, None).await?;
            let mut found = response.body;
            found["etag"] = response.etag.into();
            Ok(if json { text::json(&found) } else { text::entry(&found) })
        }
        Action::Upload { id, file, password_file, replace, if_match } => {
            let body = upload_body(&file, password_file.as_deref()).map_err(CommandError::Failed)?;
            let if_match = if replace { Some("*".to_owned()) } else { if_match };
            let response = client.send(Method::PUT, Some(&id), &[], if_match.as_deref(), Some(body)).await?;
            let outcome = if response.status == http::StatusCode::CREATED { "uploaded" } else { "replaced" };
            let mut stored = response.body;
            stored["etag"] = response.etag.into();
            Ok(format!("{outcome}\n{}", text::entry(&stored)))
        }
        Action::Delete { id, if_match } => {
            let response = client.send(Method::DELETE, Some(&id), &[], Some(&if_match), None).await?;
            let was_there = response.status == http::StatusCode::OK;
            Ok(if was_there { "deleted\n".to_owned() } else { "not found\n".to_owned() })
        }
    }
}

/// Reads all pages. Links in responses are not followed, so that the token is sent to the given URL only.
async fn list(client: &ManagementClient, filter: Option<&str>) -> Result<Vec<Value>, CommandError> {
    let mut found = Vec::new();
    loop {
        let skip = found.len().to_string();
        let mut query = vec![("$skip", skip.as_str())];
        query.extend(filter.map(|filter| ("$filter", filter)));
        let mut page = client.send(Method::GET, None, &query, None, None).await?.body;
        let Value::Array(entries) = page["value"].take() else {
            return Err(CommandError::Failed(
                "unexpected response; check that --url is the management listener".into(),
            ));
        };
        let is_last = entries.is_empty() || page["nextLink"].is_null();
        found.extend(entries);
        if is_last {
            return Ok(found);
        }
    }
}

/// Builds the body of an upload, which contains the password.
fn upload_body(file: &Path, password_file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, String> {
    let cannot = |file: &Path, error: io::Error| format!("{}: {error}", file.display());
    let contents = fs::File::open(file).and_then(read).map_err(|error| cannot(file, error))?;
    let password = match password_file {
        None => None,
        Some(file) if file == Path::new("-") => Some(read(io::stdin()).map_err(|error| cannot(file, error))?),
        Some(file) => Some(fs::File::open(file).and_then(read).map_err(|error| cannot(file, error))?),
    };
    let password = match &password {
        None => None,
        Some(contents) => {
            let text = std::str::from_utf8(contents).map_err(|_| "the password is not UTF-8".to_owned())?;
            // The final line break that editors add is not part of the password.
            let text = text.strip_suffix('\n').unwrap_or(text);
            Some(text.strip_suffix('\r').unwrap_or(text))
        }
    };
    let data = Zeroizing::new(STANDARD.encode(&*contents));
    // Capacity for the longest form, six bytes for a character: a growing buffer would leave copies behind.
    let capacity = data.len() + 6 * password.map_or(0, str::len) + 64;
    let mut body = Zeroizing::new(Vec::with_capacity(capacity));
    let upload = Upload { properties: UploadProperties { data: &data, password } };
    serde_json::to_writer(&mut *body, &upload).map_err(|error| error.to_string())?;
    Ok(body)
}

/// Body of an upload. Serialized without a copy of its strings.
#[derive(Serialize)]
struct Upload<'a> {
    properties: UploadProperties<'a>,
}

#[derive(Serialize)]
struct UploadProperties<'a> {
    data: &'a str,
    password: Option<&'a str>,
}

fn read(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    Ok(file::decode(file::read_all(from, 64 * 1024, MAX_FILE_SIZE)?))
}
