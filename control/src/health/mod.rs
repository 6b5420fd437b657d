//! Who is alive: the health of each backend, from probes, agents, traffic and operators.
//!
//! `backend` puts together what four voices say of one backend: its checks (`active`, held back by
//! `damping` when they flap), its traffic (`passive`), its `agent` and the `operator`; `judge` says
//! which of them decides, `settle` what follows. None of them knows of a pool: what a pool can spare, and when
//! to look again, is for [`crate::engine`] to say; what follows for the planes, for [`crate::plan`].

pub(crate) mod active;
pub(crate) mod agent;
pub(crate) mod backend;
pub(crate) mod chance;
mod configure;
mod damping;
mod judge;
pub(crate) mod operator;
pub(crate) mod passive;
mod report;
mod settle;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::{
    active::{MIN_INTERVAL, PROBE_GRACE},
    agent::{AgentWish, AgentWord},
    operator::Override,
};
use crate::name::BackendKey;

/// A backend's state, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It takes work.
    Up,
    /// No check has said anything of it yet. In a new pool it takes work; added to a pool that is at work, it
    /// waits for its first passes unless nothing else is up.
    Checking,
    /// Checks, traffic or its agent say that it cannot.
    Down,
    /// No new work; what goes on may finish.
    Draining,
    /// An operator or the config took it out.
    Disabled,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Checking => "checking",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        })
    }
}

/// A change of a backend's state, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// The backend.
    pub backend: BackendKey,
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why, for people: `3 failures in a row: connection refused`.
    pub why: String,
}
