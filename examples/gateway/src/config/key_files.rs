//! A certificate and its private key, from one of two forms of files.

use super::located::{FilePath, Located};
use super::section::Section;

/// Where a certificate and its private key come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyFiles {
    /// Two PEM files.
    Pem {
        /// The certificate, and the chain behind it.
        certificate: Located<FilePath>,
        /// The private key.
        private_key: Located<FilePath>,
        /// The file with the key's password, if the key is encrypted.
        password_file: Option<Located<FilePath>>,
    },
    /// A PKCS#12 file and the file that holds its password.
    Pfx {
        /// The PKCS#12 file.
        pfx: Located<FilePath>,
        /// The file with the password.
        password_file: Located<FilePath>,
    },
}

/// What may be written.
const FORMS: &str = "write either pfx and password_file, or certificate and private_key (with password_file if it is encrypted)";

impl KeyFiles {
    /// The file that holds the certificate.
    pub(crate) fn certificate(&self) -> &Located<FilePath> {
        match self {
            Self::Pem { certificate, .. } => certificate,
            Self::Pfx { pfx, .. } => pfx,
        }
    }

    /// Takes exactly one of the two forms out of a section.
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let has = |names: &[&str]| {
            names.iter().find(|name| section.has_similar(name)).map(|name| (*name).to_owned())
        };
        let (pem, pfx) = (has(&["certificate", "private_key"]), has(&["pfx"]));
        match (&pem, &pfx) {
            (None, None) if !section.has_similar("password_file") => {
                section.report.absent(section.line, &section.key, "names no key", FORMS);
            }
            (Some(_), Some(name)) => {
                let problem = "stands beside certificate or private_key";
                section.report.error(section.line_of(name), &section.key_of(name), problem, FORMS);
            }
            _ => {}
        }
        if pem.is_some() {
            let [certificate, private_key] = pair(section, pfx.is_none(), ["certificate", "private_key"]);
            // What stands beside it has been reported.
            let (both, has_password) = (section.file("pfx").is_some(), section.has("password_file"));
            let password_file = section.file("password_file");
            if both || has_password != password_file.is_some() {
                return None;
            }
            return Some(Self::Pem { certificate: certificate?, private_key: private_key?, password_file });
        }
        let [pfx, password_file] = pair(section, true, ["pfx", "password_file"]);
        Some(Self::Pfx { pfx: pfx?, password_file: password_file? })
    }
}

/// Takes two files of which neither is of use alone.
fn pair(section: &mut Section<'_, '_>, say_so: bool, names: [&str; 2]) -> [Option<Located<FilePath>>; 2] {
    for [there, missing] in [names, [names[1], names[0]]] {
        if say_so && section.has(there) && !section.has_similar(missing) {
            let problem = format!("is missing beside {there}");
            let remedy = format!("add {missing} = \"FILE\"");
            section.report.absent(section.line_of(there), &section.key_of(missing), problem, remedy);
        }
    }
    names.map(|name| section.file(name))
}
