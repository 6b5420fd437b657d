//! What goes into a virtual router and what comes out: one enum each.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use super::Config;
use crate::vrrp::{
    codec::Advert,
    refusal::Refusal,
    terms::{Addresses, Interval, Priority},
};

/// What a virtual router is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed: whatever is due happens. Give it all adverts that have arrived first; a node that could not
    /// run for a while must not take its own delay for the master's death.
    Tick,
    /// Take part from now on.
    Start,
    /// Leave for good: a master says so with priority 0 and gives the addresses up.
    Stop,
    /// An advert that [`Wire::read`](crate::vrrp::wire::Wire::read) took.
    Advert {
        /// Its sender's primary address.
        from: IpAddr,
        /// What it says.
        advert: Advert,
    },
    /// The interface is up, and this is our primary address: adverts come from it, and between equal priorities the
    /// greater one wins. Also when it changes.
    LinkUp(IpAddr),
    /// The interface is down, or has no address.
    LinkDown,
    /// Our priority, after what is tracked took some away: 1 to 255.
    Priority(Priority),
    /// Something that is tracked, named by the first word, makes us unfit (a sentence says why), or no longer does.
    Fault(Arc<str>, Option<Arc<str>>),
    /// Hand over to another node now, and do not take over from it again before [`Input::Resume`] or
    /// [`Input::Promote`]. If nobody takes over, we do.
    Release,
    /// Take over now, with a priority that keeps the others away until [`Input::Resume`] or [`Input::Release`].
    Promote,
    /// What the configuration says counts again, after a release or a promotion.
    Resume,
    /// Other settings. What can be kept is kept; another id, version or family is another virtual router. After another
    /// base priority, what tracking leaves of it is to be told again.
    Configure(Box<Config>),
}

/// What shall be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this now: to the group, or to each peer. It is sealed by [`Wire::write`](crate::vrrp::wire::Wire::write).
    Advertise(Advert),
    /// The addresses are ours: have them on the interface and tell the link (a burst).
    Take(Addresses),
    /// The addresses are not ours any more: take them off the interface, say no more about them.
    GiveUp(Addresses),
    /// Tell the link again where the addresses are (a burst): somebody else has said otherwise.
    Announce,
    /// We are something else now, and why.
    Moved(Transition),
    /// The advert that just came in is not obeyed.
    Refused(Refusal),
    /// The advert that just came in is obeyed, and yet something is wrong with it. Once per change of what is wrong.
    Noted(Refusal),
    /// Another node was master while we were. Once; then [`Output::SplitBrainOver`].
    SplitBrain {
        /// The other.
        peer: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// The other master has not been heard for the master-down interval, or we are master no more.
    SplitBrainOver {
        /// From its first advert to its last.
        lasted: Duration,
    },
    /// What an operator asked for is not done.
    Declined(Decline),
}

/// What a virtual router is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It takes no part: not started, or waiting for its start delay.
    Initialize,
    /// It takes no part: its link is down, or something tracked makes it unfit.
    Fault,
    /// It watches the master.
    Backup,
    /// It holds the addresses.
    Master,
}

impl State {
    /// For logs, metrics and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Fault => "fault",
            Self::Backup => "backup",
            Self::Master => "master",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why.
    pub why: Why,
}

/// Why a state changed: what a log line says after "because".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was started, or its start delay is over.
    Started,
    /// It was stopped.
    Stopped,
    /// The addresses are our own.
    Owner,
    /// No advert that counts for the master-down interval.
    MasterDown {
        /// How long it was quiet.
        silence: Duration,
    },
    /// The master said that it leaves, and nobody with more priority was quicker.
    MasterLeft,
    /// A master of less priority was there for the preempt delay.
    PreemptDelayOver,
    /// A node with more priority is master.
    HigherPriority {
        /// Which.
        peer: IpAddr,
        /// Its priority.
        theirs: Priority,
        /// Ours.
        ours: Priority,
    },
    /// A node with our priority and a greater address is master.
    HigherAddress {
        /// Which.
        peer: IpAddr,
    },
    /// The interface went down, or lost its address.
    LinkDown,
    /// What is tracked: its name and a sentence.
    Fault(Arc<str>, Arc<str>),
    /// Nothing is in the way any more.
    Repaired,
    /// An operator asked for it.
    Released,
    /// An operator asked for it.
    Promoted,
    /// The configuration made another virtual router of it.
    Configured,
    /// The group moves together.
    Group,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("it was started"),
            Self::Stopped => f.write_str("it was stopped"),
            Self::Owner => f.write_str("the addresses are its own"),
            Self::MasterDown { silence } => write!(f, "no master was heard for {silence:?}"),
            Self::MasterLeft => f.write_str("the master left"),
            Self::PreemptDelayOver => {
                f.write_str("the master has less priority, and the preempt delay is over")
            }
            Self::HigherPriority { peer, theirs, ours } => {
                write!(f, "{peer} is master with priority {theirs}, ours is {ours}")
            }
            Self::HigherAddress { peer } => write!(
                f,
                "{peer} is master with the same priority and the greater address"
            ),
            Self::LinkDown => f.write_str("the interface is down or has no address"),
            Self::Fault(name, sentence) => write!(f, "{name}: {sentence}"),
            Self::Repaired => f.write_str("nothing is in the way any more"),
            Self::Released => f.write_str("it was asked to hand over"),
            Self::Promoted => f.write_str("it was asked to take over"),
            Self::Configured => f.write_str("its configuration changed"),
            Self::Group => f.write_str("its group moves together"),
        }
    }
}

/// Why what an operator asked for is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decline {
    /// It takes no part (see its state), so it can neither take over nor hand over.
    NotTakingPart(State),
    /// The master would not yield: it owns the addresses, or has the greatest priority.
    MasterWouldNotYield {
        /// Which.
        peer: IpAddr,
        /// Its priority.
        priority: Priority,
    },
    /// It does not hold the addresses, so there is nothing to hand over.
    NotMaster,
}

impl fmt::Display for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTakingPart(state) => write!(f, "it takes no part, its state is {state}"),
            Self::MasterWouldNotYield { peer, priority } => {
                write!(
                    f,
                    "{peer} is master with priority {priority} and would not yield"
                )
            }
            Self::NotMaster => f.write_str("it is not master"),
        }
    }
}

/// The master as it was last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its primary address.
    pub from: IpAddr,
    /// Its priority.
    pub priority: Priority,
    /// Its interval.
    pub interval: Interval,
    /// When.
    pub at: crate::time::Instant,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Adverts to be sent, with priority 0 too; by unicast each goes to every peer.
    pub sent: u64,
    /// Those with priority 0.
    pub sent_releases: u64,
    /// Adverts that were obeyed or rightly passed over.
    pub received: u64,
    /// Those with priority 0.
    pub received_releases: u64,
    /// How often it became master.
    pub became_master: u64,
    /// How often another was master at the same time.
    pub split_brains: u64,
    /// Adverts that were not obeyed; those that the wire refused are counted there.
    pub refused: crate::vrrp::refusal::Refusals,
    /// Adverts that were obeyed although something was wrong with them.
    pub noted: crate::vrrp::refusal::Refusals,
}
