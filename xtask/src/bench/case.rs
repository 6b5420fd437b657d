//! What is measured: the cases, and what each of them yields.

use super::load::Load;
use super::peer::Mode;

/// How a case is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Load for some seconds: CPU per request, requests per second, latency.
    Load(Load),
    /// Connections that have made one request and wait: memory for each.
    Idle,
    /// System calls for each request, under this load.
    Syscalls(Load),
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) kind: Kind,
    /// What aplomb is to reach: of HAProxy's CPU per request, or bytes for each connection.
    pub(crate) goal: Option<f64>,
}

const KEEP_64: Load = Load {
    connections: 64,
    path: "/",
    close: false,
};
const KEEP_512: Load = Load {
    connections: 512,
    path: "/",
    close: false,
};
const KEEP_10K: Load = Load {
    connections: 64,
    path: "/10k",
    close: false,
};
const CLOSE: Load = Load {
    connections: 64,
    path: "/",
    close: true,
};
const BULK: Load = Load {
    connections: 16,
    path: "/1m",
    close: false,
};

const HTTP: &[Case] = &[
    Case {
        name: "keep-64",
        what: "keep-alive, 100 B, 64 connections",
        kind: Kind::Load(KEEP_64),
        goal: Some(0.80),
    },
    Case {
        name: "keep-512",
        what: "keep-alive, 100 B, 512 connections",
        kind: Kind::Load(KEEP_512),
        goal: Some(0.80),
    },
    Case {
        name: "keep-10k",
        what: "keep-alive, 10 KiB, 64 connections",
        kind: Kind::Load(KEEP_10K),
        goal: Some(0.85),
    },
    Case {
        name: "close",
        what: "a connection per request, 100 B, 64 at a time",
        kind: Kind::Load(CLOSE),
        goal: Some(0.85),
    },
    Case {
        name: "syscalls",
        what: "system calls per request; keep-alive, 100 B, 64 connections",
        kind: Kind::Syscalls(KEEP_64),
        goal: None,
    },
    Case {
        name: "idle",
        what: "memory per idle connection, each after one request",
        kind: Kind::Idle,
        goal: Some(2048.0),
    },
];

const TCP: &[Case] = &[
    Case {
        name: "keep-64",
        what: "HTTP keep-alive through TCP, 100 B, 64 connections",
        kind: Kind::Load(KEEP_64),
        goal: Some(0.85),
    },
    Case {
        name: "close",
        what: "a connection per request, 100 B, 64 at a time",
        kind: Kind::Load(CLOSE),
        goal: Some(0.85),
    },
    Case {
        name: "bulk",
        what: "bulk transfer, 1 MiB a request, 16 connections",
        kind: Kind::Load(BULK),
        goal: Some(0.85),
    },
    Case {
        name: "syscalls",
        what: "system calls per request; keep-alive, 100 B, 64 connections",
        kind: Kind::Syscalls(KEEP_64),
        goal: None,
    },
    Case {
        name: "idle",
        what: "memory per idle connection pair, each after one request",
        kind: Kind::Idle,
        goal: None,
    },
];

/// The cases of a mode.
pub(crate) fn of(mode: Mode) -> &'static [Case] {
    match mode {
        Mode::Http => HTTP,
        Mode::Tcp => TCP,
    }
}

/// What one measurement of one peer gave.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Sample {
    /// What the case is about: microseconds of CPU or system calls per request, bytes per connection.
    pub(crate) cost: f64,
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) errors: u64,
}

impl Kind {
    /// The unit of [`Sample::cost`].
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Kind::Load(_) => "µs CPU/request",
            Kind::Idle => "B/connection",
            Kind::Syscalls(_) => "syscalls/request",
        }
    }
}
