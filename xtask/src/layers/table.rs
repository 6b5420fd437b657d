//! The table itself: one [`Rule`] a crate. ARCHITECTURE.md tells why the crates are cut this way.

/// What one crate of the workspace may depend on, in normal, build and dev dependencies alike.
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// Crates of this workspace it may depend on.
    pub(super) may: &'static [&'static str],
    /// Crates of others it may name in its manifest.
    pub(super) external: External,
    /// Crates it must not reach at all, not even through others.
    pub(super) never: &'static [&'static str],
    /// A function of its arguments: its clippy.toml bans [`BANNED_IN_PURE`].
    pub(super) pure: bool,
}

pub(super) enum External {
    Any,
    Not(&'static [&'static str]),
    Only(&'static [&'static str]),
}

/// Event loops and sockets.
const IO: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "async-std",
    "smol",
    "async-io",
    "io-uring",
];

/// Libraries that hand out sockets, clocks, threads, system calls or randomness: no place for them
/// in a crate whose behaviour is a function of its arguments.
const IMPURE: &[&str] = &[
    "rustix",
    "nix",
    "libc",
    "hyper",
    "hyper-util",
    "axum",
    "reqwest",
    "ureq", // sockets
    "chrono",
    "time",
    "jiff",
    "quanta",
    "coarsetime", // clocks
    "rand",
    "fastrand",
    "getrandom",
    "uuid", // randomness
    "rayon",
    "crossbeam",
    "threadpool", // threads
];

/// What std offers and a pure crate must not take.
pub(super) const BANNED_IN_PURE: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::env::var",
    "std::fs::File",
];

/// The rules, in the order in which the crates build on each other.
const RULES: &[Rule] = &[
    Rule {
        name: "proto",
        may: &[],
        external: External::Not(IMPURE),
        never: IO,
        pure: true,
    },
    Rule {
        name: "control",
        may: &["proto"],
        external: External::Not(IMPURE),
        never: IO,
        pure: true,
    },
    Rule {
        name: "xdp",
        may: &[],
        // The kernel has no allocator: only crates made for it.
        external: External::Only(&[
            "aya-ebpf",
            "aya-ebpf-macros",
            "aya-ebpf-bindings",
            "aya-log-ebpf",
            // Of the tests, on the host.
            "proptest",
        ]),
        never: IO,
        pure: false,
    },
    Rule {
        name: "l4",
        may: &["control", "xdp"],
        external: External::Any,
        never: &["tokio"],
        pure: false,
    },
    Rule {
        name: "proxy",
        may: &["control"],
        external: External::Not(&["aya"]),
        never: &["aya"],
        pure: false,
    },
    Rule {
        name: "aplomb",
        may: &["proto", "control", "xdp", "l4", "proxy"],
        external: External::Any,
        never: &[],
        pure: false,
    },
    // Development only: starts the built program, never links it.
    Rule {
        name: "xtask",
        may: &["proto", "control", "xdp"],
        external: External::Any,
        never: &[],
        pure: false,
    },
    Rule {
        name: "e2e",
        may: &["proto", "control"],
        external: External::Any,
        never: &[],
        pure: false,
    },
];

/// The rule of the crate `name`, if the table knows it.
pub(super) fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}
