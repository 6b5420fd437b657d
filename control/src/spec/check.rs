//! Checks: what tells whether a backend is alive.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use serde::Serialize;

use super::value::{self, Bytes, Share};

/// One active check of a pool's backends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckSpec {
    /// What is asked and what must come back.
    pub probe: ProbeKind,
    /// From the end of one probe to the start of the next, while the backend is up.
    #[serde(serialize_with = "value::duration")]
    pub interval: Duration,
    /// The same while it is down.
    #[serde(serialize_with = "value::duration")]
    pub interval_down: Duration,
    /// How far a probe's start is moved at random, as a share of the interval, either way.
    pub jitter: Share,
    /// What one probe may take in all.
    #[serde(serialize_with = "value::duration")]
    pub timeout: Duration,
    /// Passes in a row that bring it up.
    pub rise: u16,
    /// Failures in a row that take it down.
    pub fall: u16,
    /// The port probed, if not the backend's.
    pub port: Option<u16>,
    /// The address probes come from; none: the kernel chooses.
    pub source: Option<IpAddr>,
    /// Holds back a backend that keeps changing: each change within `window` beyond `changes` doubles the time
    /// that it must pass before it comes up.
    pub damping: Option<DampingSpec>,
}

/// Flap damping of a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DampingSpec {
    /// Falls within `window` that are taken for normal.
    pub changes: u16,
    /// The time within which falls count.
    #[serde(serialize_with = "value::duration")]
    pub window: Duration,
    /// How long a backend is held down at the first fall too many; doubles with each further one.
    #[serde(serialize_with = "value::duration")]
    pub hold: Duration,
    /// The longest it is held down.
    #[serde(serialize_with = "value::duration")]
    pub max_hold: Duration,
}

/// What a check asks, and what must come back.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each check of a pool, shared by all its probes"
)]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// A TCP connection, and bytes sent and expected over it.
    Tcp {
        /// Sent once connected.
        #[serde(serialize_with = "value::opt_bytes")]
        send: Option<Vec<u8>>,
        /// Must appear in what comes back, within the first 64 KiB.
        expect: Option<Expect>,
    },
    /// An HTTP/1.1 request.
    Http(HttpProbe),
    /// A TLS handshake.
    Tls(TlsProbe),
    /// A datagram, and what must come back; without `expect`, only an ICMP error fails.
    Udp {
        /// The datagram.
        #[serde(serialize_with = "value::bytes")]
        send: Vec<u8>,
        /// Must appear in the answer.
        expect: Option<Expect>,
    },
    /// A DNS query over UDP.
    Dns {
        /// The name asked for.
        name: String,
        /// The record type, as text (`A`, `AAAA`, `SOA`, …).
        record: String,
        /// An answer that must be among those that come (text form of the record's data).
        expect: Option<String>,
    },
    /// A program of the operator's.
    Exec(ScriptSpec),
}

impl ProbeKind {
    /// The kind's name in config, `status` and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp { .. } => "tcp",
            Self::Http(_) => "http",
            Self::Tls(_) => "tls",
            Self::Udp { .. } => "udp",
            Self::Dns { .. } => "dns",
            Self::Exec(_) => "exec",
        }
    }
}

/// An HTTP probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HttpProbe {
    /// `GET`, `HEAD`, `OPTIONS`, `POST` …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The Host header; none: the backend's address.
    pub host: Option<String>,
    /// Further request headers.
    pub headers: Vec<(String, String)>,
    /// Statuses that pass, as inclusive ranges.
    #[serde(serialize_with = "value::ranges")]
    pub statuses: Vec<(u16, u16)>,
    /// Must appear in the body, within its first 64 KiB.
    pub body: Option<Expect>,
    /// Response header that must be there, with this value if one is given.
    pub header: Option<(String, Option<Expect>)>,
    /// Fails if the answer's head took longer, though it came.
    #[serde(serialize_with = "value::opt_duration")]
    pub latency: Option<Duration>,
    /// Asked over TLS.
    pub tls: Option<TlsProbe>,
}

/// A TLS handshake as probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TlsProbe {
    /// The name asked for (SNI); none: no SNI and no name check.
    pub server_name: Option<String>,
    /// Whether the certificate must be valid for the name and chain up to a trusted authority.
    pub verify: bool,
    /// The authorities trusted, a PEM file; none: the system's.
    pub ca: Option<PathBuf>,
    /// The least number of days that the certificate must still be valid for.
    pub min_days: Option<u32>,
}

/// What must appear in bytes that came back.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// These bytes, anywhere.
    Contains(#[serde(serialize_with = "value::bytes")] Vec<u8>),
    /// A regular expression (`~` before it in the config), checked at admission.
    Matches(String),
}

/// A program run as a check: exit status 0 passes. Its environment is empty but for `PATH` and
/// `APLOMB_POOL`, `APLOMB_ADDRESS`, `APLOMB_PORT`, `APLOMB_STATE`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScriptSpec {
    /// The program, an absolute path, and its arguments.
    pub command: Vec<String>,
    /// Output beyond this is thrown away.
    pub max_output: Bytes,
    /// The user it runs as, by name; none: the daemon's.
    pub user: Option<String>,
}

/// An agent check: the backend states its own weight and state, in HAProxy's text protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentSpec {
    /// The port asked, at the backend's check address.
    pub port: u16,
    /// Sent once connected.
    pub send: Option<String>,
    /// From the end of one query to the start of the next.
    #[serde(serialize_with = "value::duration")]
    pub interval: Duration,
    /// What one query may take.
    #[serde(serialize_with = "value::duration")]
    pub timeout: Duration,
}

/// What traffic itself tells of a backend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PassiveSpec {
    /// Failures in a row that eject it; none: they do not.
    pub consecutive: Option<u32>,
    /// Share of failures within `window` that ejects it; none: it does not.
    pub error_rate: Option<Share>,
    /// The fewest requests within `window` for `error_rate` to mean anything.
    pub min_requests: u32,
    /// The window that `error_rate` looks at.
    #[serde(serialize_with = "value::duration")]
    pub window: Duration,
    /// How long it is ejected the first time; times the number of ejections in a row after that.
    #[serde(serialize_with = "value::duration")]
    pub eject: Duration,
    /// The longest it is ejected.
    #[serde(serialize_with = "value::duration")]
    pub max_eject: Duration,
    /// No more than this share of a pool is ejected at a time (one backend may always be, if there are two).
    pub max_ejected: Share,
}

impl Default for PassiveSpec {
    fn default() -> Self {
        Self {
            consecutive: Some(5),
            error_rate: None,
            min_requests: 20,
            window: Duration::from_secs(10),
            eject: Duration::from_secs(10),
            max_eject: Duration::from_secs(300),
            max_ejected: Share::percent(50),
        }
    }
}
