//! A gateway in front of the test's upstream.

use std::{fs, net::SocketAddr, path::PathBuf};

use super::{Demo, Running};

/// Serves `/` to callers with a chain to the partners CA, and `/open` to any caller, both as `orders`.
pub fn start(demo: Demo, upstream: SocketAddr, limits: &str) -> (Running, Demo) {
    start_with(demo, upstream, limits, "")
}

/// The same with these keys in the route `/`.
pub fn start_with(demo: Demo, upstream: SocketAddr, limits: &str, route: &str) -> (Running, Demo) {
    let (running, port) = Running::start(&configure(&demo, upstream, limits, route));
    (running, demo.on_port(port))
}

/// Writes the configuration.
pub fn configure(demo: &Demo, upstream: SocketAddr, limits: &str, route: &str) -> PathBuf {
    let config = demo.dir().join("fronted.toml");
    let text = r#"
        [listener]
        address = "127.0.0.1:0"
        certificate = "server.pem"
        private_key = "server.key"
        [limits]
        LIMITS
        [management]
        address = "127.0.0.1:0"
        token_file = "management.token"
        [trust.demo]
        ca = ["partners-ca.pem"]
        [identities.orders]
        pfx = "orders.pfx"
        password_file = "orders.password"
        [upstream_tls]
        ca = ["backend-ca.pem"]
        [[routes]]
        path = "/"
        upstream = "https://localhost:PORT"
        identity = "orders"
        client_certificate = { trust = "demo" }
        ROUTE
        [[routes]]
        path = "/open"
        upstream = "https://localhost:PORT/open"
        identity = "orders"
        "#;
    let port = upstream.port().to_string();
    fs::write(&config, text.replace("LIMITS", limits).replace("ROUTE", route).replace("PORT", &port))
        .unwrap();
    config
}

impl Running {
    /// Peak resident memory of the process, in KiB.
    pub fn most_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Resident memory of the process, in KiB.
    pub fn resident_memory(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().split(' ').next().unwrap().parse().unwrap()
    }
}
