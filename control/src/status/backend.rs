//! What is known of one backend.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Seconds;
use crate::{
    engine::ProbeFailure,
    health::{AgentWord, Override, State},
    name::{BackendKey, Name},
};

/// What is known of one backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendStatus {
    /// The pool it belongs to.
    pub pool: Name,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its state.
    pub state: State,
    /// How long it has been in that state.
    pub since: Seconds,
    /// Why it is in that state, for people.
    pub why: String,
    /// Its weight, and who says so.
    pub weight: WeightStatus,
    /// Takes work only when no other can.
    pub backup: bool,
    /// The most requests or connections at a time, as it counts now.
    pub max_connections: Option<u32>,
    /// What an operator has set.
    pub operator: OperatorStatus,
    /// Its active checks, in config order.
    pub checks: Vec<CheckStatus>,
    /// Its agent, if its pool has them.
    pub agent: Option<AgentStatus>,
    /// What traffic tells of it.
    pub traffic: TrafficStatus,
    /// How often it went from up to down.
    pub flaps: u64,
    /// The configuration no longer has it; it drains.
    pub removed: bool,
    /// It was told to finish, and nothing goes on any more.
    pub drained: bool,
}

impl BackendStatus {
    /// What names it.
    #[must_use]
    pub fn key(&self) -> BackendKey {
        BackendKey {
            pool: self.pool.clone(),
            address: self.address,
        }
    }
}

/// A backend's weight, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightStatus {
    /// As configured.
    pub configured: u32,
    /// As it counts now (slow start aside).
    pub effective: u32,
    /// As an operator has set it.
    pub operator: Option<u32>,
    /// The agent's share of the configured one, in percent.
    pub agent_percent: Option<u32>,
}

/// What an operator has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OperatorStatus {
    /// Which state it shall be in.
    pub state: Option<Override>,
    /// How long a drain may still last.
    pub drain_left: Option<Seconds>,
}

/// One active check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// `tcp`, `http`, `tls`, `udp`, `dns` or `exec`.
    pub kind: String,
    /// Whether it passes; none: not known yet.
    pub passing: Option<bool>,
    /// How many results in a row were like the last.
    pub in_a_row: u16,
    /// The last probe that ended.
    pub last: Option<LastCheck>,
    /// Probes that passed.
    pub passed: u64,
    /// Probes that failed.
    pub failed: u64,
    /// How often it went from passing to failing.
    pub falls: u64,
    /// How long it is still held down for changing too often.
    pub held: Option<Seconds>,
}

/// The last probe of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastCheck {
    /// How long ago it ended.
    pub ago: Seconds,
    /// How long it took.
    pub took: Seconds,
    /// Why it failed; none: it passed.
    pub failure: Option<ProbeFailure>,
}

/// A backend's agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// All that it has said so far.
    pub word: AgentWord,
    /// How long ago it was last asked, to the end.
    pub ago: Option<Seconds>,
    /// Why the last answer changed nothing: the agent was not reached, or did not speak the protocol.
    pub ignored: Option<String>,
}

/// What traffic tells of a backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrafficStatus {
    /// Requests or connections that went well.
    pub passed: u64,
    /// Those that did not, by the backend's fault.
    pub failed: u64,
    /// Failures since the last success.
    pub failed_in_a_row: u32,
    /// How often it was ejected.
    pub ejections: u64,
    /// The ejection that lasts.
    pub ejected: Option<EjectionStatus>,
}

/// A backend that is out of its pool for what traffic told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EjectionStatus {
    /// What traffic told.
    pub why: String,
    /// How long it still lasts.
    pub left: Seconds,
    /// Which one in a row it is; each is longer than the one before.
    pub repeat: u32,
}
