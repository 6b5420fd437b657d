//! What the kernel says of this process (proc(5)).

use std::fs;

use crate::api::model::DaemonStats;

/// Puts what the kernel says into `stats`; what it does not say stays 0.
pub(crate) fn read(stats: &mut DaemonStats) {
    if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
        from_stat(&stat, stats);
    }
    stats.open_fds = fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count() as u64);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    stats.max_fds = limit.current.unwrap_or(u64::MAX);
}

/// Fields of /proc/self/stat, counted from the one after the name in parentheses, which may hold anything.
fn from_stat(stat: &str, stats: &mut DaemonStats) {
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return;
    };
    let fields: Vec<u64> = rest
        .split_ascii_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    stats.cpu_seconds = (field(14) + field(15)) as f64 / ticks;
    stats.threads = field(20);
    stats.virtual_bytes = field(23);
    stats.resident_bytes = field(24) * rustix::param::page_size() as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_name_does_not_shift_the_fields() {
        let mut stats = DaemonStats::default();
        let stat = "1 (a) b) S 1 1 1 0 -1 4194560 1 2 3 4 500 250 0 0 20 0 7 0 99 4096 2 1";
        from_stat(stat, &mut stats);
        assert_eq!((stats.threads, stats.virtual_bytes), (7, 4096));
        assert_eq!(stats.resident_bytes, 2 * rustix::param::page_size() as u64);
        assert!(stats.cpu_seconds > 0.0);
    }

    #[test]
    fn this_process_is_there() {
        let mut stats = DaemonStats::default();
        read(&mut stats);
        assert!(stats.resident_bytes > 100_000 && stats.open_fds > 2);
        assert!(stats.max_fds >= stats.open_fds && stats.threads > 0);
    }
}
