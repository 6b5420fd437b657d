//! Whether it takes part (RFC 9568, 6.4.1): started, its link up, and nothing that is tracked in the way.

use std::{net::IpAddr, sync::Arc};

use super::{Hold, Order, Phase, Router, Why, backup::Backup};
use crate::{time::Instant, vrrp::terms::Family};

impl Router {
    pub(super) fn start(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Stopped) {
            self.phase = Phase::Waiting(now + self.config.start_delay);
            self.tick(now);
        }
    }

    pub(super) fn stop(&mut self, now: Instant) {
        self.order = Order::None;
        self.become_idle(Phase::Stopped, Why::Stopped, now);
    }

    pub(super) fn link_up(&mut self, primary: IpAddr, now: Instant) {
        if Family::of(primary) == self.config.family() {
            self.primary = Some(primary);
            self.settle(Why::Repaired, now);
        }
    }

    pub(super) fn track(&mut self, name: Arc<str>, sentence: Option<Arc<str>>, now: Instant) {
        match sentence {
            Some(sentence) => {
                drop(self.faults.insert(name.clone(), sentence.clone()));
                self.settle(Why::Fault(name, sentence), now);
            }
            None => {
                drop(self.faults.remove(&name));
                self.settle(Why::Repaired, now);
            }
        }
    }

    /// Takes part if nothing is in the way, and no part if something is.
    pub(super) fn settle(&mut self, why: Why, now: Instant) {
        let fit = self.primary.is_some() && self.faults.is_empty();
        match &self.phase {
            Phase::Stopped => {}
            Phase::Waiting(until) if now < *until => {}
            Phase::Waiting(_) | Phase::Fault if fit => self.take_part(why, now),
            Phase::Backup(_) | Phase::Master(_) if fit => {}
            Phase::Fault => {}
            _ => {
                let why = if matches!(why, Why::Fault(..)) {
                    why
                } else {
                    self.obstacle()
                };
                self.become_idle(Phase::Fault, why, now);
            }
        }
    }

    fn obstacle(&self) -> Why {
        match self.faults.first_key_value() {
            Some((name, sentence)) if self.primary.is_some() => {
                Why::Fault(name.clone(), sentence.clone())
            }
            _ => Why::LinkDown,
        }
    }

    /// RFC 9568, 6.4.1.
    fn take_part(&mut self, why: Why, now: Instant) {
        if self.is_owner() && self.hold == Hold::default() && self.order != Order::Released {
            self.become_master(Why::Owner, now);
            return;
        }
        let mut backup = Backup::new(now);
        if self.is_owner() && self.hold.lead && !self.hold.preempt {
            backup.wants = Some(Why::Owner);
        }
        self.become_backup(backup, why, now);
    }

    /// Out of it: stopped or at fault.
    pub(super) fn become_idle(&mut self, phase: Phase, why: Why, now: Instant) {
        self.leave_master(true);
        if self.order == Order::Promoted {
            self.order = Order::None;
        }
        self.move_to(phase, why, now);
    }
}
