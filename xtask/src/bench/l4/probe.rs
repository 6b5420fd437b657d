//! The part that measures: this program, started in a namespace or a guest of its own.

use super::balancer::Balancer;
use super::case::{COUNTED, Case, TIMED};
use super::net::Net;
use super::source::{End, Source};
use super::{compare, room, stack};
use crate::Result;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `cargo xtask l4-probe`.
#[derive(Args)]
pub(crate) struct Probe {
    /// The benchmark's programs
    #[arg(long)]
    source: PathBuf,
    /// The balancer's program
    #[arg(long)]
    balancer: Option<PathBuf>,
    /// In live traffic, beside the kernel's own stack
    #[arg(long)]
    counted: bool,
    /// What comes out, beside what comes out of IPVS
    #[arg(long)]
    compare: bool,
    /// What a full table takes
    #[arg(long)]
    fill: bool,
    /// Packets of each measurement
    #[arg(long, default_value_t = 1)]
    packets: u32,
    /// Times that each is measured
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Flows that the balancer has room for
    #[arg(long, default_value_t = 10_000)]
    room: u32,
    /// Only these cases
    #[arg(long, value_delimiter = ',')]
    case: Vec<String>,
}

/// Packets of XDP that a device is given at a time, at most (the kernel's `DEV_MAP_BULK_SIZE`).
const XDP_BULK: u32 = 16;

/// Who handled the packets.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    /// Nobody: they were made and dropped.
    Source,
    /// The stack, by route.
    Forward,
    Ipvs,
    Aplomb,
}

/// One figure.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Count {
    pub(super) case: String,
    pub(super) side: Side,
    /// Nanoseconds or instructions for each packet, the source's own included.
    pub(super) cost: f64,
}

/// Measures, and writes a [`Count`] a line to standard output.
pub(crate) fn run(probe: &Probe) -> Result {
    let net = Net::make(probe.counted)?;
    let mut source = Source::load(&probe.source, "in")?;
    // Where frames are looked at, they must come out of the other end.
    source.attach(if probe.compare { End::Pass } else { End::Drop }, "peer")?;
    if probe.compare {
        let file = probe.balancer.as_ref().ok_or("no balancer to compare")?;
        let differences = compare::run(file, &mut source)?;
        return match differences.len() {
            0 => Ok(()),
            count => Err(format!("{count} differ\n{}", differences.join(""))),
        };
    }
    source.attach(End::Pass, "in")?;
    if probe.fill {
        let file = probe.balancer.as_ref().ok_or("no balancer to fill")?;
        return tell(&room::measure(file, probe.room, &mut source)?);
    }
    let cases = if probe.counted { COUNTED } else { TIMED };
    let mut balancer = match &probe.balancer {
        Some(file) => Some(Balancer::load(file, probe.room, cases, net.has_sink())?),
        None => None,
    };
    if probe.counted {
        let cost = stack::forward(&mut source, probe.packets)?;
        tell(&Count::new("forward", Side::Forward, cost))?;
    }
    for (index, case) in cases.iter().enumerate() {
        if !probe.case.is_empty() && probe.case.iter().all(|name| name != case.name) {
            continue;
        }
        if probe.counted {
            probe.count(case, index, balancer.as_mut(), &mut source)
        } else if let Some(balancer) = &mut balancer {
            probe.time(case, index, balancer, &mut source)
        } else {
            Err("no balancer to measure".into())
        }
        .map_err(|e| format!("{}: {e}", case.name))?;
    }
    Ok(())
}

impl Probe {
    /// Live traffic through IPVS and through the balancer.
    fn count(
        &self,
        case: &Case,
        index: usize,
        balancer: Option<&mut Balancer>,
        source: &mut Source,
    ) -> Result {
        let cost = stack::ipvs(case, index, source, self.packets)?;
        tell(&Count::new(case.name, Side::Ipvs, cost))?;
        if let Some(balancer) = balancer {
            balancer.prepare(case, index, source)?;
            source.live(case.warm(self.packets))?;
            let cost = source.arrives(XDP_BULK, self.packets)?;
            tell(&Count::new(case.name, Side::Aplomb, cost))?;
        }
        source.end(End::Drop)?;
        tell(&Count::new(
            case.name,
            Side::Source,
            source.live(self.packets)?,
        ))
    }

    /// The balancer and the bare source in turn.
    fn time(
        &self,
        case: &Case,
        index: usize,
        balancer: &mut Balancer,
        source: &mut Source,
    ) -> Result {
        balancer.prepare(case, index, source)?;
        // All flows, in each round.
        let packets = self.packets.max(case.flows);
        source.run(packets / 2)?;
        for _ in 0..self.rounds {
            source.onward(balancer.fd()?)?;
            tell(&Count::new(case.name, Side::Aplomb, source.run(packets)?))?;
            source.end(End::Drop)?;
            tell(&Count::new(case.name, Side::Source, source.run(packets)?))?;
        }
        Ok(())
    }
}

impl Count {
    fn new(case: &str, side: Side, cost: f64) -> Count {
        Count {
            case: case.to_owned(),
            side,
            cost,
        }
    }
}

fn tell(what: &impl Serialize) -> Result {
    let line = serde_json::to_string(what).map_err(|e| e.to_string())?;
    println!("{line}");
    Ok(())
}

/// The figures in what a probe said.
pub(super) fn figures<T: for<'a> Deserialize<'a>>(output: &str) -> Vec<T> {
    output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
