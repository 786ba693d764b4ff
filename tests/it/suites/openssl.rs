//! OpenSSL's decision.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    case::Case,
    remake::{extensions, first_of_certificate, set_extensions},
};
use crate::support::{
    Folder,
    der::{join, parts, split, wrap},
};

/// OID of authorityKeyIdentifier, with tag and length.
pub(super) const AUTHORITY_KEY_ID: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x23];

/// Files of one chain for `openssl verify`.
pub(super) struct OpenSsl(Folder);

impl OpenSsl {
    pub(super) fn new() -> Self {
        Self(Folder::new())
    }

    /// OpenSSL's decision for TLS clients; the error is its first problem.
    pub(super) fn verify(&self, case: &Case) -> Result<(), String> {
        let output = command(self.0.path(), case).output().expect("openssl is installed");
        if output.status.success() {
            return Ok(());
        }
        let problems = String::from_utf8_lossy(&output.stderr);
        Err(problems.lines().find(|line| line.starts_with("error ")).unwrap_or(&problems).to_owned())
    }
}

/// Writes the chain into a folder, and returns OpenSSL's command that verifies it.
pub(super) fn command(folder: &Path, case: &Case) -> Command {
    let write = |name, label, objects: &[Vec<u8>]| write(&folder.join(name), label, objects);
    let roots: Vec<_> = case.roots.iter().map(|root| as_self_issued(root)).collect();
    let mut command = Command::new("openssl");
    command.args(["verify", "-purpose", "sslclient", "-policy_check", "-no-CApath", "-no-CAstore"]);
    command.args(["-attime", &case.now.as_unix().to_string()]);
    command.arg("-CAfile").arg(write("roots.pem", "CERTIFICATE", &roots));
    if !case.intermediates.is_empty() {
        command.arg("-untrusted").arg(write("intermediates.pem", "CERTIFICATE", &case.intermediates));
    }
    if case.lists.is_some() {
        command.args(["-crl_check_all", "-extended_crl"]);
        // OpenSSL reads all lists or none.
        let lists: Vec<_> = case.readable_lists().cloned().collect();
        if !lists.is_empty() {
            command.arg("-CRLfile").arg(write("lists.pem", "X509 CRL", &lists));
        }
    }
    // Without a policy OpenSSL's initial set is empty.
    let any_policy = ["2.5.29.32.0".to_owned()];
    let initial = if case.policies.initial.is_empty() { &any_policy[..] } else { &case.policies.initial };
    command.args(initial.iter().flat_map(|policy| ["-policy", policy]));
    let flags = [
        ("-explicit_policy", case.policies.explicit),
        ("-inhibit_map", case.policies.inhibit_mapping),
        ("-inhibit_any", case.policies.inhibit_any),
    ];
    command.args(flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag));
    command.arg(write("leaf.pem", "CERTIFICATE", std::slice::from_ref(&case.leaf)));
    command
}

/// The root as its own issuer. The library takes any CA as a root, of which it checks no signature and no revocation.
fn as_self_issued(root: &[u8]) -> Vec<u8> {
    let mut certificate = parts(split(root).1);
    let mut fields = parts(&certificate[0].1);
    let at = first_of_certificate(&fields);
    fields[at + 2] = fields[at + 4].clone();
    let mut list = extensions(&fields);
    list.retain(|extension| !extension.starts_with(AUTHORITY_KEY_ID));
    set_extensions(&mut fields, &list);
    certificate[0].1 = join(&fields);
    wrap(0x30, &join(&certificate))
}

/// The subject of a certificate.
pub(super) fn subject(certificate: &[u8]) -> Vec<u8> {
    let fields = parts(&parts(split(certificate).1)[0].1);
    fields[first_of_certificate(&fields) + 4].1.clone()
}

fn write(file: &Path, label: &str, objects: &[Vec<u8>]) -> PathBuf {
    let pem = |der: &Vec<u8>| pem::encode(&pem::Pem::new(label, der.as_slice()));
    fs::write(file, objects.iter().map(pem).collect::<String>()).unwrap();
    file.into()
}
