//! What is known of the backends, for people and programs: the admin API serves it, the command line shows it,
//! metrics count by it; and what one process tells the next of it at a hand-over.
//!
//! Times are ages and remainders, never points on a clock that only one process knows; in JSON they are seconds.

mod backend;
mod saved;

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::{
    backend::{
        AgentStatus, BackendStatus, CheckStatus, EjectionStatus, LastCheck, OperatorStatus,
        TrafficStatus, WeightStatus,
    },
    saved::{Saved, SavedBackend, SavedCheck, SavedEjection},
};

/// A length of time as JSON has it: seconds, with a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Seconds(pub Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let duration = Duration::try_from_secs_f64(seconds);
        duration.map(Self).map_err(serde::de::Error::custom)
    }
}
