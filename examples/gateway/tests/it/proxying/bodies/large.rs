//! Bodies larger than any buffer, with `curl` as the caller.

use super::upstreams::{HTTP1, HTTP2, World, by_size};

/// 1 GiB with `TOWER_MTLS_LONG=1`, for a release build.
fn size() -> u64 {
    if std::env::var_os("TOWER_MTLS_LONG").is_some() { 1 << 30 } else { 64 << 20 }
}

/// In KiB.
const MAX_GROWTH: u64 = 64 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_both_ways_over_any_pair_of_protocols_in_flat_memory() {
    let size = size();
    for (alpn, spoken) in [(HTTP1, "HTTP/1.1"), (HTTP2, "HTTP/2.0")] {
        let world = World::answering(alpn, by_size).await;
        for flag in ["--http1.1", "--http2"] {
            // Allocations per connection happen before the measurement.
            world.curl(&format!("{flag} GATEWAY/down/1000000 -o /dev/null")).await;
            let before = world.running.most_memory();
            let start = std::time::Instant::now();
            let counted = format!("{flag} GATEWAY/down/{size} -o /dev/null -w '%{{size_download}}'");
            assert_eq!(world.curl(&counted).await, (0, size.to_string(), String::new()), "{spoken} {flag}");
            let down = start.elapsed();
            let start = std::time::Instant::now();
            // From a pipe: its length is unknown, and it must not be buffered.
            let piped = format!("{flag} -T - GATEWAY/up < <(head -c {size} /dev/zero)");
            let expected = format!("{spoken} {size}");
            assert_eq!(world.curl(&piped).await, (0, expected, String::new()), "{spoken} {flag}");
            let up = start.elapsed();
            // Some kernels report the current memory instead.
            let growth = world.running.most_memory().saturating_sub(before);
            eprintln!(
                "{} MiB, curl {flag} to {spoken}: down {down:.1?}, up {up:.1?}, memory grew by {growth} KiB",
                size >> 20
            );
            assert!(growth < MAX_GROWTH, "{spoken} {flag}: {growth} KiB");
        }
    }
}
