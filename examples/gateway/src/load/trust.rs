//! Named sets of CAs.

use tower_mtls::TrustAnchors;

use super::{advice, files::Findings};
use crate::config::{FilePath, Located, quoted};

/// The roots of all files.
pub(super) fn anchors(files: &[Located<FilePath>], findings: &mut Findings) -> Option<TrustAnchors> {
    let mut all: Option<TrustAnchors> = None;
    let mut is_sound = true;
    for file in files {
        let read = findings.read(file).and_then(|pem| match TrustAnchors::from_pem(&pem) {
            Ok(anchors) => {
                advice::on_authorities(file, &pem, findings);
                Some(anchors)
            }
            Err(error) => {
                let problem = format!("{}: {error}", quoted(&file.written));
                findings.error(file, problem, "name a PEM file of CA certificates");
                None
            }
        });
        match read {
            Some(anchors) => {
                all = Some(match all {
                    Some(all) => all.union(&anchors),
                    None => anchors,
                });
            }
            None => is_sound = false,
        }
    }
    all.filter(|_| is_sound)
}
