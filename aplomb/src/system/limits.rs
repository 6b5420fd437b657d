//! How many file descriptors this process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are neither a client's nor a backend's: listeners, logs, the admin API, probes' share aside.
const OWN: u64 = 256;

/// Raises the limit of descriptors to the most that is allowed, and says how many that is.
pub fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}

/// How many probes may be under way: a quarter of all descriptors, for traffic comes first.
#[must_use]
pub fn probes_at_once(descriptors: u64) -> usize {
    usize::try_from(descriptors / 4)
        .unwrap_or(usize::MAX)
        .clamp(16, 16_384)
}

/// The descriptors that this many client connections need at worst: each has one to a backend.
#[must_use]
pub fn needed(connections_per_worker: u32, workers: usize) -> u64 {
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    u64::from(connections_per_worker)
        .saturating_mul(2)
        .saturating_mul(workers)
        .saturating_add(OWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        let now = raise_descriptors();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(now, limit.maximum.unwrap_or(u64::MAX));
    }

    #[test]
    fn needs_are_counted_twice_for_each_connection() {
        assert_eq!(needed(1000, 2), 4000 + OWN);
        assert_eq!(probes_at_once(u64::MAX), 16_384);
        assert_eq!(probes_at_once(4), 16);
    }
}
