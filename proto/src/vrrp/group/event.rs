//! What goes into a group and what comes out: one enum each.

use std::time::Duration;

use super::GateSettings;
use crate::vrrp::machine::{Decline, Input, Output, State};

/// A virtual router of a group: its place in the list the group was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(pub usize);

/// What a group is told.
#[derive(Clone, Debug)]
pub enum GroupInput {
    /// Time has passed, for all members and the gate. Give them all adverts that have arrived first.
    Tick,
    /// All members take part from now on.
    Start,
    /// All members leave for good.
    Stop,
    /// Hand over to another node now; see [`Input::Release`].
    Release,
    /// Take over now; see [`Input::Promote`]. All members do, or none.
    Promote,
    /// What the configuration says counts again.
    Resume,
    /// Whether what must be known to take over without loss (tables of flows) is known.
    InSync(bool),
    /// Another gate, or none.
    Gate(Option<GateSettings>),
    /// Something for one member.
    Member(Member, Input),
}

/// What shall be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupOutput {
    /// By or with one member.
    Member(Member, Output),
    /// The group as a whole is something else now.
    Moved {
        /// What it was.
        from: State,
        /// What it is.
        to: State,
    },
    /// From now on members may preempt.
    GateOpened(Opened),
    /// What an operator asked the whole group for is not done, because of this member.
    Declined(Member, Decline),
}

/// What opened a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// All is in sync.
    InSync,
    /// It took too long; waiting would do more harm.
    Timeout(Duration),
    /// There is no gate any more.
    Removed,
}
