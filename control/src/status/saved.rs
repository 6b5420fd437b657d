//! What one process tells the next of the backends.

use serde::{Deserialize, Serialize};

use super::Seconds;
use crate::{
    health::{AgentWord, Override},
    name::BackendKey,
};

/// What a process that takes over must know beside the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// What is known of each backend.
    pub backends: Vec<SavedBackend>,
}

/// What is known of one backend. What a newer process does not find here it begins without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedBackend {
    /// The backend.
    pub key: BackendKey,
    /// How long it has been in its state.
    #[serde(default)]
    pub since: Seconds,
    /// The state that an operator has set.
    #[serde(default)]
    pub operator: Option<Override>,
    /// How long an operator's drain may still last.
    #[serde(default)]
    pub drain_left: Option<Seconds>,
    /// The weight that an operator has set.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Its checks, in config order.
    #[serde(default)]
    pub checks: Vec<SavedCheck>,
    /// What its agent has said.
    #[serde(default)]
    pub agent: Option<AgentWord>,
    /// Ejections in a row.
    #[serde(default)]
    pub repeats: u32,
    /// The ejection that lasts.
    #[serde(default)]
    pub ejection: Option<SavedEjection>,
    /// How long ago it came up, if it rises slowly since.
    #[serde(default)]
    pub rising: Option<Seconds>,
    /// Whether it takes work before its first check.
    #[serde(default)]
    pub trusted: bool,
    /// How often it went from up to down.
    #[serde(default)]
    pub flaps: u64,
}

/// What is known of one check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedCheck {
    /// Whether it passes.
    pub passing: Option<bool>,
    /// How long it is still held down.
    #[serde(default)]
    pub held: Option<Seconds>,
}

/// An ejection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedEjection {
    /// How long it still lasts.
    pub left: Seconds,
    /// What traffic had told.
    pub why: String,
}
