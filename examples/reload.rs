//! Run with: cargo run --example reload --all-features
//!
//! A service whose list of allowed thumbprints is a file. Replacing the file replaces the policy; an invalid list
//! leaves the old policy in use. TLS is left out: `AssumePresentedLayer` presents the certificate.

use std::{convert::Infallible, error::Error, fs, path::Path, time::Duration};

use http::{Request, Response, StatusCode};
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_mtls::{
    Certificate, Policy, RequireCertificateLayer,
    certificate::{Presented, Thumbprint},
    danger::AssumePresentedLayer,
    reload::Watcher,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("tower-mtls-example-reload-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let result = run(&dir).await;
    fs::remove_dir_all(&dir)?;
    result
}

async fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let certificate = Certificate::from_der(rcgen::generate_simple_self_signed(vec![])?.cert.der())?;
    let list = dir.join("allowed.txt");
    replace(&list, &format!("{}\n", certificate.sha256_thumbprint()))?;

    let builder = Watcher::builder().add_file(&list).with_interval(Duration::from_millis(20));
    let (policy, watcher) = builder.load(policy_from)?;
    let inner = service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new())));
    let layers = (
        AssumePresentedLayer::new(Presented::from(certificate)),
        RequireCertificateLayer::new(policy.clone()),
    );
    let service = layers.layer(inner);
    let status = async || -> Result<StatusCode, Box<dyn Error>> {
        Ok(service.clone().oneshot(Request::new(String::new())).await?.status())
    };

    println!("on the list: {}", status().await?);
    assert_eq!(status().await?, StatusCode::OK);

    replace(&list, "not a thumbprint\n")?;
    until(async || watcher.is_stale()).await?;
    println!("an invalid list keeps the old one: {}", status().await?);
    assert_eq!(status().await?, StatusCode::OK);

    replace(&list, &format!("{}\n", Thumbprint::Sha256([0; 32])))?;
    until(async || status().await.is_ok_and(|status| status == StatusCode::FORBIDDEN)).await?;
    println!("no longer on the list: {}", status().await?);
    assert!(!watcher.is_stale());
    Ok(())
}

fn policy_from(files: &[Vec<u8>]) -> Result<Policy, Box<dyn Error + Send + Sync>> {
    let lines = std::str::from_utf8(&files[0])?.lines();
    let allowed: Vec<Thumbprint> = lines.map(str::parse).collect::<Result<_, _>>()?;
    Ok(Policy::builder().thumbprints(allowed).build()?)
}

/// Replaces a file atomically.
fn replace(path: &Path, contents: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, contents)?;
    fs::rename(new, path)
}

/// Waits until a condition is true, for 10 seconds.
async fn until(condition: impl AsyncFn() -> bool) -> Result<(), Box<dyn Error>> {
    let waiting = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    Ok(timeout(Duration::from_secs(10), waiting).await?)
}
