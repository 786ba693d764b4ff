//! `gateway certificates`: the store from the command line, through the management API.

mod api;
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
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::api::{Api, Failure};
use crate::file::decode;

#[derive(Debug, Args)]
pub(super) struct Certificates {
    #[command(flatten)]
    gateway: Gateway,
    #[command(subcommand)]
    action: Action,
}

/// Which gateway is asked.
#[derive(Debug, Args)]
struct Gateway {
    /// The management listener, or one service below it
    #[arg(long, global = true, value_name = "URL", default_value = "https://localhost:9443")]
    url: http::Uri,
    /// The file with the bearer token
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The CA of the listener's certificate, as PEM; the system's if left out
    #[arg(long, global = true, value_name = "PEM")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What is in the store
    List {
        /// Only those, such as "endswith(thumbprint,'94A6')" or "expirationDate lt 2027-01-01"
        #[arg(long, value_name = "ODATA")]
        filter: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// One certificate
    Show {
        /// Its id
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a .pfx file (an identity of the gateway's) or a certificate (a caller's) into the store
    Upload {
        /// Its id
        id: String,
        /// The .pfx, .cer or PEM file
        file: PathBuf,
        /// The file with the password of the .pfx file; - is standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Replace what is there under this id
        #[arg(long, conflicts_with = "if_match")]
        replace: bool,
        /// Replace what is there, if it still has this ETag
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
    },
    /// Remove a certificate that no route uses
    Delete {
        /// Its id
        id: String,
        /// Only if it still has this ETag
        #[arg(long, value_name = "ETAG", default_value = "*")]
        if_match: String,
    },
}

/// The largest file that is uploaded.
const LARGEST: u64 = 1024 * 1024;

/// Exit 0: done; 2: the gateway refused it; 1: it could not be asked.
pub(super) fn certificates(asked: Certificates) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unasked(format!("cannot start the runtime: {error}")));
    let done = runtime.and_then(|runtime| runtime.block_on(run(asked)));
    match done {
        Ok(printed) => {
            print!("{printed}");
            ExitCode::SUCCESS
        }
        Err(Failure::Unasked(problem)) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
        Err(Failure::Refused(problem)) => {
            eprintln!("{}", text::printable(&problem));
            ExitCode::from(2)
        }
    }
}

async fn run(Certificates { gateway, action }: Certificates) -> Result<String, Failure> {
    let Gateway { url, token_file, ca } = gateway;
    let api = Api::new(&url, token_file.as_deref(), ca.as_deref())?;
    match action {
        Action::List { filter, json } => {
            let found = list(&api, filter.as_deref()).await?;
            Ok(if json { text::json(&found.into()) } else { text::table(&found) })
        }
        Action::Show { id, json } => {
            let answer = api.ask(Method::GET, Some(&id), &[], None, None).await?;
            let mut found = answer.body;
            found["etag"] = answer.etag.into();
            Ok(if json { text::json(&found) } else { text::entry(&found) })
        }
        Action::Upload { id, file, password_file, replace, if_match } => {
            let body = upload(&file, password_file.as_deref()).map_err(Failure::Unasked)?;
            let if_match = if replace { Some("*".to_owned()) } else { if_match };
            let answer = api.ask(Method::PUT, Some(&id), &[], if_match.as_deref(), Some(body)).await?;
            let done = if answer.status == http::StatusCode::CREATED { "uploaded" } else { "replaced" };
            let mut stored = answer.body;
            stored["etag"] = answer.etag.into();
            Ok(format!("{done}\n{}", text::entry(&stored)))
        }
        Action::Delete { id, if_match } => {
            let answer = api.ask(Method::DELETE, Some(&id), &[], Some(&if_match), None).await?;
            let was_there = answer.status == http::StatusCode::OK;
            Ok(if was_there { "deleted\n".to_owned() } else { "it was not there\n".to_owned() })
        }
    }
}

/// All pages. Links in answers are not followed: the token goes where the command line says, and nowhere else.
async fn list(api: &Api, filter: Option<&str>) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    loop {
        let skip = found.len().to_string();
        let mut query = vec![("$skip", skip.as_str())];
        query.extend(filter.map(|filter| ("$filter", filter)));
        let mut page = api.ask(Method::GET, None, &query, None, None).await?.body;
        let Value::Array(entries) = page["value"].take() else {
            return Err(Failure::Unasked("the answer is not the management API's".into()));
        };
        let is_last = entries.is_empty() || page["nextLink"].is_null();
        found.extend(entries);
        if is_last {
            return Ok(found);
        }
    }
}

/// What is sent, which holds the password.
fn upload(file: &Path, password_file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, String> {
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
            // Editors end a file with a line break that is not part of the password.
            let text = text.strip_suffix('\n').unwrap_or(text);
            Some(text.strip_suffix('\r').unwrap_or(text))
        }
    };
    let data = Zeroizing::new(STANDARD.encode(&*contents));
    let body = json!({ "properties": { "data": &*data, "password": password } });
    Ok(Zeroizing::new(body.to_string().into_bytes()))
}

fn read(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut contents = Zeroizing::new(Vec::with_capacity(64 * 1024));
    from.take(LARGEST + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > LARGEST {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(Zeroizing::new(decode(std::mem::take(&mut *contents))))
}
