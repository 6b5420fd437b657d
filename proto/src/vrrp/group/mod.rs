//! Virtual routers that move together, and the gate that keeps a node that returns from preempting too early.
//!
//! What the daemon talks to: a [`Group`] of one or more [`Router`]s, each with its own link and adverts. The group becomes
//! master when every member would, steps back when one does, and is at fault when one is. A closed [`Gate`] lets nobody
//! preempt: a master that is gone is still taken over from.

mod event;
mod gate;
#[cfg(test)]
mod tests;
mod together;

use std::{collections::VecDeque, fmt};

pub use self::{
    event::{GroupInput, GroupOutput, Member, Opened},
    gate::{Gate, GateSettings},
};
use super::{
    limits::MAX_MEMBERS,
    machine::{self, Config, Hold, Router, State},
};
use crate::time::Instant;

/// Virtual routers that move together.
#[derive(Clone, Debug)]
pub struct Group {
    members: Vec<Router>,
    gate: Gate,
    state: State,
    outputs: VecDeque<GroupOutput>,
}

/// Why virtual routers make no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupError {
    /// There is none.
    Empty,
    /// More than [`MAX_MEMBERS`].
    TooMany,
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a group needs a virtual router"),
            Self::TooMany => write!(f, "more than {MAX_MEMBERS} virtual routers"),
        }
    }
}

impl std::error::Error for GroupError {}

impl Group {
    /// Virtual routers with these configurations, in this order; none is started, all links are down. A gate that is set
    /// is closed.
    ///
    /// # Errors
    /// There are none, or too many.
    pub fn new(
        configs: impl IntoIterator<Item = Config>,
        gate: Option<GateSettings>,
        now: Instant,
    ) -> Result<Self, GroupError> {
        let routers = configs.into_iter().map(|config| Router::new(config, now));
        let members: Vec<Router> = routers.take(MAX_MEMBERS + 1).collect();
        match members.len() {
            0 => return Err(GroupError::Empty),
            1..=MAX_MEMBERS => {}
            _ => return Err(GroupError::TooMany),
        }
        let mut group = Self {
            members,
            gate: Gate::new(gate, now),
            state: State::Initialize,
            outputs: VecDeque::new(),
        };
        group.set_holds(now);
        Ok(group)
    }

    /// Takes an input at `now`, which never goes back.
    pub fn handle(&mut self, input: GroupInput, now: Instant) {
        match input {
            GroupInput::Tick => self.tick(now),
            GroupInput::Start => self.tell_all(&machine::Input::Start, now),
            GroupInput::Stop => self.tell_all(&machine::Input::Stop, now),
            GroupInput::Release => self.tell_all(&machine::Input::Release, now),
            GroupInput::Promote => self.promote(now),
            GroupInput::Resume => self.tell_all(&machine::Input::Resume, now),
            GroupInput::InSync(in_sync) => {
                let opened = self.gate.set(in_sync, now);
                self.gate_moved(opened, now);
            }
            GroupInput::Gate(settings) => {
                let opened = self.gate.configure(settings, now);
                self.gate_moved(opened, now);
            }
            GroupInput::Member(member, input) => self.tell(member, input, now),
        }
        self.settle(now);
        self.check();
    }

    /// What shall be done next, in order; `None` when all was said.
    pub fn poll_output(&mut self) -> Option<GroupOutput> {
        self.outputs.pop_front()
    }

    /// When to tick at the latest; `None` while nothing depends on time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.iter().filter_map(Router::next_deadline);
        members.chain(self.gate.next_deadline()).min()
    }

    /// What the group is: what all its members are, once they have moved together.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Its virtual routers, in the order in which they were given.
    #[must_use]
    pub fn members(&self) -> &[Router] {
        &self.members
    }

    /// One of them; `None` if there is none of that number.
    #[must_use]
    pub fn member(&self, member: Member) -> Option<&Router> {
        self.members.get(member.0)
    }

    /// Its gate.
    #[must_use]
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    fn tick(&mut self, now: Instant) {
        let opened = self.gate.tick(now);
        self.gate_moved(opened, now);
        self.tell_all(&machine::Input::Tick, now);
    }

    fn gate_moved(&mut self, opened: Option<Opened>, now: Instant) {
        self.outputs.extend(opened.map(GroupOutput::GateOpened));
        self.set_holds(now);
    }

    /// One member alone leads itself.
    fn set_holds(&mut self, now: Instant) {
        let hold = Hold {
            preempt: !self.gate.is_open(),
            lead: self.members.len() > 1,
        };
        for router in &mut self.members {
            router.hold(hold, now);
        }
    }
}
