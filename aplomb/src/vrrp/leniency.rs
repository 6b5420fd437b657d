//! Time that backups give others because they themselves did not have it: what kept this node from running may have kept
//! adverts from coming, or the one who sends them. Without it a node that stood still takes over from a master that did not.

use std::time::Duration;

use proto::time::Instant;

/// Who wakes so much later than it wanted was kept from running, and not by its own work.
pub(super) const LATE: Duration = Duration::from_millis(5);
/// How long, at most, others are given.
const MOST: Duration = Duration::from_secs(1);

/// How long this node's backups wait beyond what was due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leniency {
    until: Instant,
    /// What was due when it was given, and when that was.
    given: Option<(Instant, Instant)>,
}

impl Leniency {
    /// The thread of virtual routers woke so `late`, and a core has been `standing` still for so long. `due`: when backups
    /// would take over.
    pub(super) fn woke(
        &mut self,
        now: Instant,
        late: Duration,
        standing: Duration,
        due: Option<Instant>,
    ) {
        let late = late.max(standing);
        if late < LATE {
            return;
        }
        let Some(due) = due else { return };
        // Once for what was due: who is always late takes over all the same. While a core stands still, again.
        let since = match self.given {
            Some((given, since)) if given == due => {
                if standing < LATE || now.saturating_since(since) >= MOST {
                    return;
                }
                since
            }
            _ => now,
        };
        self.given = Some((due, since));
        self.until = (now + late).min(since + MOST);
    }

    /// Whether backups wait.
    pub(super) fn holds(self, now: Instant) -> bool {
        now < self.until
    }

    /// When that which is due for a backup is done.
    pub(super) fn defer(self, due: Instant) -> Instant {
        due.max(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::at(Duration::from_millis(millis))
    }

    const NONE: Duration = Duration::ZERO;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn who_woke_late_waits_as_long_once() {
        let mut leniency = Leniency::default();
        leniency.woke(at(100), ms(4), NONE, Some(at(36)));
        assert!(
            !leniency.holds(at(100)),
            "as late as that is nobody's fault"
        );
        leniency.woke(at(100), ms(40), NONE, Some(at(60)));
        assert!(leniency.holds(at(139)) && !leniency.holds(at(140)));
        assert_eq!(
            (leniency.defer(at(60)), leniency.defer(at(150))),
            (at(140), at(150))
        );
        leniency.woke(at(145), ms(5), NONE, Some(at(60)));
        assert!(!leniency.holds(at(145)), "not for the same again");
        leniency.woke(at(300), ms(40), NONE, Some(at(260)));
        assert!(leniency.holds(at(339)), "for the next, it does");
    }

    #[test]
    fn while_a_core_stands_still_it_waits_on_but_not_for_ever() {
        let mut leniency = Leniency::default();
        leniency.woke(at(1000), NONE, ms(20), Some(at(1000)));
        assert!(leniency.holds(at(1019)));
        leniency.woke(at(1020), NONE, ms(40), Some(at(1000)));
        assert!(leniency.holds(at(1059)));
        // It goes on, and an advert was to come since.
        leniency.woke(at(1060), NONE, NONE, Some(at(1000)));
        assert!(!leniency.holds(at(1060)));
        let mut leniency = Leniency::default();
        for now in (1000..2500).step_by(10) {
            leniency.woke(at(now), NONE, ms(now - 900), Some(at(1000)));
            assert_eq!(leniency.holds(at(now)), now < 2000, "{now}");
        }
    }

    #[test]
    fn where_nothing_is_due_nothing_is_given() {
        let mut leniency = Leniency::default();
        leniency.woke(at(100), ms(40), ms(40), None);
        assert!(!leniency.holds(at(101)));
    }
}
