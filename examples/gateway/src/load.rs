//! From a configuration file to what serves: reads all that it names, or says all that is wrong.

mod advice;
mod choice;
mod files;
mod key_pair;
mod rules;
mod trust;
mod upstream;

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use tower_mtls::{ClientIdentity, MtlsClient, ServerTls, TrustAnchors, acceptor::ClientCertificateRequest};

use self::{choice::Known, files::Findings, upstream::BackEndTrusts};
use crate::{
    config::{self, AskForCertificate, Config, Diagnostic, Limits},
    routes::RouteTable,
    serve::Site,
};

/// A configuration that is ready to serve.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) address: SocketAddr,
    pub(crate) tls: ServerTls,
    pub(crate) limits: Limits,
    pub(crate) site: Site,
}

/// Loads the file; there is a result exactly if no finding is an error.
pub(crate) fn load(file: &Path) -> (Option<Loaded>, Vec<Diagnostic>) {
    let (config, diagnostics) = config::read(file);
    let mut findings = Findings::new(file, diagnostics);
    let loaded = config.and_then(|config| build(&config, &mut findings));
    let diagnostics = findings.finish();
    let is_sound = !diagnostics.iter().any(Diagnostic::is_error);
    (loaded.filter(|_| is_sound), diagnostics)
}

/// What the sections of the file are by name; None for one that is broken.
type Named<T> = BTreeMap<String, Option<T>>;

/// Builds whatever can be built, so that all errors are found at once.
fn build(config: &Config, findings: &mut Findings) -> Option<Loaded> {
    let tls = server_tls(config, findings);
    let anchors: Named<TrustAnchors> =
        config.trust.iter().map(|(name, set)| (name.clone(), trust::anchors(&set.ca, findings))).collect();
    let identities: Named<ClientIdentity> = config
        .identities
        .iter()
        .map(|(name, identity)| {
            let read = key_pair::identity(&identity.files, findings);
            (name.clone(), read.map(|identity| identity.with_name(name.as_str())))
        })
        .collect();
    let known = Known::new(identities);
    for (name, identity) in &config.identities {
        if !config.routes.iter().any(|route| route.identities().contains(&name.as_str())) {
            findings.note(identity, "no route uses this identity", "");
        }
    }
    let client = MtlsClient::builder()
        .with_connect_timeout(config.limits.connect_timeout)
        .with_handshake_timeout(config.limits.handshake_timeout)
        .with_idle_timeout(config.limits.idle_timeout)
        .build();
    let mut trusts = BackEndTrusts::default();
    let routes: Vec<_> = config
        .routes
        .iter()
        .map(|route| upstream::route(config, route, &anchors, &known, &mut trusts, &client, findings))
        .collect();
    let paths = config.routes.iter().map(|route| {
        let host = route.host.as_ref().map(|host| host.value.clone());
        (host, route.path.value.clone())
    });
    let site = Site { table: RouteTable::new(paths), routes: routes.into_iter().collect::<Option<_>>()? };
    Some(Loaded { address: config.listener.address.value, tls: tls?, limits: config.limits, site })
}

fn server_tls(config: &Config, findings: &mut Findings) -> Option<ServerTls> {
    let pair = key_pair::identity(&config.listener.certificate, findings)?;
    advice::on_listener(config.listener.certificate.certificate(), pair.certificate().der(), findings);
    let request = match config.listener.client_certificate {
        AskForCertificate::Request => ClientCertificateRequest::Request,
        AskForCertificate::Off => ClientCertificateRequest::Off,
    };
    let built = ServerTls::builder().certified_key(pair.certified_key()).client_certificate(request).build();
    match built {
        Ok(tls) => Some(tls),
        Err(error) => {
            findings.error(&config.listener.address, error.to_string(), "check certificate and private_key");
            None
        }
    }
}
