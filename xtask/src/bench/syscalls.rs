//! Counting system calls: by perf where the kernel lets it (it hardly slows what it counts), by
//! strace elsewhere (a count that is right, of a process that is not at its usual speed).

use super::process::{Cores, Process, run_bounded};
use crate::Result;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A count that is running.
pub(crate) enum Counter {
    Perf(Process),
    Strace(Process),
}

impl Counter {
    /// Begins to count the calls of `processes`; `report` is the file for the result.
    pub(crate) fn start(processes: &[u32], length: Duration, report: &Path) -> Result<Counter> {
        let list = processes
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(",");
        if perf_works() {
            let mut perf = Command::new("perf");
            perf.args([
                "stat",
                "-x,",
                "-e",
                "raw_syscalls:sys_enter",
                "-p",
                &list,
                "-o",
            ]);
            perf.arg(report)
                .arg("--")
                .args(["sleep", &length.as_secs_f64().to_string()]);
            return Ok(Counter::Perf(Process::start(&mut perf, Cores::Others)?));
        }
        let mut strace = Command::new("strace");
        strace
            .args(["-c", "-f", "-q", "-o"])
            .arg(report)
            .stderr(Stdio::null());
        for id in processes {
            strace.args(["-p", &id.to_string()]);
        }
        Ok(Counter::Strace(Process::start(&mut strace, Cores::Others)?))
    }

    /// Ends the count: the number of calls.
    pub(crate) fn finish(self, report: &Path) -> Result<u64> {
        let (mut process, perf) = match self {
            Counter::Perf(process) => (process, true),
            Counter::Strace(process) => (process, false),
        };
        if perf {
            let _ = process.child().wait();
        }
        // strace writes its table when it is asked to end.
        drop(process);
        let text =
            std::fs::read_to_string(report).map_err(|e| format!("{}: {e}", report.display()))?;
        let calls = if perf {
            read_perf(&text)
        } else {
            read_strace(&text)
        };
        calls.ok_or_else(|| format!("no count of system calls in:\n{text}"))
    }
}

fn perf_works() -> bool {
    let mut perf = Command::new("perf");
    perf.args(["stat", "-e", "raw_syscalls:sys_enter", "--", "true"]);
    perf.stdout(Stdio::null()).stderr(Stdio::null());
    run_bounded(&mut perf, Cores::Any, Duration::from_secs(10)).is_ok()
}

/// "1234,,raw_syscalls:sys_enter,…"
fn read_perf(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.contains("raw_syscalls:sys_enter"))?;
    line.split(',').next()?.parse().ok()
}

/// "100.00    0.123456           1    123456        12 total"
fn read_strace(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.trim_end().ends_with("total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        let perf = "# started on …\n\n1553924,,raw_syscalls:sys_enter,423223380,100.00,,\n";
        assert_eq!(read_perf(perf), Some(1_553_924));
        assert_eq!(read_perf("<not supported>,,raw_syscalls:sys_enter,0"), None);
        let strace = "% time seconds usecs/call calls errors syscall\n------\n\
                      100.00    0.102354           2     42130        12 total\n";
        assert_eq!(read_strace(strace), Some(42_130));
    }
}
