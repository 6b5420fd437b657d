//! Flap damping: a check that falls again and again must wait longer and longer before its backend comes up.

use std::{collections::VecDeque, time::Duration};

use crate::{spec::check::DampingSpec, time::Instant};

/// Beyond this many falls in a window the hold has long reached its bound: no need to remember more.
const MAX_EXCESS: usize = 32;

/// The falls of one check within the window, and the hold that follows from them.
#[derive(Clone, Debug, Default)]
pub(super) struct Damping {
    falls: VecDeque<Instant>,
    held_until: Option<Instant>,
}

impl Damping {
    /// The check fell at `now`.
    pub(super) fn fell(&mut self, spec: &DampingSpec, now: Instant) {
        self.falls
            .retain(|&at| now.saturating_since(at) < spec.window);
        self.falls.push_back(now);
        while self.falls.len() > usize::from(spec.changes) + MAX_EXCESS {
            let _oldest = self.falls.pop_front();
        }
        self.held_until = hold(spec, self.falls.len()).map(|hold| now + hold);
    }

    /// Until when the check may not rise, if that is still to come.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|&until| until > now)
    }

    /// Holds until then, as a process before this one had found.
    pub(super) fn hold_until(&mut self, until: Instant) {
        self.held_until = Some(until);
    }
}

/// How long `falls` within a window hold a backend down.
fn hold(spec: &DampingSpec, falls: usize) -> Option<Duration> {
    let excess = falls.checked_sub(usize::from(spec.changes) + 1)?;
    let doubled = u32::try_from(excess)
        .ok()
        .and_then(|excess| 2_u32.checked_pow(excess))
        .and_then(|factor| spec.hold.checked_mul(factor));
    Some(doubled.map_or(spec.max_hold, |hold| hold.min(spec.max_hold)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> DampingSpec {
        DampingSpec {
            changes: 2,
            window: Duration::from_secs(60),
            hold: Duration::from_secs(5),
            max_hold: Duration::from_secs(30),
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::at(Duration::from_secs(seconds))
    }

    #[test]
    fn the_hold_doubles_with_each_fall_too_many_up_to_its_bound() {
        let mut damping = Damping::default();
        let holds: Vec<_> = (0..7)
            .map(|n| {
                let now = at(n);
                damping.fell(&spec(), now);
                damping
                    .held_until(now)
                    .map_or(0, |until| until.saturating_since(now).as_secs())
            })
            .collect();
        assert_eq!(holds, [0, 0, 5, 10, 20, 30, 30]);
    }

    #[test]
    fn falls_outside_the_window_are_forgotten() {
        let mut damping = Damping::default();
        for n in [0, 1, 2] {
            damping.fell(&spec(), at(n));
        }
        assert_eq!(damping.held_until(at(3)), Some(at(7)));
        assert_eq!(damping.held_until(at(7)), None);
        damping.fell(&spec(), at(100));
        assert_eq!(damping.held_until(at(100)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut damping = Damping::default();
        for n in 0..10_000 {
            damping.fell(&spec(), Instant::from_nanos(n));
        }
        assert!(damping.falls.len() <= 2 + MAX_EXCESS);
    }
}
