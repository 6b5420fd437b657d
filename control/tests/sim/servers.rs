//! The servers behind the backends, as they really are: what a probe, a request or an agent query finds.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use control::{
    engine::{Failure, ProbeFailure, ProbeResult},
    time::Instant,
};

use crate::dice::Dice;

/// How many servers a world has; pools share them.
pub(crate) const SERVERS: u8 = 10;

/// Slower than this no healthy server answers; all checks of these worlds wait longer.
const HEALTHY_LATENCY: Duration = Duration::from_millis(90);

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) condition: Condition,
    /// Since when it has been alive or not.
    pub(crate) since: Instant,
    /// Cut off by a partition: as good as dead until that is healed.
    pub(crate) cut_off: bool,
    temper: Temper,
    /// Passes its probes, yet fails requests.
    pub(crate) grey: bool,
    pub(crate) says: &'static str,
    pub(crate) says_since: Instant,
}

/// How a server is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Alive,
    /// Refuses connections.
    Dead,
    /// Answers, but long after everybody has given up.
    Slow,
}

/// How often a server changes.
#[derive(Clone, Copy, Debug)]
enum Temper {
    Steady,
    Moody,
    Flapping,
}

impl Server {
    /// What an agent says of a server that has nothing to complain of.
    pub(crate) const WELL: &'static str = "up ready 100%";

    fn new(dice: &mut Dice, now: Instant) -> Self {
        Self {
            condition: Condition::Alive,
            since: now,
            cut_off: false,
            temper: dice.pick(&[
                Temper::Steady,
                Temper::Moody,
                Temper::Moody,
                Temper::Flapping,
            ]),
            grey: false,
            says: Self::WELL,
            says_since: now,
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.condition == Condition::Alive && !self.cut_off
    }

    /// Changes its condition, and says when it will change again.
    pub(crate) fn change(&mut self, dice: &mut Dice, now: Instant) -> Duration {
        let was_alive = self.is_alive();
        self.condition = match self.condition {
            Condition::Alive if dice.percent(30) => Condition::Slow,
            Condition::Alive => Condition::Dead,
            Condition::Dead | Condition::Slow => Condition::Alive,
        };
        self.note(was_alive, now);
        self.next_change(dice)
    }

    pub(crate) fn next_change(&self, dice: &mut Dice) -> Duration {
        match self.temper {
            Temper::Steady => dice.millis(40_000, 200_000),
            Temper::Moody => dice.millis(2_000, 25_000),
            Temper::Flapping => dice.millis(100, 2_500),
        }
    }

    pub(crate) fn cut(&mut self, off: bool, now: Instant) {
        let was_alive = self.is_alive();
        self.cut_off = off;
        self.note(was_alive, now);
    }

    fn note(&mut self, was_alive: bool, now: Instant) {
        if was_alive != self.is_alive() {
            self.since = now;
        }
    }

    pub(crate) fn say(&mut self, dice: &mut Dice, now: Instant) {
        self.says = match dice.below(10) {
            0 => "drain",
            1 => "maint",
            2 => "down # disk full",
            3 => "50%",
            4 => "0%",
            5 => "ready maxconn:10",
            6 => "gibberish",
            _ => Self::WELL,
        };
        self.says_since = now;
    }

    /// What a probe that starts now will find.
    pub(crate) fn probe(&self, timeout: Duration, dice: &mut Dice) -> ProbeResult {
        let quick = dice.millis(0, HEALTHY_LATENCY.as_millis() as u64);
        let timed_out = self.condition == Condition::Slow || self.cut_off;
        match self.condition {
            Condition::Alive if !self.cut_off => ProbeResult {
                outcome: Ok(()),
                took: quick,
            },
            _ if timed_out => ProbeResult {
                outcome: Err(failure(Failure::Timeout)),
                took: timeout,
            },
            _ => ProbeResult {
                outcome: Err(failure(Failure::Connect)),
                took: quick,
            },
        }
    }
}

pub(crate) fn failure(kind: Failure) -> ProbeFailure {
    ProbeFailure {
        kind,
        detail: format!("{kind:?}"),
    }
}

/// All servers, by host.
pub(crate) fn all(dice: &mut Dice, now: Instant) -> BTreeMap<IpAddr, Server> {
    (1..=SERVERS)
        .map(|host| (address(host).ip(), Server::new(dice, now)))
        .collect()
}

pub(crate) fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 80))
}
