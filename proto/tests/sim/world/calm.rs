//! When the network is whole: one thing happens at a time, and what must hold is judged.

use std::{sync::Arc, time::Duration};

use proto::vrrp::{
    group::GroupInput,
    machine::{Input, State},
    terms::Priority,
};

use super::{Happening, World, allowed, chaos::FAULT};
use crate::{
    forge::forge,
    network::Manners,
    oracle::{Verdict, ensure},
};

/// A network that is whole, and yet no dream: one advert in a row may be lost.
pub(super) fn manners(every: Duration) -> Manners {
    Manners {
        loss: 15,
        most_lost: 1,
        double: 5,
        garble: 3,
        delay: every / 8,
        in_order: true,
    }
}

impl World {
    pub(super) fn be_calm(&mut self) -> Verdict {
        let mut manners = manners(self.every);
        if self.dice.percent(50) {
            (manners.loss, manners.most_lost) = (0, 0);
        }
        self.network.heal(manners);
        self.repair();
        let late = self.longest_delay();
        self.pass(late)?;
        self.slowness = 5;
        self.calm = true;
        self.watch_from_now(manners);
        self.settle()?;
        for _ in 0..2 {
            self.disturb(manners)?;
        }
        Ok(())
    }

    fn watch_from_now(&mut self, manners: Manners) {
        self.watch
            .allow(allowed(self.every, self.lateness, manners));
    }

    /// All that chaos did to nodes is undone, but for some that stay crashed.
    fn repair(&mut self) {
        for node in 0..self.nodes.len() {
            self.nodes[node].paused_until = self.now;
            if !self.nodes[node].is_alive() {
                if node == 0 || self.dice.percent(80) {
                    self.boot(node);
                }
                continue;
            }
            let up = Input::LinkUp(self.nodes[node].plan.primaries[0]);
            let whole = Input::Fault(Arc::from(FAULT), None);
            let mut mail = self.nodes[node].tell(GroupInput::Start, self.now);
            mail.extend(self.nodes[node].tell_each(&up, self.now));
            mail.extend(self.nodes[node].tell_each(&whole, self.now));
            self.post(node, mail);
            self.arrange(node);
        }
    }

    /// Waits as long as it may take, and checks that it is as it must be, and stays so.
    fn settle(&mut self) -> Verdict {
        // Somebody becomes master; delays and gates end; who is better preempts.
        let delays = self.every * (5 + 2 + 15);
        let takeovers = self.every * 2 * 5;
        self.pass((delays + takeovers) * 105 / 100)?;
        let masters = self.masters();
        let taking_part = self.nodes.iter().filter(|n| n.takes_part()).count();
        ensure(masters.len() == taking_part.min(1), "settled", || {
            format!("of {taking_part} that take part, {masters:?} are master")
        })?;
        let Some(&master) = masters.first() else {
            return Ok(());
        };
        self.check_best(master)?;
        let before: u32 = self.nodes.iter().map(|n| n.takeovers).sum();
        for _ in 0..12 {
            self.forge();
            self.pass(self.every)?;
        }
        let after: u32 = self.nodes.iter().map(|n| n.takeovers).sum();
        ensure(
            before == after && self.masters() == [master],
            "no-flap",
            || format!("{master} was master, and now {:?} are", self.masters()),
        )?;
        self.watch.judged.settled += 1;
        self.check_addresses()
    }

    /// Somebody without the key says in another's name that it leaves, or that it owns the addresses.
    fn forge(&mut self) {
        let (from, to) = (
            self.dice.below(self.nodes.len()),
            self.dice.below(self.nodes.len()),
        );
        let priority = self.dice.pick(&[Priority::RELEASE, Priority::OWNER]);
        let victim = &self.nodes[from];
        let forged = forge(&victim.plan, priority, victim.clock.utc(self.now));
        for mail in forged.into_iter().filter(|_| from != to) {
            let delay = self.dice.up_to(self.every);
            self.push(self.now + delay, Happening::Arrive { node: to, mail });
        }
    }

    /// Nobody that would preempt has more priority than the master.
    fn check_best(&self, master: usize) -> Verdict {
        let priority = |node: usize| self.nodes[node].router().map(|r| r.priority());
        let better = (0..self.nodes.len()).find(|&node| {
            let node_counts = self.nodes[node].takes_part() && self.nodes[node].would_preempt();
            node_counts && priority(node) > priority(master)
        });
        ensure(better.is_none(), "best", || {
            format!("{master} is master, and {better:?} is better")
        })
    }

    /// Who is master has the addresses, and nobody else that is alive.
    fn check_addresses(&self) -> Verdict {
        for (number, node) in self.nodes.iter().enumerate() {
            let right = node.holds.iter().all(|holds| *holds == node.is_master());
            ensure(right || !node.is_alive(), "addresses", || {
                format!("node {number} holds {:?}", node.holds)
            })?;
        }
        Ok(())
    }

    /// One thing happens, and all settles again.
    fn disturb(&mut self, manners: Manners) -> Verdict {
        self.watch_from_now(manners);
        let master = self.masters().first().copied();
        let node = self.dice.below(self.nodes.len());
        match (self.dice.below(9), master) {
            (0, Some(master)) => self.nodes[master].crash(),
            (1, Some(master)) => self.leave(master, &GroupInput::Stop, manners),
            (2, Some(master)) => self.leave(master, &GroupInput::Release, manners),
            (3, Some(master)) => {
                let fault = Input::Fault(Arc::from(FAULT), Some(Arc::from("it shall be")));
                let input = self.dice.pick(&[fault, Input::LinkDown]);
                let mail = self.nodes[master].tell_each(&input, self.now);
                self.post(master, mail);
                self.arrange(master);
            }
            (4, Some(master)) if node != master && self.nodes[node].is_alive() => {
                return self.promote(node);
            }
            (5, _) => self.order(node, GroupInput::Resume),
            (6, _) => self.reprioritize(node),
            _ => return self.bring_back(master),
        }
        self.settle()
    }

    /// A master leaves in order. Where nothing is lost, the best backup is there after a skew.
    fn leave(&mut self, master: usize, how: &GroupInput, manners: Manners) {
        let taking_part = self.nodes.iter().filter(|n| n.takes_part()).count();
        if manners.loss == 0 && taking_part > 1 {
            let mut quick = allowed(self.every, self.lateness, manners);
            quick.nobody -= self.every * 3;
            self.watch.allow(quick);
        }
        self.order(master, how.clone());
    }

    /// Who is asked to take over does, unless it says that it will not.
    fn promote(&mut self, node: usize) -> Verdict {
        self.nodes[node].declined = false;
        self.order(node, GroupInput::Promote);
        let declined = self.nodes[node].declined;
        self.settle()?;
        let is_master = self.nodes[node].is_master();
        ensure(declined || is_master, "promoted", || {
            format!(
                "node {node} was asked to be master, and {:?} are",
                self.masters()
            )
        })
    }

    /// A node that was away returns. Nothing changes unless it is better, and shall preempt.
    fn bring_back(&mut self, master: Option<usize>) -> Verdict {
        let is_away = |n: &usize| !self.nodes[*n].takes_part();
        let Some(node) = (0..self.nodes.len()).find(is_away) else {
            return Ok(());
        };
        self.guarded = master;
        if self.nodes[node]
            .router()
            .is_some_and(|r| r.state() == State::Fault)
        {
            let whole = Input::Fault(Arc::from(FAULT), None);
            let up = Input::LinkUp(self.nodes[node].plan.primaries[0]);
            let mut mail = self.nodes[node].tell_each(&whole, self.now);
            mail.extend(self.nodes[node].tell_each(&up, self.now));
            self.post(node, mail);
            self.arrange(node);
        } else {
            self.boot(node);
        }
        self.settle()?;
        self.guarded = None;
        let priority = |n: usize| self.nodes[n].router().map(|r| r.priority());
        let may = master.is_none_or(|m| priority(node) > priority(m));
        let may = may && self.nodes[node].would_preempt();
        let kept = master.is_none_or(|m| self.masters() == [m]);
        ensure(may || kept, "needless", || {
            format!(
                "node {node} came back, {master:?} was master, and {:?} are",
                self.masters()
            )
        })
    }
}
