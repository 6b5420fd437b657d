#![expect(clippy::unwrap_used, reason = "tests")]

mod codec;
mod machine;

use super::{Flags, Record};

/// A connection of IPv4, established.
fn record(port: u16) -> Record {
    Record {
        protocol: 6,
        flags: Flags::default(),
        state: 1,
        client: std::net::SocketAddr::new([192, 0, 2, 9].into(), port),
        target: "198.51.100.1:80".parse().unwrap(),
        backend: "10.0.0.1:8080".parse().unwrap(),
        mark: 0,
        timeout: 900,
        sequences: None,
        engine: None,
    }
}
