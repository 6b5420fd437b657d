//! What operators, tracking, groups and new configurations change.

use super::{
    Config, Decline, Hold, Order, Output, Phase, Router, State, Why,
    backup::{Backup, Timer},
};
use crate::{
    time::Instant,
    vrrp::terms::{Addresses, Priority},
};

impl Router {
    /// Another priority by tracking.
    pub(super) fn prefer(&mut self, priority: Priority, now: Instant) {
        let before = self.priority();
        self.tracked = priority.max(Priority(1));
        self.reprioritized(before, now);
    }

    /// A master says at once what it is worth now; an owner does not wait for anybody.
    fn reprioritized(&mut self, before: Priority, now: Instant) {
        if before == self.priority() {
            return;
        }
        match self.phase {
            Phase::Master(_) => self.say_soon(now),
            Phase::Backup(_) => self.own(now),
            _ => {}
        }
    }

    /// A backup that owns the addresses takes them.
    fn own(&mut self, now: Instant) {
        if self.is_owner() && self.order != Order::Released && !self.hold.preempt {
            self.lead(Why::Owner, now);
        }
    }

    pub(super) fn release(&mut self, now: Instant) {
        match self.phase {
            Phase::Master(_) => self.hand_over(Why::Released, now),
            Phase::Backup(_) => {
                self.push(Output::Declined(Decline::NotMaster));
                return;
            }
            _ => {
                self.push(Output::Declined(Decline::NotTakingPart(self.state())));
                return;
            }
        }
        self.order = Order::Released;
    }

    fn hand_over(&mut self, why: Why, now: Instant) {
        self.leave_master(true);
        self.become_backup(Backup::new(now), why, now);
    }

    pub(super) fn promote(&mut self, now: Instant) {
        if let Some(decline) = self.declines_promotion() {
            self.push(Output::Declined(decline));
            return;
        }
        let before = self.priority();
        self.order = Order::Promoted;
        match self.phase {
            Phase::Master(_) => self.reprioritized(before, now),
            _ => self.lead(Why::Promoted, now),
        }
    }

    /// Why it cannot take over on demand.
    pub(in crate::vrrp) fn declines_promotion(&self) -> Option<Decline> {
        let Phase::Backup(backup) = &self.phase else {
            let idle = self.state() != State::Master;
            return idle.then(|| Decline::NotTakingPart(self.state()));
        };
        let heard = backup.heard?;
        let greatest = self.tracked.max(Priority::HIGHEST);
        (heard.priority >= greatest).then_some(Decline::MasterWouldNotYield {
            peer: heard.from,
            priority: heard.priority,
        })
    }

    pub(super) fn resume(&mut self, now: Instant) {
        let before = self.priority();
        let released = self.order == Order::Released;
        self.order = Order::None;
        if released && matches!(self.phase, Phase::Backup(_)) {
            self.own(now);
        }
        self.reprioritized(before, now);
    }

    pub(super) fn configure(&mut self, config: Config, now: Instant) {
        if self.config.is_another(&config) {
            self.become_another(config, now);
            return;
        }
        let old = std::mem::replace(&mut self.config, config);
        let before = self.priority();
        if old.priority != self.config.priority {
            self.tracked = self.config.priority;
        }
        if matches!(self.phase, Phase::Master(_)) {
            self.readdress(&old.addresses);
            if old.addresses != self.config.addresses || old.interval != self.config.interval {
                self.say_soon(now);
            }
        }
        self.reprioritized(before, now);
    }

    /// Another virtual router in its place: the old one leaves, the new one starts.
    fn become_another(&mut self, config: Config, now: Instant) {
        let started = !matches!(self.phase, Phase::Stopped);
        self.become_idle(Phase::Stopped, Why::Configured, now);
        if self.config.family() != config.family() {
            self.primary = None;
        }
        self.tracked = config.priority;
        self.order = Order::None;
        self.noted = None;
        self.config = config;
        if started {
            self.phase = Phase::Waiting(now);
            self.settle(Why::Configured, now);
        }
    }

    /// A master whose addresses changed.
    fn readdress(&mut self, old: &Addresses) {
        let new = self.config.addresses.clone();
        let is_gone = |address: &&std::net::IpAddr| !new.list().contains(address);
        if let Some(gone) = Addresses::new(old.list().iter().filter(is_gone).copied()) {
            self.push(Output::GiveUp(gone));
        }
        if new.list().iter().any(|a| !old.list().contains(a)) {
            self.push(Output::Take(new));
        }
    }

    /// What its group keeps it from, from now on.
    pub(in crate::vrrp) fn hold(&mut self, hold: Hold, now: Instant) {
        if std::mem::replace(&mut self.hold, hold) == hold {
            return;
        }
        if matches!(self.phase, Phase::Backup(_)) {
            self.own(now);
        }
        self.check();
    }

    /// Becomes master with its group, if it can.
    pub(in crate::vrrp) fn assume(&mut self, now: Instant) {
        if let Phase::Backup(backup) = &mut self.phase {
            let why = backup.wants.take().unwrap_or(Why::Group);
            self.become_master(why, now);
        }
        self.check();
    }

    /// A master becomes backup with its group. A backup that wanted to be master waits again.
    pub(in crate::vrrp) fn step_back(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Master(_) => self.hand_over(Why::Group, now),
            Phase::Backup(backup) if backup.wants.is_some() => {
                backup.wants = None;
                backup.timer = Timer::Silence(now);
            }
            _ => {}
        }
        self.check();
    }
}
