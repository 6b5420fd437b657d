//! What a node is and does: the answer to `GET /v1/status`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A node at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Status {
    /// The program's version.
    pub version: String,
    /// The daemon's process id.
    pub pid: u32,
    /// How long this process has been running, in seconds.
    pub uptime_seconds: f64,
    /// What the process is doing.
    pub phase: Phase,
    /// The plan in force: grows by one with each, whether by a new configuration or by a change of health.
    pub generation: u64,
    /// The configuration that is in force.
    pub config: ConfigStatus,
    /// How many worker threads carry traffic.
    pub workers: usize,
    /// Services, by name.
    pub services: Vec<ServiceStatus>,
    /// Pools, by name.
    pub pools: Vec<PoolStatus>,
    /// The kernel data plane, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l4: Option<super::L4Status>,
    /// Virtual addresses, in the order of the configuration: one entry for each family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vips: Vec<super::VipStatus>,
}

/// What a daemon is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// It is not ready yet.
    Starting,
    /// It takes traffic.
    #[default]
    Serving,
    /// A successor is being started; it still serves.
    HandingOver,
    /// It takes no new traffic and finishes what goes on.
    Leaving,
}

/// The configuration that is in force.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct ConfigStatus {
    /// The file that `reload` reads.
    pub path: String,
    /// When it was applied, in seconds since 1970.
    pub applied_at: f64,
    /// Why the last attempt to apply a configuration was refused, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refused: Option<String>,
}

/// A service at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// What it does: `http`, `tcp`, `udp`, or how the kernel forwards it.
    pub kind: String,
    /// Where it listens.
    pub listen: Vec<String>,
    /// The pools it can lead to.
    pub pools: Vec<String>,
    /// Client connections (UDP: flows) that are open.
    pub connections: u64,
    /// Requests (TCP: connections, UDP: flows) per second, over the last seconds.
    pub rate: f64,
    /// Answers with a status of 500 or more, and connections that failed by our or a backend's fault, per second.
    pub error_rate: f64,
    /// Bytes per second from clients, over the last seconds.
    pub received_rate: f64,
    /// Bytes per second to clients, over the last seconds.
    pub sent_rate: f64,
    /// Why it does not listen, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What the kernel counts of it, if the kernel forwards it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<super::KernelService>,
}

/// A pool at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct PoolStatus {
    /// Its name.
    pub name: String,
    /// How a backend is chosen.
    pub balance: String,
    /// Too few backends are up, so all of them are tried.
    pub panic: bool,
    /// How many requests wait for a backend.
    pub queued: u64,
    /// Backends in the order of the configuration, then those that were removed and still drain.
    pub backends: Vec<BackendStatus>,
}

/// A backend's state.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BackendState {
    /// It takes work.
    #[default]
    Up,
    /// No check has said anything of it yet.
    Checking,
    /// Checks, traffic or its agent say that it cannot.
    Down,
    /// No new work; what goes on may finish.
    Draining,
    /// An operator or the configuration took it out.
    Disabled,
}

impl BackendState {
    /// All there are, as the metrics name them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Up,
        Self::Checking,
        Self::Down,
        Self::Draining,
        Self::Disabled,
    ];

    /// Whether it takes work.
    pub(crate) fn is_up(self) -> bool {
        self == Self::Up
    }

    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Checking => "checking",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

impl From<control::health::State> for BackendState {
    fn from(state: control::health::State) -> Self {
        use control::health::State;
        match state {
            State::Up => Self::Up,
            State::Checking => Self::Checking,
            State::Down => Self::Down,
            State::Draining => Self::Draining,
            State::Disabled => Self::Disabled,
        }
    }
}

/// A backend at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct BackendStatus {
    /// Where it listens.
    pub address: String,
    /// Its state.
    pub state: BackendState,
    /// How long it has been in this state, in seconds.
    pub since_seconds: f64,
    /// Why it is in this state, for people.
    pub why: String,
    /// Its weight as it counts now.
    pub weight: u32,
    /// Its weight in the configuration.
    pub configured_weight: u32,
    /// Takes work only when no other can.
    pub backup: bool,
    /// Requests or connections that are going on. Of a backend that drains, these are what is left.
    pub in_flight: u64,
    /// How many of them the kernel forwards, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<super::KernelLoad>,
    /// The most of them at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Requests or connections per second given to it, over the last seconds.
    pub rate: f64,
    /// The moving average of its latency in seconds, if it has answered anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_seconds: Option<f64>,
    /// Traffic has it ejected.
    pub ejected: bool,
    /// The configuration no longer has it; it drains.
    pub removed: bool,
    /// Its active checks, in the order of the configuration.
    pub checks: Vec<CheckStatus>,
}

impl BackendStatus {
    /// Why it is in its state, and what failing checks last saw where that says more.
    pub(crate) fn whole_why(&self) -> String {
        let mut why = self.why.clone();
        for check in &self.checks {
            let says_more = !check.detail.is_empty() && !why.contains(&check.detail);
            if check.passing == Some(false) && says_more {
                let gap = if why.is_empty() { "" } else { "; " };
                why = format!("{why}{gap}{}: {}", check.name, check.detail);
            }
        }
        why
    }
}

/// One check of a backend.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct CheckStatus {
    /// What is asked: `http /healthz`, `tcp` …
    pub name: String,
    /// Whether it holds the backend for alive; none before the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passing: Option<bool>,
    /// What the last probe saw: empty if it passed.
    pub detail: String,
    /// How long the last probe took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_seconds: Option<f64>,
}
