//! Probes: the questions asked of backends, and agents' answers.
//!
//! The engine says when a probe is due ([`control::engine::Action::Probe`]); the [`Prober`]'s one thread makes
//! thousands at a time and sends what came of each back as an event. One file for each kind of probe; each is
//! one async function that ends in a [`Verdict`], within the check's timeout over all it does.
//! Nothing here keeps state between probes but what is costly to make again (see `tools`).

mod agent;
mod attempt;
mod dns;
mod exec;
mod expect;
mod failure;
mod http;
mod prober;
mod tcp;
mod tls;
mod tools;
mod udp;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc};

use control::{
    engine::ProbeFailure,
    health::State,
    name::BackendKey,
    spec::{AgentSpec, CheckSpec},
};

pub(crate) use self::exec::{PATH as SCRIPT_PATH, confine};
pub use self::prober::Prober;

/// How a probe ended: passed, or why not.
type Verdict = Result<(), ProbeFailure>;

/// What is kept of an answer, in bytes; what must appear in it must appear within these.
const KEPT: usize = 64 * 1024;

/// One thing to ask, as the engine's action says.
#[derive(Debug)]
pub enum Job {
    /// A probe.
    Check {
        /// The backend.
        backend: BackendKey,
        /// Which of its pool's checks.
        check: usize,
        /// Names this probe in the answer.
        id: u64,
        /// What is asked.
        spec: Arc<CheckSpec>,
        /// Where.
        target: SocketAddr,
        /// The backend's state, for scripts.
        state: State,
    },
    /// A query of an agent.
    Agent {
        /// The backend.
        backend: BackendKey,
        /// Names this query in the answer.
        id: u64,
        /// How it is asked.
        spec: Arc<AgentSpec>,
        /// Where.
        target: SocketAddr,
    },
}
