//! A world in virtual time: nodes, links, and a queue of what happens when.

mod calm;
mod chaos;

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use proto::time::Instant;

use crate::{
    clock::Clock,
    dice::Dice,
    network::{Manners, Network},
    node::{Mail, Node},
    oracle::{Allowed, Judged, Verdict, Violation, Watch, ensure},
    sabotage::Sabotage,
    setup,
};

/// A world that ended well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Story {
    /// Of all that was sent, and when.
    pub(crate) trace: u64,
    pub(crate) sent: u64,
    pub(crate) judged: Judged,
}

enum Happening {
    Arrive { node: usize, mail: Mail },
    Run(usize),
    RunSlow(usize),
}

pub(crate) struct World {
    dice: Dice,
    now: Instant,
    queue: BTreeMap<(Instant, u64), Happening>,
    queued: u64,
    nodes: Vec<Node>,
    /// When each will run next, so that it is not queued twice.
    wakes: Vec<Option<Instant>>,
    slow_queued: Vec<bool>,
    network: Network,
    watch: Watch,
    /// The network is whole, and the oracles look.
    calm: bool,
    /// A master that nothing has happened to, so that only who preempts can take over from it.
    guarded: Option<usize>,
    every: Duration,
    /// How late a node's thread runs at most.
    lateness: Duration,
    /// How late its slow plane does, in intervals: starved for long.
    slowness: u32,
    trace: u64,
    sent: u64,
}

/// Runs the world of a seed.
///
/// # Errors
/// An oracle was violated.
pub(crate) fn run(seed: u64, sabotage: Sabotage) -> Result<Story, Violation> {
    let mut world = World::new(seed, sabotage);
    let detail = |mut violation: Violation, world: &World| {
        violation.detail = format!("{} at {:?}", violation.detail, world.now);
        violation
    };
    world
        .live()
        .map_err(|violation| detail(violation, &world))?;
    let mut judged = world.watch.judged;
    judged.takeovers = world.nodes.iter().map(|n| u64::from(n.takeovers)).sum();
    Ok(Story {
        trace: world.trace,
        sent: world.sent,
        judged,
    })
}

impl World {
    fn new(seed: u64, sabotage: Sabotage) -> Self {
        let mut dice = Dice::new(seed);
        let plans = setup::plans(&mut dice);
        let nodes: Vec<Node> = plans
            .into_iter()
            .map(|plan| {
                let clock = Clock::random(&mut dice, setup::UTC_SKEW);
                Node::new(plan, clock, sabotage)
            })
            .collect();
        let every = nodes
            .iter()
            .map(Node::interval)
            .max()
            .expect("two at least");
        let lateness = every / 8;
        let manners = calm::manners(every);
        Self {
            dice,
            now: Instant::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            wakes: vec![None; nodes.len()],
            slow_queued: vec![false; nodes.len()],
            nodes,
            network: Network::new(manners),
            watch: Watch::new(allowed(every, lateness, manners)),
            calm: false,
            guarded: None,
            every,
            lateness,
            slowness: 5,
            trace: 0,
            sent: 0,
        }
    }

    fn live(&mut self) -> Verdict {
        for node in 0..self.nodes.len() {
            if self.dice.percent(80) {
                self.boot(node);
            }
        }
        for _ in 0..2 {
            self.chaos()?;
            self.be_calm()?;
        }
        Ok(())
    }

    fn boot(&mut self, node: usize) {
        let mail = self.nodes[node].boot(self.now);
        self.post(node, mail);
        self.arrange(node);
    }

    /// Lets `by` pass.
    fn pass(&mut self, by: Duration) -> Verdict {
        let end = self.now + by;
        while let Some(entry) = self.queue.first_entry() {
            let at = entry.key().0;
            if at > end {
                break;
            }
            let happening = entry.remove();
            self.now = at;
            if self.calm {
                self.watch.check(at)?;
            }
            self.happen(happening)?;
        }
        self.now = end;
        self.look()
    }

    fn happen(&mut self, happening: Happening) -> Verdict {
        match happening {
            Happening::Arrive { node, mail } => {
                self.nodes[node].receive(mail);
                let lateness = self.dice.up_to(self.lateness / 4);
                self.wake(node, self.now + lateness);
                return Ok(());
            }
            // Another run came first.
            Happening::Run(node) if self.wakes[node] != Some(self.now) => return Ok(()),
            Happening::Run(node) => {
                self.wakes[node] = None;
                if self.now < self.nodes[node].paused_until {
                    self.wake(node, self.nodes[node].paused_until);
                    return Ok(());
                }
                let was_master = self.nodes[node].is_master();
                let mail = self.nodes[node].run(self.now);
                self.check_gate(node, was_master)?;
                self.post(node, mail);
                self.arrange(node);
            }
            Happening::RunSlow(node) => {
                self.slow_queued[node] = false;
                let mail = self.nodes[node].run_slow();
                self.post(node, mail);
            }
        }
        self.look()
    }

    /// The oracle of the gate: who has a closed one leaves a master alone that nothing has happened to.
    fn check_gate(&self, node: usize, was_master: bool) -> Verdict {
        let took_over = !was_master && self.nodes[node].is_master();
        let wrong = took_over
            && self.guarded.is_some_and(|master| master != node)
            && self.nodes[node].gate_should_be_closed(self.now);
        ensure(!wrong, "gate", || {
            format!("node {node} preempted while its gate should be closed")
        })
    }

    fn look(&mut self) -> Verdict {
        if !self.calm {
            return Ok(());
        }
        let taking_part = self.nodes.iter().filter(|n| n.takes_part()).count();
        let masters = self.masters().len();
        self.watch.look(self.now, taking_part, masters)
    }

    fn masters(&self) -> Vec<usize> {
        let all = 0..self.nodes.len();
        all.filter(|node| self.nodes[*node].is_master()).collect()
    }

    /// Queues what a node needs after it ran: its next run, and one of its slow plane.
    fn arrange(&mut self, node: usize) {
        if let Some(due) = self.nodes[node].next_wake() {
            let lateness = self.dice.up_to(self.lateness);
            self.wake(node, due.max(self.now) + lateness);
        }
        if !self.nodes[node].slow_is_idle() && !self.slow_queued[node] {
            self.slow_queued[node] = true;
            let delay = self.dice.up_to(self.every * self.slowness);
            self.push(self.now + delay, Happening::RunSlow(node));
        }
    }

    fn wake(&mut self, node: usize, at: Instant) {
        if self.wakes[node].is_none_or(|queued| at < queued) {
            self.wakes[node] = Some(at);
            self.push(at, Happening::Run(node));
        }
    }

    fn push(&mut self, at: Instant, happening: Happening) {
        self.queued += 1;
        let _ = self.queue.insert((at, self.queued), happening);
    }

    /// Gives to the links what a node sent.
    fn post(&mut self, from: usize, mail: Vec<Mail>) {
        for mail in mail {
            self.sent += 1;
            self.record(&mail);
            for to in 0..self.nodes.len() {
                let addressed =
                    mail.to.is_multicast() || self.nodes[to].plan.primaries[mail.link] == mail.to;
                if to == from || !addressed {
                    continue;
                }
                let way = (mail.link, from, to);
                for at in self.network.carry(&mut self.dice, way, self.now) {
                    let arrive = Happening::Arrive {
                        node: to,
                        mail: Mail {
                            bytes: Rc::clone(&mail.bytes),
                            ..mail
                        },
                    };
                    self.push(at, arrive);
                }
                if self.dice.percent(self.network.manners.garble) {
                    self.post_garbled(to, &mail);
                }
            }
        }
    }

    /// A copy in which a byte is another.
    fn post_garbled(&mut self, node: usize, mail: &Mail) {
        let mut bytes = mail.bytes.to_vec();
        let at = self.dice.below(bytes.len());
        bytes[at] ^= 1 << self.dice.below(8);
        let mail = Mail {
            bytes: bytes.into(),
            ..*mail
        };
        let delay = self.dice.up_to(self.network.manners.delay);
        self.push(self.now + delay, Happening::Arrive { node, mail });
    }

    fn record(&mut self, mail: &Mail) {
        let mut add = |word: u64| {
            self.trace = (self.trace ^ word)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(23);
        };
        add(self.now.nanos());
        for chunk in mail.bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            add(u64::from_be_bytes(word));
        }
    }
}

/// What clocks that are a hundredth off, late threads and slow ways add to the intervals of the RFC.
fn allowed(every: Duration, lateness: Duration, manners: Manners) -> Allowed {
    let slack = (lateness + manners.delay) * 3;
    let lost = manners.most_lost + 1;
    Allowed {
        nobody: every * 103 * 4 / 100 + slack,
        several: every * 103 * lost / 100 + slack,
    }
}
