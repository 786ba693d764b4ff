//! Layers of a proxy: crates, and rooms of this workspace.

const STD: &str = "core, alloc, std";

const ROOMS: [(&str, &str); 3] =
    [("examples/gateway/src/", "gateway"), ("benches/requests/", "bare proxy"), ("src/", "tower_mtls")];

/// Returns the layer of an instruction of this source file, in a function of the file `home`.
pub(crate) fn layer(file: &str, home: &str, object: &str) -> String {
    let of_file = layer_of_file(file).filter(|layer| layer != STD);
    of_file.or_else(|| layer_of_file(home)).unwrap_or_else(|| {
        let object = object.rsplit('/').next().unwrap_or_default();
        if object.contains(".so") { "libc".to_owned() } else { "aws-lc".to_owned() }
    })
}

fn layer_of_file(file: &str) -> Option<String> {
    if let Some((_, path)) = file.split_once("/registry/src/") {
        let package = path.split('/').nth(1)?;
        let end = package
            .match_indices('-')
            .find(|(at, _)| package[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
        return Some(crate_layer(&package[..end.map_or(package.len(), |(at, _)| at)]).to_owned());
    }
    if file.starts_with("/rustc/") {
        return Some(STD.to_owned());
    }
    if file.starts_with("/aws-lc/") {
        return Some("aws-lc".to_owned());
    }
    let path = file.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/")).unwrap_or(file);
    ROOMS.iter().find_map(|(folder, name)| {
        let room = path.strip_prefix(folder)?.split('/').next()?;
        Some(room_layer(name, room.trim_end_matches(".rs")))
    })
}

/// Returns the layer of the innermost function outside of the standard library and of libraries of values.
pub(crate) fn innermost_layer(functions: &[&str]) -> String {
    let mut layers = functions.iter().filter_map(|function| layer_of_function(function));
    let found = layers.clone().find(|layer| layer != STD && layer != "bytes");
    found.or_else(|| layers.next_back()).unwrap_or_else(|| STD.to_owned())
}

/// Returns the layer of a function by its demangled name.
fn layer_of_function(function: &str) -> Option<String> {
    let path = function.trim_start_matches(['<', '&', '*', '(', '[']);
    let path = ["mut ", "dyn ", "const "].iter().fold(path, |path, word| path.trim_start_matches(word));
    let end = path.find(['<', '>', ' ', '{', '(']).unwrap_or(path.len());
    let mut parts = path[..end].split("::");
    let (name, room) = (parts.next()?, parts.next()?);
    Some(match name {
        "core" | "alloc" | "std" | "hashbrown" | "__rustc" => STD.to_owned(),
        "gateway" | "tower_mtls" => room_layer(name, room),
        "requests" => room_layer("bare proxy", room),
        "mimalloc" => return None,
        name => crate_layer(&name.replace('_', "-")).to_owned(),
    })
}

fn room_layer(name: &str, room: &str) -> String {
    if name == "bare proxy" { name.to_owned() } else { format!("{name}::{room}") }
}

/// Joins the packages of one layer.
fn crate_layer(package: &str) -> &str {
    match package {
        "aws-lc-rs" | "aws-lc-sys" => "aws-lc",
        "rustls-pki-types" | "rustls-webpki" | "tokio-rustls" => "rustls",
        "libmimalloc-sys" | "mimalloc" => "mimalloc",
        "tower-layer" | "tower-service" => "tower",
        "tracing-core" | "tracing-subscriber" => "tracing",
        "futures-channel" | "futures-core" | "futures-util" => "futures",
        "metrics-util" | "metrics-exporter-prometheus" | "quanta" => "metrics",
        "mio" => "tokio",
        package => package,
    }
}
