//! Keys of `[trust.NAME]` about chains and CRLs.

use super::*;
use tower_mtls::policy::ChainRequirements;

/// Parses a file whose set `t` has these keys, from line 4 on.
fn with(keys: &str) -> (Option<Config>, Vec<String>) {
    let text = format!(
        "{LISTENER}\n[trust.t]\nca = \"ca.pem\"\n{keys}\n[identities.fetcher]\npfx = \"f\"\npassword_file = \"p\"\n\
         [[routes]]\npath = \"/\"\nupstream = \"http://b\"\nclient_certificate = {{ trust = \"t\" }}\n"
    );
    let (config, found) = parsed(&text);
    (config, found.iter().map(ToString::to_string).collect())
}

#[test]
fn revocation_keys_are_read_with_their_defaults() {
    let (config, found) = with("crl = \"a.crl\"\ncrl_url = [\"https://ca/a.crl\"]\nrevocation = \"strict\"");
    assert_eq!(found, [""; 0]);
    let revocation = config.unwrap().trust["t"].revocation.clone();
    assert_eq!(revocation.check.unwrap().value, RevocationCheck::Strict);
    assert_eq!(revocation.files[0].resolved, Path::new("etc/a.crl"));
    assert_eq!(revocation.urls[0].authority(), "ca");
    let download = revocation.download;
    assert_eq!((download.refresh, download.timeout), (Duration::from_secs(3_600), Duration::from_secs(10)));
    assert_eq!((download.max_size, download.identity), (64 << 20, None));
    assert_eq!(download.cache.resolved, Path::new("etc/crl-cache"));

    let (config, found) = with(
        "crl_url = \"https://ca/a.crl\"\nrevocation = \"soft\"\ncrl_refresh = \"10m\"\ncrl_timeout = \"3s\"\n\
         crl_max_size = \"2MiB\"\ncrl_identity = \"fetcher\"\ncrl_cache = \"/var/lib/crls\"",
    );
    assert_eq!(found, [""; 0]);
    let revocation = config.unwrap().trust["t"].revocation.clone();
    assert!(
        revocation.uses_identity("fetcher") && !revocation.uses_identity("other") && !revocation.is_off()
    );
    let download = revocation.download;
    assert_eq!((download.refresh, download.timeout), (Duration::from_secs(600), Duration::from_secs(3)));
    assert_eq!((download.max_size, download.cache.resolved.as_path()), (2 << 20, Path::new("/var/lib/crls")));
}

#[test]
fn requirements_for_chains_are_read() {
    let read = |keys| with(keys).0.unwrap().trust["t"].requirements.clone();
    assert_eq!(read(""), ChainRequirements::new());
    let keys = "policies = [\"1.2.3\", \"2.5.29.32.0\"]\nrequire_explicit_policy = true\n\
                inhibit_policy_mapping = true\ninhibit_any_policy = true\nminimum_rsa_bits = 3072\n\
                signature_algorithms = [\"ed25519\"]";
    let expected = ChainRequirements::new().policies(["1.2.3", "2.5.29.32.0"]).unwrap();
    let expected =
        expected.require_explicit_policy(true).inhibit_policy_mapping(true).inhibit_any_policy(true);
    let expected = expected.minimum_rsa_bits(3_072).signature_algorithms(["ed25519".parse().unwrap()]);
    assert_eq!(read(keys), expected);
    assert_ne!(read(keys), ChainRequirements::new());
    assert_eq!(with("policies = [\"1.2.3\"]").1.len(), 1, "a warning");
}

#[test]
fn invalid_trust_keys_are_reported_with_their_line_and_remedy() {
    for (keys, line, key, words) in [
        ("crl = \"a\"", 2, "revocation", "is missing; add revocation = \"soft\""),
        ("crl_url = \"https://ca/a\"", 2, "revocation", "is missing"),
        ("revocation = \"strict\"", 4, "revocation", "rejects every certificate without crl or crl_url"),
        ("revocation = \"soft\"", 4, "revocation", "warning: trust.t.revocation: has no effect"),
        ("revocation = \"off\"\ncrl = \"a\"", 4, "revocation", "warning: trust.t.revocation: the CRLs"),
        ("revocation = \"soft\"\ncrl_url = \"http://ca/a\"", 5, "crl_url", "write https://host/path"),
        ("revocation = \"soft\"\ncrl_url = [\"https://ca\", \"https://ca/\"]", 5, "crl_url", "listed twice"),
        ("revocation = \"soft\"\ncrl = \"a\"\ncrl_refresh = \"1m\"", 6, "crl_refresh", "without crl_url"),
        (
            "revocation = \"soft\"\ncrl_url = \"https://ca\"\ncrl_refresh = \"1ms\"",
            6,
            "crl_refresh",
            "than 1s",
        ),
        (
            "revocation = \"soft\"\ncrl_url = \"https://ca\"\ncrl_max_size = \"1B\"",
            6,
            "crl_max_size",
            "is smaller than 1KiB",
        ),
        (
            "revocation = \"soft\"\ncrl_url = \"https://ca\"\ncrl_identity = \"fetchr\"",
            6,
            "crl_identity",
            "\"fetcher\"?",
        ),
        ("policies = [\"1.2\", \"any\"]", 4, "policies", "\"any\" is not an object identifier"),
        ("minimum_rsa_bits = 1024", 4, "minimum_rsa_bits", "2048 to 8192"),
        (
            "signature_algorithms = [\"md5\"]",
            4,
            "signature_algorithms",
            "\"md5\" is not a signature algorithm",
        ),
        ("revocation = \"soft\"\ncrl_urls = \"https://ca\"", 5, "crl_urls", "did you mean crl_url?"),
    ] {
        let (_, found) = with(keys);
        let [found] = &found[..] else { panic!("{keys}: {found:?}") };
        assert!(found.starts_with(&format!("etc/gateway.toml:{line}: ")), "{keys}: {found}");
        assert!(found.contains(&format!("trust.t.{key}: ")) && found.contains(words), "{keys}: {found}");
    }
}
