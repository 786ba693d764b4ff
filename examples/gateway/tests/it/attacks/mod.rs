//! Attacks on both listeners and in both versions of HTTP: their bounds, good callers meanwhile, and their ends.

mod floods;
mod frame_floods;
mod good_callers;
mod maximums;
mod row;
mod stalls;
pub(crate) mod world;

use std::time::Duration;

use self::world::World;

/// Short deadlines, so that the attacks end within seconds.
const LIMITS: &str = r#"
    handshake_timeout = "1s"
    head_timeout = "1s"
    idle_timeout = "1s"
    body_timeout = "1s"
    stream_idle_timeout = "2s"
    tunnel_idle_timeout = "1s"
"#;

/// `handshake_timeout`, `head_timeout`, `idle_timeout`, `body_timeout` and `tunnel_idle_timeout`.
const SECOND: Duration = Duration::from_secs(1);

async fn world() -> World {
    World::with_limits(&["http/1.1"], LIMITS).await
}
