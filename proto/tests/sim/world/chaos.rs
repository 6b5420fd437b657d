//! When everything goes wrong: nothing is judged but that no machine breaks its own invariants.

use std::{sync::Arc, time::Duration};

use proto::vrrp::{
    group::{GroupInput, Member},
    machine::Input,
    terms::Priority,
};

use super::World;
use crate::{network::Manners, oracle::Verdict};

/// The name of the fault that a test makes.
pub(super) const FAULT: &str = "test";

impl World {
    pub(super) fn chaos(&mut self) -> Verdict {
        self.calm = false;
        self.guarded = None;
        self.slowness = 30;
        for _ in 0..6 + self.dice.below(8) {
            self.upset();
            let most = self.every * 3;
            let wait = self.dice.up_to(most);
            self.pass(wait)?;
        }
        Ok(())
    }

    /// The longest that anything takes, and so can arrive late.
    pub(super) fn longest_delay(&self) -> Duration {
        self.every * 2
    }

    fn wild(&mut self) -> Manners {
        Manners {
            loss: self.dice.next() % 60,
            most_lost: u32::MAX,
            double: self.dice.next() % 20,
            garble: self.dice.next() % 20,
            delay: self.dice.up_to(self.longest_delay()),
            in_order: false,
        }
    }

    fn upset(&mut self) {
        let node = self.dice.below(self.nodes.len());
        let link = self.dice.below(self.nodes[node].plan.configs.len());
        match self.dice.below(12) {
            0 | 1 => {
                let nodes = self.nodes.len();
                self.network.break_up(&mut self.dice, link, nodes);
            }
            2 => {
                let to = self.dice.below(self.nodes.len());
                self.network.kill_way(link, node, to);
            }
            3 => {
                let manners = self.wild();
                self.network.heal(manners);
            }
            4 => {
                let manners = self.wild();
                self.network.manners = manners;
            }
            5 if self.nodes[node].is_alive() => self.nodes[node].crash(),
            5 | 6 => self.boot(node),
            7 => {
                let pause = self.dice.up_to(self.every * 6);
                self.nodes[node].paused_until = self.now + pause;
            }
            8 => self.break_node(node, link),
            9 => {
                let order = self.dice.pick(&[
                    GroupInput::Release,
                    GroupInput::Promote,
                    GroupInput::Resume,
                    GroupInput::Stop,
                    GroupInput::Start,
                ]);
                self.order(node, order);
            }
            10 => {
                let in_sync = self.dice.percent(50);
                let mail = self.nodes[node].sync(in_sync, self.now);
                self.post(node, mail);
                self.arrange(node);
            }
            _ => self.reprioritize(node),
        }
    }

    fn break_node(&mut self, node: usize, link: usize) {
        let name: Arc<str> = Arc::from(FAULT);
        let up = Input::LinkUp(self.nodes[node].plan.primaries[link]);
        let input = self.dice.pick(&[
            Input::LinkDown,
            up,
            Input::Fault(name.clone(), Some(Arc::from("it shall be"))),
            Input::Fault(name, None),
        ]);
        self.order(node, GroupInput::Member(Member(link), input));
    }

    pub(super) fn order(&mut self, node: usize, input: GroupInput) {
        let mail = self.nodes[node].tell(input, self.now);
        self.post(node, mail);
        self.arrange(node);
    }

    /// Another priority, by tracking or by a new configuration. Who owns the addresses goes on owning them.
    pub(super) fn reprioritize(&mut self, node: usize) {
        if self.nodes[node].plan.configs[0].priority == Priority::OWNER {
            return;
        }
        let priority = Priority(1 + (self.dice.next() % 253) as u8);
        let mail = if self.dice.percent(50) {
            self.nodes[node].configure(priority, self.now)
        } else {
            self.nodes[node].tell_each(&Input::Priority(priority), self.now)
        };
        self.post(node, mail);
        self.arrange(node);
    }
}
