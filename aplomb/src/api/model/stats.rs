//! Counters since the process began: the answer to `GET /v1/stats`, and what the metrics are made of.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All counters of a node at one moment. They only grow, but for those that say "now".
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Stats {
    /// When they were read: seconds since the process began, monotonic.
    pub at_seconds: f64,
    /// The daemon itself.
    pub daemon: DaemonStats,
    /// Services, by name.
    pub services: Vec<ServiceStats>,
    /// Pools, by name.
    pub pools: Vec<PoolStats>,
    /// The kernel data plane, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l4: Option<L4Stats>,
}

/// The kernel data plane's numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct L4Stats {
    /// The plane as a whole.
    pub status: super::L4Status,
    /// Its services, by name. They are in the list of all services too, with what all services have.
    pub services: Vec<super::KernelService>,
}

/// The daemon itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct DaemonStats {
    /// The plan in force.
    pub generation: u64,
    /// Configurations that were applied.
    pub reloads_applied: u64,
    /// Configurations that were refused.
    pub reloads_refused: u64,
    /// When the configuration in force was applied, in seconds since 1970.
    pub config_applied_at: f64,
    /// Connections and flows open on each worker now.
    pub worker_connections: Vec<u64>,
    /// Connections that could not be accepted.
    pub accept_errors: u64,
    /// Connections and flows cut because a drain ended.
    pub connections_cut: u64,
    /// Access-log lines that were dropped because the log could not keep up.
    pub log_lines_dropped: u64,
    /// What traffic told of backends, dropped because the engine could not keep up.
    #[serde(default)]
    pub samples_dropped: u64,
    /// Resident memory now, in bytes.
    pub resident_bytes: u64,
    /// Virtual memory now, in bytes.
    pub virtual_bytes: u64,
    /// Open file descriptors now.
    pub open_fds: u64,
    /// The most file descriptors that may be open.
    pub max_fds: u64,
    /// Threads now.
    pub threads: u64,
    /// User and system time used, in seconds.
    pub cpu_seconds: f64,
    /// When the process began, in seconds since 1970.
    pub started_at: f64,
}

/// One service.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceStats {
    /// Its name.
    pub name: String,
    /// Client connections (UDP: flows) open now.
    pub connections_open: u64,
    /// Client connections (UDP: flows) ever.
    pub connections: u64,
    /// Requests being served now; HTTP services only.
    pub requests_open: u64,
    /// Bytes from clients.
    pub received_bytes: u64,
    /// Bytes to clients.
    pub sent_bytes: u64,
    /// Requests by what became of them; HTTP services only.
    pub responses: Vec<ResponseCount>,
    /// What failed, by whose fault and why.
    pub errors: Vec<ErrorCount>,
    /// Times that something was tried again on another backend.
    pub retries: u64,
    /// Retries not made because the budget was spent.
    pub retries_over_budget: u64,
    /// Datagrams from clients that were dropped.
    pub datagrams_dropped: u64,
    /// From a request's first byte to its answer's last one; TCP and UDP: how long it lasted.
    pub duration: Histogram,
}

impl ServiceStats {
    /// What `status` and `top` count as its work: requests, or connections where there are no requests.
    pub(crate) fn work(&self) -> u64 {
        match self.responses.iter().map(|r| r.count).sum() {
            0 => self.connections,
            requests => requests,
        }
    }

    /// Answers of class 5xx, and errors that are not the client's where there are no answers.
    pub(crate) fn failures(&self) -> u64 {
        let answered = self.responses.iter().any(|r| r.count > 0);
        if answered {
            let failed = self.responses.iter().filter(|r| r.class == "5xx");
            return failed.map(|r| r.count).sum();
        }
        let failed = self.errors.iter().filter(|e| e.side != "client");
        failed.map(|e| e.count).sum()
    }
}

/// How many requests came to this.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct ResponseCount {
    /// The class of the answer's status, `1xx` to `5xx`; `none` if there never was an answer.
    pub class: String,
    /// How many.
    pub count: u64,
}

/// How often something failed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct ErrorCount {
    /// Whose fault it was: `client`, `backend`, or `proxy` (ours).
    pub side: String,
    /// Why, one of a fixed set.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// A distribution of durations.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Histogram {
    /// Upper bounds of the buckets in seconds, growing; the last bucket beyond them has none.
    pub bounds: Vec<f64>,
    /// How many fell into each bucket alone; one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum of all, in seconds.
    pub sum_seconds: f64,
}

impl Histogram {
    /// How many there are in all.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What has come since `earlier`; all of it if `earlier` is of another make, or of a process before.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        if self.bounds != earlier.bounds
            || self.counts.len() != earlier.counts.len()
            || self
                .counts
                .iter()
                .zip(&earlier.counts)
                .any(|(now, then)| now < then)
        {
            return self.clone();
        }
        Self {
            bounds: self.bounds.clone(),
            counts: self
                .counts
                .iter()
                .zip(&earlier.counts)
                .map(|(now, then)| now - then)
                .collect(),
            sum_seconds: (self.sum_seconds - earlier.sum_seconds).max(0.0),
        }
    }

    /// The duration in seconds that a `share` (0 to 1) of all stay below, to the width of a bucket; none if
    /// there is nothing. What lies beyond the last bound counts as that bound.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let wanted = (share * total as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            if below + count < wanted {
                below += count;
                continue;
            }
            let Some(upper) = self.bounds.get(index).copied() else {
                break;
            };
            let lower = index
                .checked_sub(1)
                .and_then(|i| self.bounds.get(i).copied())
                .unwrap_or(0.0);
            let share = (wanted - below) as f64 / *count as f64;
            return Some((lower + (upper - lower) * share).min(upper));
        }
        self.bounds.last().copied()
    }
}

/// One pool.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct PoolStats {
    /// Its name.
    pub name: String,
    /// Requests that wait for a backend now.
    pub queued: u64,
    /// All backends are tried because too few are up.
    pub panic: bool,
    /// Its backends.
    pub backends: Vec<BackendStats>,
}

/// One backend.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct BackendStats {
    /// Where it listens.
    pub address: String,
    /// Its state now.
    pub state: super::BackendState,
    /// Its weight now.
    pub weight: u32,
    /// Requests or connections in flight on it now.
    pub in_flight: u64,
    /// The moving average of its latency now, in seconds, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_seconds: Option<f64>,
    /// Connections to it that are open now, in use or idle.
    pub connections_open: u64,
    /// Those of them that are idle.
    pub connections_idle: u64,
    /// Connections to it ever.
    pub connections: u64,
    /// Requests that went over a kept connection.
    pub connections_reused: u64,
    /// Requests sent to it.
    pub requests: u64,
    /// Times that it was tried because another had failed.
    pub retries: u64,
    /// Bytes to it.
    pub sent_bytes: u64,
    /// Bytes from it.
    pub received_bytes: u64,
    /// Its responses by class.
    pub responses: Vec<ResponseCount>,
    /// What failed on it, by whose fault and why.
    pub errors: Vec<ErrorCount>,
    /// How long connections to it took to be made.
    pub connect_time: Histogram,
    /// From the end of a request to the first byte of its response.
    pub response_time: Histogram,
    /// Ejections because of what traffic said.
    pub ejections: u64,
    /// Times that it went from up to down.
    pub flaps: u64,
    /// Its checks, in the order of the configuration.
    pub checks: Vec<CheckStats>,
}

impl BackendStats {
    /// What counts as its work: requests, or connections where there are no requests.
    pub(crate) fn work(&self) -> u64 {
        match self.requests {
            0 => self.connections,
            requests => requests,
        }
    }
}

/// One check of one backend.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct CheckStats {
    /// What is asked: `http`, `tcp` …, with its place in the list if there are several.
    pub name: String,
    /// Probes that passed.
    pub passed: u64,
    /// Probes that did not.
    pub failed: u64,
    /// How long the last one took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_seconds: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    fn histogram(counts: &[u64]) -> Histogram {
        Histogram {
            bounds: vec![0.001, 0.01, 0.1],
            counts: counts.to_vec(),
            sum_seconds: 1.0,
        }
    }

    #[test]
    fn quantiles_lie_in_their_bucket() {
        let of = histogram(&[50, 40, 9, 1]);
        assert_eq!(of.count(), 100);
        assert!(of.quantile(0.5).is_some_and(|q| (q - 0.001).abs() < 1e-9));
        assert!(of.quantile(0.9).is_some_and(|q| (q - 0.01).abs() < 1e-9));
        assert_eq!(of.quantile(1.0), Some(0.1));
        assert_eq!(histogram(&[0, 0, 0, 0]).quantile(0.5), None);
    }

    #[test]
    fn a_difference_starts_again_with_a_new_process() {
        let before = histogram(&[5, 1, 0, 0]);
        assert_eq!(histogram(&[7, 1, 0, 0]).since(&before).counts, [2, 0, 0, 0]);
        assert_eq!(histogram(&[1, 0, 0, 0]).since(&before).counts, [1, 0, 0, 0]);
    }
}
