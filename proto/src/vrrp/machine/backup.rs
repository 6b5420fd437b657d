//! A backup (RFC 9568, 6.4.2): it watches the master, and takes over when that is gone, leaves, or is of less priority.

use std::net::IpAddr;

use super::{Heard, Order, Phase, Preempt, Router, Why};
use crate::{
    time::Instant,
    vrrp::{
        codec::Advert,
        terms::{Interval, Priority, Version},
    },
};

#[derive(Clone, Debug)]
pub(super) struct Backup {
    pub(super) timer: Timer,
    /// The master's interval, in version 3.
    pub(super) learned: Option<Interval>,
    pub(super) heard: Option<Heard>,
    /// Since when a master of less priority was heard, and none of more.
    pub(super) lower_since: Option<Instant>,
    /// It would be master, and its group keeps it from that.
    pub(super) wants: Option<Why>,
}

/// What runs: the start and what it waits for; the end follows from priority and interval, which may change under way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// No advert that counts since; runs for the master-down interval.
    Silence(Instant),
    /// The master left then; runs for the skew time.
    Left(Instant),
}

impl Backup {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            timer: Timer::Silence(now),
            learned: None,
            heard: None,
            lower_since: None,
            wants: None,
        }
    }

    /// As it is after hearing `from`.
    pub(super) fn under(from: IpAddr, advert: &Advert, now: Instant) -> Self {
        let mut backup = Self::new(now);
        backup.obey(from, advert, now);
        backup
    }

    fn obey(&mut self, from: IpAddr, advert: &Advert, now: Instant) {
        self.timer = Timer::Silence(now);
        if advert.version == Version::V3 {
            self.learned = Some(advert.interval);
        }
        self.wants = None;
        self.see(from, advert, now);
    }

    const fn see(&mut self, from: IpAddr, advert: &Advert, now: Instant) {
        self.heard = Some(Heard {
            from,
            priority: advert.priority,
            interval: advert.interval,
            at: now,
        });
    }
}

impl Router {
    pub(super) fn become_backup(&mut self, backup: Backup, why: Why, now: Instant) {
        if matches!(self.order, Order::Promoted) {
            self.order = Order::None;
        }
        self.move_to(Phase::Backup(backup), why, now);
    }

    pub(super) fn backup_deadline(&self, backup: &Backup) -> Instant {
        let down = self.down_at(backup);
        self.preempt_at(backup).map_or(down, |at| at.min(down))
    }

    fn down_at(&self, backup: &Backup) -> Instant {
        match backup.timer {
            Timer::Silence(since) => since + self.master_down_interval(),
            Timer::Left(at) => at + self.skew_time(),
        }
    }

    /// When the preempt delay is over, if one runs. One that has been asked for already is not due again.
    fn preempt_at(&self, backup: &Backup) -> Option<Instant> {
        match (self.config.preempt, backup.lower_since) {
            (Preempt::After(delay), Some(since))
                if self.may_preempt() && backup.wants.is_none() =>
            {
                Some(since + delay)
            }
            _ => None,
        }
    }

    /// Whether a master of less priority may be taken over from, now or after a delay.
    fn may_preempt(&self) -> bool {
        let preempts = self.config.preempt != Preempt::Never || self.is_owner();
        preempts && self.order != Order::Released && !self.hold.preempt
    }

    pub(super) fn tick_backup(&mut self, now: Instant) {
        let Phase::Backup(backup) = &self.phase else {
            return;
        };
        if self.preempt_at(backup).is_some_and(|at| at <= now) {
            self.lead(Why::PreemptDelayOver, now);
            return;
        }
        if now < self.down_at(backup) {
            return;
        }
        let why = match backup.timer {
            Timer::Silence(since) => Why::MasterDown {
                silence: now.saturating_since(since),
            },
            Timer::Left(_) => Why::MasterLeft,
        };
        self.lead(why, now);
    }

    /// Becomes master; or, kept from it by the group, says that it would.
    pub(super) fn lead(&mut self, why: Why, now: Instant) {
        if !self.hold.lead {
            self.become_master(why, now);
            return;
        }
        if let Phase::Backup(backup) = &mut self.phase {
            backup.timer = Timer::Silence(now);
            backup.wants = Some(why);
        }
    }

    pub(super) fn backup_hears(&mut self, from: IpAddr, advert: &Advert, now: Instant) {
        let lower = advert.priority < self.priority();
        let may_preempt = self.may_preempt();
        let delay = if self.is_owner() {
            Preempt::AtOnce.delay()
        } else {
            self.config.preempt.delay()
        };
        let Phase::Backup(backup) = &mut self.phase else {
            return;
        };
        if advert.priority == Priority::RELEASE {
            *backup = Backup {
                timer: Timer::Left(now),
                learned: backup.learned,
                ..Backup::new(now)
            };
            return;
        }
        if !lower {
            backup.lower_since = None;
            backup.obey(from, advert, now);
            return;
        }
        let since = *backup.lower_since.get_or_insert(now);
        if may_preempt && since + delay <= now {
            // Passed over: the timer runs on.
            backup.see(from, advert, now);
        } else {
            backup.obey(from, advert, now);
        }
    }

    /// Whether it would be master and its group keeps it from that.
    pub(in crate::vrrp) const fn wants_mastery(&self) -> bool {
        matches!(&self.phase, Phase::Backup(backup) if backup.wants.is_some())
    }
}
