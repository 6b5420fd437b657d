//! One virtual router on one interface: RFC 9568's states and rules, and RFC 3768's where version 2 is spoken.
//!
//! [`Router::handle`] takes an [`Input`], [`Router::poll_output`] gives what shall be done, [`Router::next_deadline`]
//! says when to tick. Whether it takes part is in `part`, what it hears in `hear`, what a backup does in `backup`, a
//! master in `master`, how long things take in `timing`, what operators and configurations change in `change`. The daemon talks to a [`Group`](super::group::Group), of one or more.

mod backup;
mod change;
mod config;
mod event;
mod hear;
mod master;
mod part;
#[cfg(test)]
mod tests;
mod timing;

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::Arc,
};

use self::{backup::Backup, master::Master};
pub use self::{
    config::{AddressCheck, Auth, Cast, Config, ConfigError, Preempt, Settings},
    event::{Counters, Decline, Heard, Input, Output, State, Transition, Why},
};
use super::{
    codec::{Advert, V2Auth},
    refusal::Refusal,
    terms::Priority,
};
use crate::time::Instant;

/// One virtual router.
#[derive(Clone, Debug)]
pub struct Router {
    config: Config,
    phase: Phase,
    since: Instant,
    /// The primary address of the interface, while that is up.
    primary: Option<IpAddr>,
    faults: BTreeMap<Arc<str>, Arc<str>>,
    /// The priority that tracking left.
    tracked: Priority,
    order: Order,
    hold: Hold,
    counters: Counters,
    noted: Option<Refusal>,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Debug)]
enum Phase {
    Stopped,
    /// Started, and not to take part before.
    Waiting(Instant),
    Fault,
    Backup(Backup),
    Master(Master),
}

/// What an operator asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    None,
    Released,
    Promoted,
}

/// What a group keeps its members from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hold {
    /// Taking over from a master that is alive.
    pub(super) preempt: bool,
    /// Becoming master alone: it says that it would, and waits.
    pub(super) lead: bool,
}

impl Router {
    /// Not started, link down.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            tracked: config.priority,
            config,
            phase: Phase::Stopped,
            since: now,
            primary: None,
            faults: BTreeMap::new(),
            order: Order::None,
            hold: Hold::default(),
            counters: Counters::default(),
            noted: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input at `now`, which never goes back. What shall be done is polled after each.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Tick => self.tick(now),
            Input::Start => self.start(now),
            Input::Stop => self.stop(now),
            Input::Advert { from, advert } => self.hear(from, &advert, now),
            Input::LinkUp(primary) => self.link_up(primary, now),
            Input::LinkDown => {
                self.primary = None;
                self.settle(Why::LinkDown, now);
            }
            Input::Priority(priority) => self.prefer(priority, now),
            Input::Fault(name, sentence) => self.track(name, sentence, now),
            Input::Release => self.release(now),
            Input::Promote => self.promote(now),
            Input::Resume => self.resume(now),
            Input::Configure(config) => self.configure(*config, now),
        }
        self.check();
    }

    /// What shall be done next, in order; `None` when all was said.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to tick at the latest; `None` while nothing depends on time. A deadline that has passed is due at once.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Stopped | Phase::Fault => None,
            Phase::Waiting(until) => Some(*until),
            Phase::Backup(backup) => Some(self.backup_deadline(backup)),
            Phase::Master(master) => Some(self.master_deadline(master)),
        }
    }

    /// What it is.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Stopped | Phase::Waiting(_) => State::Initialize,
            Phase::Fault => State::Fault,
            Phase::Backup(_) => State::Backup,
            Phase::Master(_) => State::Master,
        }
    }

    /// Since when it is that.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// Its settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The priority that counts now: the configured one, without what tracking took, or that of a promotion.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match self.order {
            Order::Promoted => self.tracked.max(Priority::HIGHEST),
            _ => self.tracked,
        }
    }

    /// Our primary address on the interface, while that is up.
    #[must_use]
    pub const fn primary(&self) -> Option<IpAddr> {
        self.primary
    }

    /// The master as it was last heard, while we are backup and there is one.
    #[must_use]
    pub const fn current_master(&self) -> Option<Heard> {
        match &self.phase {
            Phase::Backup(backup) => backup.heard,
            _ => None,
        }
    }

    /// What keeps it in [`State::Fault`], by name; a link that is down is not among them.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.faults.iter().map(|(name, why)| (&**name, &**why))
    }

    /// It was asked to hand over, and keeps back.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.order == Order::Released
    }

    /// It was asked to take over, and has a priority that keeps the others away.
    #[must_use]
    pub fn is_promoted(&self) -> bool {
        self.order == Order::Promoted
    }

    /// What was counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    fn tick(&mut self, now: Instant) {
        match &self.phase {
            Phase::Stopped | Phase::Fault => {}
            Phase::Waiting(until) if now < *until => {}
            Phase::Waiting(_) => self.settle(Why::Started, now),
            Phase::Backup(_) => self.tick_backup(now),
            Phase::Master(_) => self.tick_master(now),
        }
    }

    fn is_owner(&self) -> bool {
        self.priority() == Priority::OWNER
    }

    fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn move_to(&mut self, phase: Phase, why: Why, now: Instant) {
        let from = self.state();
        self.phase = phase;
        let to = self.state();
        if from != to {
            self.since = now;
            self.push(Output::Moved(Transition { from, to, why }));
        }
    }

    fn advert(&self, priority: Priority) -> Advert {
        Advert {
            version: self.config.version,
            vrid: self.config.vrid,
            priority,
            interval: self.config.interval,
            addresses: self.config.addresses.clone(),
            auth: match self.config.auth {
                Auth::Password(password) => password,
                Auth::None | Auth::Keys(_) => V2Auth::None,
            },
        }
    }

    /// What must hold between any two inputs, whatever they were.
    fn check(&self) {
        let takes_part = matches!(self.phase, Phase::Backup(_) | Phase::Master(_));
        debug_assert!(
            !takes_part || self.primary.is_some() && self.faults.is_empty(),
            "nothing is in the way of who takes part"
        );
        debug_assert_ne!(self.priority(), Priority::RELEASE, "0 is said, not had");
        debug_assert_eq!(
            self.next_deadline().is_some(),
            takes_part || matches!(self.phase, Phase::Waiting(_)),
            "who takes part has something due"
        );
        debug_assert!(
            !(self.order == Order::Released && self.state() == State::Master),
            "who handed over is not master"
        );
    }
}
