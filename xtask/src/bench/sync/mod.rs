//! Connection sync: what a connection costs on the wire and of processors, between two aplombs.
//!
//! [`node`] is one of the two, [`offer`] begins connections at the first as clients would, and [`figures`] are what comes
//! out. The place is that of [`super::failover`].

mod figures;
mod node;
mod offer;

use super::failover::place::{self, Place};
use super::l4::report::{Report, Table};
use super::{Options, machine};
use crate::Result;
use figures::{Before, Joined, Told};
use node::{Node, Setup};
use offer::Offer;
use std::path::Path;
use std::time::{Duration, Instant};

/// Connections a second where they come steadily.
const PACE: u32 = 20_000;
/// For so long, seconds; as fast as they can be made, three times as many.
const SECONDS: u32 = 5;
/// What a node that joins is told of.
const MANY: u32 = 1_000_000;
/// The rate as it comes, and one that does not bind.
const RATES: [&str; 2] = ["10MiB", "1GiB"];
/// How long nodes are watched with nothing to tell.
const REST: Duration = Duration::from_secs(3);
/// So long nothing more has come when all is there.
const QUIET: Duration = Duration::from_secs(2);
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// `cargo xtask bench sync`.
pub(super) fn run(options: &Options) -> Result {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces and the kernel data plane need root".into());
    }
    let peers = super::peers(options, &["aplomb"])?;
    let [aplomb] = &peers[..] else {
        return Err("connection sync is between two aplombs: there is one peer at a time".into());
    };
    place::sweep();
    node::sweep();
    let folder = super::scratch()?;
    let bench = Bench {
        program: aplomb.program(),
        folder: folder.path(),
        part: if options.quick { 20 } else { 1 },
    };
    let mut new = Table::new("New connections, as they come", &figures::TOLD);
    let mut joined = Table::new(
        "A node joins: everything that the other knows",
        &figures::JOINED,
    );
    for v6 in [false, true] {
        new.rows
            .push(bench.new_ones(v6, RATES[0], Some(PACE))?.row());
        new.rows.push(bench.new_ones(v6, "1MiB", None)?.row());
        for rate in RATES {
            joined.rows.push(bench.join(v6, rate)?.row());
        }
    }
    Report {
        what: "sync",
        date: machine::date(),
        machine: machine::Machine::describe(),
        about: format!(
            "{}. Connections are TCP by `direct`, begun by a SYN and an ACK. On the wire: with the headers of UDP, IPv4 and \
             Ethernet. CPU is that of the thread of connection sync alone; of new connections, without what it takes when there is nothing to \
             tell (`idle`). Tables have room for {} connections. A row's name has the rate that is allowed.",
            aplomb.version(),
            Setup::flows(&bench.setup(false, RATES[0])),
        ),
        tables: vec![new, joined],
    }
    .finish(options)
}

/// How many of so many are connections at least: what the cable does not take never is one.
fn least(count: u32) -> u64 {
    u64::from(count) * 9 / 10
}

struct Bench<'a> {
    program: &'a Path,
    folder: &'a Path,
    /// Only this part of connections.
    part: u32,
}

impl Bench<'_> {
    fn setup(&self, v6: bool, rate: &'static str) -> Setup {
        Setup {
            v6,
            rate,
            flows: (MANY / self.part * 2).max(1024),
        }
    }

    fn node(&self, place: &Place, host: usize, setup: &Setup) -> Result<Node> {
        Node::start(self.program, place, host, setup, self.folder)
    }

    /// Connections come, at a pace or as fast as they can be made, and are told.
    fn new_ones(&self, v6: bool, rate: &'static str, pace: Option<u32>) -> Result<Told> {
        let setup = self.setup(v6, rate);
        let name = format!("{} {rate}", if v6 { "IPv6" } else { "IPv4" });
        eprintln!("bench: sync: new connections, {name}");
        let place = Place::make("sync")?;
        place.route()?;
        let nodes = [self.node(&place, 0, &setup)?, self.node(&place, 1, &setup)?];
        for node in &nodes {
            node.wait("to be in sync", PATIENCE, |status| {
                status["in_sync"] == true
            })?;
        }
        let idle = Before::of(&nodes)?;
        std::thread::sleep(REST);
        let idle = idle.idle(&nodes)?;
        let before = Before::of(&nodes)?;
        let count = PACE / self.part * SECONDS * if pace.is_some() { 1 } else { 3 };
        let began = Instant::now();
        let offer = Offer { v6, count, pace };
        place.on(place::CLIENT, || offer.make())?;
        let offered = began.elapsed();
        let (mut last, mut changed) = (0, Instant::now());
        nodes[1].wait("to know all", PATIENCE, |status| {
            let added = node::stored(status, "added");
            if added != last {
                (last, changed) = (added, Instant::now());
            }
            added >= least(count) && changed.elapsed() > QUIET
        })?;
        before.told(name, &nodes, &idle, [offered, changed - began])
    }

    /// A node joins another that knows many.
    fn join(&self, v6: bool, rate: &'static str) -> Result<Joined> {
        let setup = self.setup(v6, rate);
        let name = format!("{} {rate}", if v6 { "IPv6" } else { "IPv4" });
        eprintln!("bench: sync: a node joins, {name}");
        let place = Place::make("sync")?;
        place.route()?;
        let first = self.node(&place, 0, &setup)?;
        let count = MANY / self.part;
        let offer = Offer {
            v6,
            count,
            pace: None,
        };
        place.on(place::CLIENT, || offer.make())?;
        let cpu = first.cpu()?;
        let second = self.node(&place, 1, &setup)?;
        second.wait("to know all", PATIENCE, |status| {
            status["in_sync"] == true && node::stored(status, "added") >= least(count)
        })?;
        Joined::of(name, &first, cpu, &second)
    }
}
