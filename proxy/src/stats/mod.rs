//! What the plane counts: written by each worker for itself, summed when read.
//!
//! [`number`] holds the kinds of numbers, [`fault`] the bounded set of errors, [`counters`] what is counted of
//! services, backends and workers. The sums are [`Stats`].

mod counters;
mod fault;
mod number;

use std::collections::BTreeMap;

use control::name::{BackendKey, Name};

pub use self::{
    counters::{
        BackendCounters, BackendStats, Padded, ServiceCounters, ServiceStats, WorkerCounters,
        WorkerStats,
    },
    fault::{Fault, Reason, Side},
    number::{Counter, Histogram, HistogramStats},
};

/// What the plane has counted since it started, summed over its workers.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Services that are in the plan or still have connections.
    pub services: BTreeMap<Name, ServiceStats>,
    /// Pools in the plan.
    pub pools: BTreeMap<Name, PoolStats>,
    /// Backends that are in the plan or still have something in flight.
    pub backends: BTreeMap<BackendKey, BackendSummary>,
    /// The workers themselves.
    pub workers: WorkerStats,
    /// Connections and flows open on each worker.
    pub worker_connections: Vec<u64>,
}

/// A pool as a whole, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Requests and connections that wait for a backend with room.
    pub queued: u32,
}

/// One backend, now and in sum.
#[derive(Clone, Debug, Default)]
pub struct BackendSummary {
    /// Requests (HTTP), connections (TCP) and flows (UDP) in flight on it now.
    pub in_flight: u32,
    /// The moving average of its latency, once known.
    pub latency: Option<std::time::Duration>,
    /// What was counted.
    pub counted: BackendStats,
}
