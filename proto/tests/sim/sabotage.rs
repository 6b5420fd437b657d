//! Machines that are broken on purpose, to see that the oracles notice.

use std::time::Duration;

use proto::vrrp::{
    machine::{Config, Preempt},
    terms::Priority,
};

use crate::setup::Plan;

/// What is wrong with every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Nothing.
    None,
    /// Masters of more priority are not heard.
    Stubborn,
    /// A master that leaves is not heard.
    DeafToReleases,
    /// A master does not say so.
    Mute,
    /// A backup never takes over.
    Meek,
    /// Deadlines are met two intervals late.
    Late,
    /// Adverts wait for the slow plane.
    SlowFirst,
    /// Addresses are not given up.
    KeepAddresses,
    /// Those that shall not preempt do.
    AlwaysPreempt,
    /// Those that shall preempt do not.
    NeverPreempt,
    /// The gate stands open.
    NoGate,
}

impl Sabotage {
    pub(crate) fn hears(self, theirs: Priority, ours: Priority) -> bool {
        match self {
            Self::Stubborn => theirs <= ours,
            Self::DeafToReleases => theirs != Priority::RELEASE,
            _ => true,
        }
    }

    pub(crate) fn ticks(self, is_master: bool) -> bool {
        self != Self::Meek || is_master
    }

    pub(crate) fn is_stuck(self, idle: bool) -> bool {
        self == Self::SlowFirst && !idle
    }

    pub(crate) fn lateness(self, plan: &Plan) -> Duration {
        if self == Self::Late {
            plan.configs[0].interval.duration() * 2
        } else {
            Duration::ZERO
        }
    }

    /// What a node is configured as although its plan says otherwise.
    pub(crate) fn config(self, config: Config) -> Config {
        let preempt = match self {
            Self::AlwaysPreempt => Preempt::AtOnce,
            Self::NeverPreempt => Preempt::Never,
            _ => return config,
        };
        let mut settings = (*config).clone();
        settings.preempt = preempt;
        Config::new(settings).expect("valid but for how it preempts")
    }
}
