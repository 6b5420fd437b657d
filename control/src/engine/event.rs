//! What can happen to a node, and what it can do about it.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    health::State,
    name::BackendKey,
    plan::Plan,
    role::RoleChange,
    spec::{AgentSpec, CheckSpec, Spec},
};

/// All that can happen to a node.
#[derive(Debug)]
pub enum Event {
    /// A new configuration was admitted.
    Apply(Arc<Spec>),
    /// A probe that [`Action::Probe`] asked for has ended.
    Probed {
        /// The backend.
        backend: BackendKey,
        /// Which of its pool's checks, as in the action.
        check: usize,
        /// The probe, as in the action; an answer to one no longer awaited is dropped.
        id: u64,
        /// What came of it.
        result: ProbeResult,
    },
    /// An agent that [`Action::AskAgent`] asked has answered, or not.
    Agent {
        /// The backend.
        backend: BackendKey,
        /// The query, as in the action.
        id: u64,
        /// The line it sent (at most 1 KiB), or why there is none.
        reply: Result<String, ProbeFailure>,
    },
    /// What traffic told of a backend.
    Traffic(PassiveSample),
    /// An operator asks for something.
    Operate(Operation),
    /// User space reports that nothing goes on there any more on a backend that was told to finish.
    Drained(BackendKey),
    /// The kernel data plane reports the same of its flows. It is awaited for backends of pools that a service which
    /// the kernel forwards leads to, and for no others.
    DrainedInKernel(BackendKey),
    /// The net plane reports what became of this node for a vip.
    Role(RoleChange),
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// Passed, or why not.
    pub outcome: Result<(), ProbeFailure>,
    /// How long it took.
    pub took: Duration,
}

/// Why a probe did not pass: what it was doing, and what happened; both go to logs and `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFailure {
    /// The kind of failure, a bounded set for metrics.
    pub kind: Failure,
    /// What happened, for people: `status 503`, `connection refused` …
    pub detail: String,
}

/// The kinds of failure of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The connection could not be made.
    Connect,
    /// Something did not come in time.
    Timeout,
    /// The TLS handshake or the certificate failed.
    Tls,
    /// Something came that is not of the protocol.
    Protocol,
    /// Something of the protocol came that was not what must come.
    Unexpected,
    /// It came right, but too late.
    Slow,
    /// The script failed.
    Script,
    /// The probe could not be made on this node (no file descriptors): it says nothing of the backend and
    /// neither passes nor fails.
    Local,
}

/// What traffic told of a backend since the last sample of the same plane and worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassiveSample {
    /// The backend.
    pub backend: BackendKey,
    /// Requests or connections that went well.
    pub passed: u32,
    /// Those that did not, by the backend's fault.
    pub failed: u32,
    /// Failures since the last one that went well, as the reporting worker saw them.
    pub failed_in_a_row: u32,
}

/// What an operator can ask of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// No new work; what goes on may finish, for at most this long if given.
    Drain(BackendKey, Option<Duration>),
    /// No work, and no checks.
    Disable(BackendKey),
    /// Undoes drain and disable, and ends an ejection.
    Enable(BackendKey),
    /// Another weight than the configured one; none: the configured one again.
    Weight(BackendKey, Option<u32>),
}

impl Operation {
    /// The backend that it is about.
    #[must_use]
    pub fn backend(&self) -> &BackendKey {
        match self {
            Self::Drain(key, _) | Self::Disable(key) | Self::Enable(key) | Self::Weight(key, _) => {
                key
            }
        }
    }
}

/// All that a node can do.
#[derive(Debug)]
pub enum Action {
    /// Every plane becomes what this says.
    Plan(Arc<Plan>),
    /// A probe is to be made.
    Probe {
        /// The backend.
        backend: BackendKey,
        /// Which of the pool's checks.
        check: usize,
        /// Names this probe in the answer.
        id: u64,
        /// What is asked; where: its `port`, or else the backend's check address, or else its address.
        spec: Arc<CheckSpec>,
        /// Where the probe goes.
        target: std::net::SocketAddr,
        /// The backend's state now, which scripts are told.
        state: State,
    },
    /// An agent is to be asked.
    AskAgent {
        /// The backend.
        backend: BackendKey,
        /// Names this query in the answer.
        id: u64,
        /// How it is asked.
        spec: Arc<AgentSpec>,
        /// Where the query goes.
        target: std::net::SocketAddr,
    },
    /// The answer to the last [`Event::Apply`] or [`Event::Operate`].
    Answer(Answer),
    /// A backend's state changed: log it and count it.
    Transition(crate::health::Transition),
}

/// The answer to what was asked.
pub type Answer = Result<(), Refusal>;

/// Why something asked for was not done; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// There is no such pool.
    NoSuchPool,
    /// The pool has no such backend.
    NoSuchBackend,
}
