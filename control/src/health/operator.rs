//! What an operator wants of a backend; it wins over the configuration and the agent.

use serde::{Deserialize, Serialize};

use crate::time::Instant;

/// What an operator has set on a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Operator {
    /// Which state it shall be in, if not the one that follows from everything else.
    pub(crate) state: Option<Override>,
    /// When a drain's connections are cut; none: never.
    pub(crate) drain_until: Option<Instant>,
    /// Another weight than the configured one.
    pub(crate) weight: Option<u32>,
}

/// The state that an operator has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Override {
    /// No new work; what goes on may finish.
    Drain,
    /// No work and no checks.
    Disable,
    /// In use, though the configuration or its agent say otherwise. It ends by itself when they no longer do.
    Enable,
}
