//! Load by wrk, and what it reports.

use super::process::{Cores, Process};
use crate::Result;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How much load, and of which kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) path: &'static str,
    /// A new connection for each request.
    pub(crate) close: bool,
}

/// What the clients saw.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Connections that broke or timed out, and answers other than 2xx and 3xx.
    pub(crate) errors: u64,
}

impl Load {
    /// Puts this load on 127.0.0.1:`port` for `length`, and waits for its end.
    pub(crate) fn run(self, port: u16, length: Duration, cores: Cores) -> Result<Seen> {
        Running::start(self, port, length, cores)?.finish()
    }
}

/// A load that is being put on.
pub(crate) struct Running {
    wrk: Process,
    until: Instant,
}

impl Running {
    pub(crate) fn start(load: Load, port: u16, length: Duration, cores: Cores) -> Result<Running> {
        let mut wrk = Command::new("wrk");
        wrk.args(["--threads", "1", "--latency", "--timeout", "5s"])
            .args(["--connections", &load.connections.to_string()])
            .args(["--duration", &format!("{}s", length.as_secs().max(1))])
            .stdout(Stdio::piped());
        if load.close {
            wrk.args(["--header", "Connection: close"]);
        }
        wrk.arg(format!("http://127.0.0.1:{port}{}", load.path));
        let wrk = Process::start(&mut wrk, cores)?;
        Ok(Running {
            wrk,
            until: Instant::now() + length + Duration::from_secs(20),
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When wrk fails, or is not done long after its time.
    pub(crate) fn finish(mut self) -> Result<Seen> {
        while self.wrk.is_running() {
            if Instant::now() > self.until {
                return Err("wrk does not end".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut text = String::new();
        if let Some(stdout) = self.wrk.child().stdout.as_mut() {
            stdout
                .read_to_string(&mut text)
                .map_err(|e| format!("wrk: {e}"))?;
        }
        parse(&text).ok_or_else(|| format!("wrk said something else than expected:\n{text}"))
    }
}

fn parse(text: &str) -> Option<Seen> {
    let line = |mark: &str| {
        text.lines()
            .map(str::trim)
            .find(|line| line.starts_with(mark))
    };
    let after =
        |mark: &str| line(mark).and_then(|line| line[mark.len()..].split_whitespace().next());
    let mut errors = after("Non-2xx or 3xx responses:").map_or(Some(0), |n| n.parse().ok())?;
    if let Some(sockets) = line("Socket errors:") {
        let numbers = sockets
            .split([' ', ','])
            .filter_map(|word| word.parse::<u64>().ok());
        errors += numbers.sum::<u64>();
    }
    let requests = text.lines().find(|line| line.contains(" requests in "))?;
    Some(Seen {
        requests: requests.split_whitespace().next()?.parse().ok()?,
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50_us: microseconds(after("50%")?)?,
        p99_us: microseconds(after("99%")?)?,
        errors,
    })
}

/// Reads "812.00us", "1.23ms", "1.02s", "1.50m".
fn microseconds(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let factor = match &text[unit..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        _ => return None,
    };
    Some(text[..unit].parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
Running 2s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.21ms  310.50us   9.90ms   91.00%
    Req/Sec    53.01k     2.10k   55.90k    85.00%
  Latency Distribution
     50%  812.00us
     75%    1.30ms
     90%    1.50ms
     99%    2.41ms
  105612 requests in 2.00s, 20.14MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  52806.00
Transfer/sec:     10.07MB
";

    #[test]
    fn a_report_is_read() {
        let seen = Seen {
            requests: 105_612,
            per_second: 52_806.0,
            p50_us: 812.0,
            p99_us: 2410.0,
            errors: 15,
        };
        assert_eq!(parse(REPORT), Some(seen));
    }

    #[test]
    fn a_report_without_errors_is_read() {
        let clean: Vec<&str> = REPORT
            .lines()
            .filter(|line| !line.contains("rrors") && !line.contains("Non-"))
            .collect();
        assert_eq!(parse(&clean.join("\n")).map(|seen| seen.errors), Some(0));
        assert_eq!(parse("unable to connect"), None);
    }
}
