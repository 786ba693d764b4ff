//! Files of a certificate and its private key: PEM or PKCS#12.

use super::located::{FilePath, Located};
use super::section::Section;

/// Files of a certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyFiles {
    /// Two PEM files.
    Pem {
        /// The certificate, followed by its chain.
        certificate: Located<FilePath>,
        private_key: Located<FilePath>,
        /// The file with the key's password, if the key is encrypted.
        password_file: Option<Located<FilePath>>,
    },
    /// A PKCS#12 file and the file with its password.
    Pfx { pfx: Located<FilePath>, password_file: Located<FilePath> },
}

const FORMS: &str = "write either pfx and password_file, or certificate and private_key (with password_file if it is encrypted)";

impl KeyFiles {
    pub(crate) fn certificate(&self) -> &Located<FilePath> {
        match self {
            Self::Pem { certificate, .. } => certificate,
            Self::Pfx { pfx, .. } => pfx,
        }
    }

    /// Takes the keys of one of the two forms.
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let has = |names: &[&str]| {
            names.iter().find(|name| section.has_similar(name)).map(|name| (*name).to_owned())
        };
        let (pem, pfx) = (has(&["certificate", "private_key"]), has(&["pfx"]));
        match (&pem, &pfx) {
            (None, None) if !section.has_similar("password_file") => {
                section.report.missing(section.line, &section.key, "has no certificate and key", FORMS);
            }
            (Some(_), Some(name)) => {
                let problem = "conflicts with certificate and private_key";
                section.report.error(section.line_of(name), &section.key_of(name), problem, FORMS);
            }
            _ => {}
        }
        if pem.is_some() {
            let [certificate, private_key] = pair(section, pfx.is_none(), ["certificate", "private_key"]);
            // The conflict has been reported.
            let (has_both, has_password) = (section.file("pfx").is_some(), section.has("password_file"));
            let password_file = section.file("password_file");
            if has_both || has_password != password_file.is_some() {
                return None;
            }
            return Some(Self::Pem { certificate: certificate?, private_key: private_key?, password_file });
        }
        let [pfx, password_file] = pair(section, true, ["pfx", "password_file"]);
        Some(Self::Pfx { pfx: pfx?, password_file: password_file? })
    }
}

/// Takes two files that need each other.
fn pair(
    section: &mut Section<'_, '_>,
    report_missing: bool,
    names: [&str; 2],
) -> [Option<Located<FilePath>>; 2] {
    for [present, missing] in [names, [names[1], names[0]]] {
        if report_missing && section.has(present) && !section.has_similar(missing) {
            let problem = format!("is missing beside {present}");
            let remedy = format!("add {missing} = \"FILE\"");
            section.report.missing(section.line_of(present), &section.key_of(missing), problem, remedy);
        }
    }
    names.map(|name| section.file(name))
}
