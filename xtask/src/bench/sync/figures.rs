//! From what nodes count to figures.

use super::super::l4::report::Row;
use super::node::{Node, stored};
use crate::Result;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Ethernet, IPv4, UDP.
const HEADERS: f64 = 14.0 + 20.0 + 8.0;

/// The columns of [`Told::row`].
pub(super) const TOLD: [&str; 10] = [
    "connections",
    "offered/s",
    "told/s",
    "bytes each",
    "on the wire",
    "in a datagram",
    "teller µs each",
    "hearer µs each",
    "teller idle %",
    "hearer idle %",
];
/// The columns of [`Joined::row`].
pub(super) const JOINED: [&str; 8] = [
    "connections",
    "seconds",
    "told/s",
    "bytes each",
    "on the wire",
    "teller µs each",
    "hearer µs each",
    "missed",
];

/// Both nodes before something is measured.
pub(super) struct Before {
    at: Instant,
    cpu: [Duration; 2],
    sent: Sent,
    added: u64,
}

/// What a node has sent.
#[derive(Clone, Copy)]
struct Sent {
    bytes: f64,
    datagrams: f64,
}

impl Sent {
    fn of(status: &Value) -> Sent {
        let number = |key: &str| status[key].as_f64().unwrap_or(f64::NAN);
        Sent {
            bytes: number("bytes_sent"),
            datagrams: number("datagrams_sent"),
        }
    }

    fn since(self, before: Sent) -> Sent {
        Sent {
            bytes: self.bytes - before.bytes,
            datagrams: self.datagrams - before.datagrams,
        }
    }

    fn on_the_wire(self) -> f64 {
        self.bytes + self.datagrams * HEADERS
    }
}

/// What new connections came to.
pub(super) struct Told {
    name: String,
    flows: f64,
    offered: Duration,
    took: Duration,
    sent: Sent,
    /// Of the teller and the hearer.
    cpu: [f64; 2],
    idle: [f64; 2],
}

/// What it came to that a node joined.
pub(super) struct Joined {
    name: String,
    flows: f64,
    took: Duration,
    sent: Sent,
    cpu: [f64; 2],
    missed: f64,
}

fn cpu(nodes: &[Node; 2]) -> Result<[Duration; 2]> {
    Ok([nodes[0].cpu()?, nodes[1].cpu()?])
}

impl Before {
    pub(super) fn of(nodes: &[Node; 2]) -> Result<Before> {
        Ok(Before {
            at: Instant::now(),
            cpu: cpu(nodes)?,
            sent: Sent::of(&nodes[0].status()),
            added: stored(&nodes[1].status(), "added"),
        })
    }

    /// The part of a processor that each takes when there is nothing to tell.
    pub(super) fn idle(&self, nodes: &[Node; 2]) -> Result<[f64; 2]> {
        let (now, passed) = (cpu(nodes)?, self.at.elapsed().as_secs_f64());
        let part = |node: usize| (now[node] - self.cpu[node]).as_secs_f64() / passed;
        Ok([part(0), part(1)])
    }

    /// What came of connections that were offered in so long and told in so long, now that all are.
    pub(super) fn told(
        &self,
        name: String,
        nodes: &[Node; 2],
        idle: &[f64; 2],
        [offered, took]: [Duration; 2],
    ) -> Result<Told> {
        let (passed, now) = (self.at.elapsed(), cpu(nodes)?);
        let spent = |node: usize| {
            let spent = (now[node] - self.cpu[node]).as_secs_f64();
            spent - idle[node] * passed.as_secs_f64()
        };
        let added = stored(&nodes[1].status(), "added") - self.added;
        Ok(Told {
            name,
            flows: added as f64,
            offered,
            took,
            sent: Sent::of(&nodes[0].status()).since(self.sent),
            cpu: [spent(0), spent(1)],
            idle: *idle,
        })
    }
}

impl Told {
    pub(super) fn row(&self) -> Row {
        let each = |whole: f64| whole / self.flows;
        Row {
            name: self.name.clone(),
            values: vec![
                self.flows,
                self.flows / self.offered.as_secs_f64(),
                self.flows / self.took.as_secs_f64(),
                each(self.sent.bytes),
                each(self.sent.on_the_wire()),
                self.flows / self.sent.datagrams,
                each(self.cpu[0]) * 1e6,
                each(self.cpu[1]) * 1e6,
                self.idle[0] * 100.0,
                self.idle[1] * 100.0,
            ],
        }
    }
}

impl Joined {
    /// Now that `second` knows what `first` does, which had taken so much of processors before.
    pub(super) fn of(name: String, first: &Node, cpu: Duration, second: &Node) -> Result<Joined> {
        let status = second.status();
        let said = second.said();
        let at = |words: &str| {
            let line = said.lines().find(|line| line.contains(words));
            line.and_then(time)
                .ok_or(format!("it did not say: {words}\n{said}"))
        };
        let took = at("a peer has told everything")? - at("a peer answers")?;
        Ok(Joined {
            name,
            flows: stored(&status, "added") as f64,
            took: Duration::from_secs_f64(took.max(0.0)),
            sent: Sent::of(&first.status()),
            cpu: [
                (first.cpu()? - cpu).as_secs_f64(),
                second.cpu()?.as_secs_f64(),
            ],
            missed: status["missed"].as_f64().unwrap_or(f64::NAN),
        })
    }

    pub(super) fn row(&self) -> Row {
        let each = |whole: f64| whole / self.flows;
        let seconds = self.took.as_secs_f64();
        Row {
            name: self.name.clone(),
            values: vec![
                self.flows,
                seconds,
                self.flows / seconds,
                each(self.sent.bytes),
                each(self.sent.on_the_wire()),
                each(self.cpu[0]) * 1e6,
                each(self.cpu[1]) * 1e6,
                self.missed,
            ],
        }
    }
}

/// The time of day that a line of the log begins with (`2026-01-31T12:34:56.789012Z`), seconds.
fn time(line: &str) -> Option<f64> {
    let clock = line.split_once('T')?.1.split_once('Z')?.0;
    let mut parts = clock.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hours * 3600.0 + minutes * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_has_a_time() {
        let line = "2026-11-27T16:34:40.5Z  INFO aplomb::sync::thread: connection sync";
        assert_eq!(time(line), Some(59_680.5));
        assert_eq!(time("no time at all"), None);
    }
}
