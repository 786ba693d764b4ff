//! Keys of `[trust.NAME]` about policies, keys and signatures of chains.

use tower_mtls::policy::{ChainRequirements, SignatureAlgorithm};

use super::entry::checked;
use super::section::Section;

/// The configurable lengths of RSA keys, in bits.
/// The handshake accepts no others.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Takes the keys; None if one of them is invalid, which has been reported.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<ChainRequirements> {
    let report = section.report;
    let mut requirements = ChainRequirements::new();
    let mut is_valid = true;
    let (line, key) = (section.line_of("policies"), section.key_of("policies"));
    let texts = section.strings("policies");
    let count = texts.len();
    let policies: Vec<_> = texts
        .into_iter()
        .filter_map(|text| {
            let remedy = "write object identifiers such as \"1.3.6.1.4.1.311.21.8\"";
            let is_policy = |text: &str| ChainRequirements::new().policies([text]).map(|_| text.to_owned());
            checked(report, text, remedy, |text| is_policy(text).map_err(|_| "is not an object identifier"))
        })
        .map(|policy| policy.value)
        .collect();
    is_valid &= policies.len() == count;
    let is_required = section.boolean("require_explicit_policy", false);
    if !policies.is_empty() {
        if is_valid && !is_required {
            let problem = "chains without a policy pass too, unless a CA of the chain requires one";
            report.warning(line, &key, problem, "add require_explicit_policy = true");
        }
        requirements = requirements.policies(policies).ok()?;
    }
    requirements = requirements
        .require_explicit_policy(is_required)
        .inhibit_policy_mapping(section.boolean("inhibit_policy_mapping", false))
        .inhibit_any_policy(section.boolean("inhibit_any_policy", false));
    if let Some(bits) = section.integer("minimum_rsa_bits", *RSA_BITS.start(), *RSA_BITS.end()) {
        requirements = requirements.minimum_rsa_bits(bits);
    }
    let names = section.strings("signature_algorithms");
    let count = names.len();
    let algorithms: Vec<_> = names
        .into_iter()
        .filter_map(|name| {
            let remedy = "write names such as \"rsa-pkcs1-sha256\", \"rsa-pss-sha256\", \"ecdsa-sha256\" or \"ed25519\"";
            checked(report, name, remedy, |name| {
                name.parse::<SignatureAlgorithm>().map_err(|_| "is not a signature algorithm")
            })
        })
        .map(|algorithm| algorithm.value)
        .collect();
    is_valid &= algorithms.len() == count;
    if !algorithms.is_empty() {
        requirements = requirements.signature_algorithms(algorithms);
    }
    is_valid.then_some(requirements)
}
