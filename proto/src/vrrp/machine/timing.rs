//! How long things take: RFC 3768, 6.1 in whole seconds, and RFC 9568, 6.1 in the master's interval. Exact to the
//! nanosecond, no rounding to centiseconds.

use std::time::Duration;

use super::Router;
use crate::vrrp::terms::{Interval, Priority, Version};

/// Adverts that may be lost before the master counts as gone.
const LOST: u32 = 3;

/// Adverts that are sent out of turn keep a quarter of the interval from the last: another master that answers each
/// advert with one of its own, or somebody who only says so, cannot make us send without end.
const LEAST_GAP: u32 = 4;

/// Skew_Time: the less priority, the longer, so that the best backup is first.
pub(super) fn skew(version: Version, priority: Priority, interval: Interval) -> Duration {
    let whole = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval.duration(),
    };
    whole * (256 - u32::from(priority.0)) / 256
}

/// Master_Down_Interval (RFC 3768), Active_Down_Interval (RFC 9568): the quiet after which the master is gone.
pub(super) fn down_interval(version: Version, priority: Priority, interval: Interval) -> Duration {
    interval.duration() * LOST + skew(version, priority, interval)
}

impl Router {
    /// The interval that the master was heard to have, in version 3; else ours.
    fn master_interval(&self) -> Interval {
        match &self.phase {
            super::Phase::Backup(backup) => backup.learned.unwrap_or(self.config.interval),
            _ => self.config.interval,
        }
    }

    /// How long a backup waits once the master has left.
    #[must_use]
    pub fn skew_time(&self) -> Duration {
        skew(self.config.version, self.priority(), self.master_interval())
    }

    /// How long a backup hears nothing until it takes over.
    #[must_use]
    pub fn master_down_interval(&self) -> Duration {
        down_interval(self.config.version, self.priority(), self.master_interval())
    }

    pub(super) fn least_gap(&self) -> Duration {
        self.config.interval.duration() / LEAST_GAP
    }
}
