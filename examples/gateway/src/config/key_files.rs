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
const FORMS: &str = "write either pfx and password_file, or certificate and private_key";

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
        let has = |names: [&str; 2]| names.into_iter().find(|name| section.means(name)).map(str::to_owned);
        let (pem, pfx) = (has(["certificate", "private_key"]), has(["pfx", "password_file"]));
        match (&pem, &pfx) {
            (None, None) => section.report.absent(section.line, &section.key, "names no key", FORMS),
            (Some(_), Some(name)) => {
                let problem = "stands beside certificate or private_key";
                section.report.error(section.line_of(name), &section.key_of(name), problem, FORMS);
            }
            _ => {}
        }
        let one_form = pem.is_some() != pfx.is_some();
        let [certificate, private_key] = pair(section, one_form, ["certificate", "private_key"]);
        let [pfx, password_file] = pair(section, one_form, ["pfx", "password_file"]);
        match (certificate, private_key, pfx, password_file) {
            (Some(certificate), Some(private_key), None, None) => {
                Some(Self::Pem { certificate, private_key })
            }
            (None, None, Some(pfx), Some(password_file)) => Some(Self::Pfx { pfx, password_file }),
            _ => None,
        }
    }
}

/// Takes two files of which neither is of use alone.
fn pair(section: &mut Section<'_, '_>, say_so: bool, names: [&str; 2]) -> [Option<Located<FilePath>>; 2] {
    for [there, missing] in [names, [names[1], names[0]]] {
        if say_so && section.has(there) && !section.means(missing) {
            let problem = format!("is missing beside {there}");
            let remedy = format!("add {missing} = \"FILE\"");
            section.report.absent(section.line_of(there), &section.key_of(missing), problem, remedy);
        }
    }
    names.map(|name| section.file(name))
}
