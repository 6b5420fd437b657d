//! What is heard of adverts where directors are: when each leaves one of them and when it arrives at the other, by the
//! kernel's stamps.

use super::super::place::{Mac, Place};
use super::super::watch::{Heard, Watch, What};
use super::pulse::Span;
use crate::Result;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A wait for a frame, so that the end is noticed.
const NAP: Duration = Duration::from_millis(200);

/// How many adverts a master may be late by before one that begins again has taken over.
const ABSENT: u32 = 5;

/// What two ears hear; the first is where director 0 is.
pub(super) struct Ears {
    tally: Arc<Mutex<Tally>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result>>,
}

/// What was heard so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    interval: Duration,
    /// Between two adverts that left a director, whichever.
    pub(super) sent: Gaps,
    /// Between two that arrived at another.
    pub(super) arrived: Gaps,
    /// How often a director began to send them: since when nobody had, and when.
    pub(super) takeovers: Vec<Span>,
    /// Adverts with priority 0.
    pub(super) releases: u64,
    /// Adverts of a director that came while the other sent them too.
    pub(super) of_two_masters: u64,
    /// Frames that the kernel had no room for: these figures have a hole there.
    pub(super) unheard: u64,
    left: [Option<Duration>; 2],
}

/// Times between adverts.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    /// How many adverts there were.
    pub(super) adverts: u64,
    pub(super) longest: Duration,
    /// Longer than two intervals: one was lost, or as late as if it were.
    pub(super) over_two: u64,
    last: Option<Duration>,
}

impl Gaps {
    fn count(&mut self, at: Duration, interval: Duration) {
        self.adverts += 1;
        let last = self.last.replace(at);
        let Some(gap) = last.and_then(|last| at.checked_sub(last)) else {
            return;
        };
        self.longest = self.longest.max(gap);
        if gap > interval * 2 {
            self.over_two += 1;
        }
    }
}

impl Tally {
    fn of(interval: Duration) -> Tally {
        Tally {
            interval,
            ..Tally::default()
        }
    }

    /// A frame at the ear of director `here`.
    fn hear(&mut self, here: usize, heard: &Heard) {
        let (What::Advert(priority), Some(from)) = (heard.what, sender(heard.from)) else {
            return;
        };
        let at = heard.at;
        if from != here {
            self.arrived.count(at, self.interval);
            return;
        }
        if priority == 0 {
            self.releases += 1;
        }
        let recent = |last: Option<Duration>| {
            last.and_then(|last| at.checked_sub(last))
                .is_some_and(|ago| ago < self.interval * ABSENT)
        };
        let (goes_on, other_too) = (recent(self.left[from]), recent(self.left[1 - from]));
        // The first of all is who was master before.
        if !goes_on && self.left != [None, None] {
            let last = self.left.into_iter().flatten().max();
            self.takeovers.push(Span {
                from: last.unwrap_or(at),
                to: at,
            });
        }
        if goes_on && other_too {
            self.of_two_masters += 1;
        }
        self.sent.count(at, self.interval);
        self.left[from] = Some(at);
    }

    /// Adverts that left one director and never came to the other.
    pub(super) fn lost(&self) -> u64 {
        self.sent.adverts.saturating_sub(self.arrived.adverts)
    }
}

fn sender(mac: Mac) -> Option<usize> {
    (0..2).find(|host| Place::mac(*host) == mac)
}

impl Ears {
    /// Begins to listen at both directors.
    pub(super) fn open(place: &Place, interval: Duration) -> Result<Ears> {
        let tally = Arc::new(Mutex::new(Tally::of(interval)));
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for here in 0..2 {
            let mut watch = place.on(here, Watch::open)?;
            watch.only_directors()?;
            let (tally, over) = (Arc::clone(&tally), Arc::clone(&over));
            threads.push(std::thread::spawn(move || {
                while !over.load(Relaxed) {
                    let heard = watch.hear(NAP)?;
                    let unheard = watch.unheard()?;
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.unheard += u64::from(unheard);
                    if let Some(heard) = heard {
                        tally.hear(here, &heard);
                    }
                }
                Ok(())
            }));
        }
        Ok(Ears {
            tally,
            over,
            threads,
        })
    }

    /// What was heard so far.
    pub(super) fn tally(&self) -> Tally {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.clone()
    }

    /// Listens no longer; whether it could until now.
    pub(super) fn close(self) -> Result<Tally> {
        self.over.store(true, Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| "an ear failed".to_owned())??;
        }
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tally.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An advert of director `from` at an ear, at so many milliseconds.
    fn advert(tally: &mut Tally, here: usize, from: usize, at: u64, priority: u8) {
        let heard = Heard {
            what: What::Advert(priority),
            from: Place::mac(from),
            at: Duration::from_millis(1000 + at),
        };
        tally.hear(here, &heard);
    }

    #[test]
    fn gaps_and_losses_are_counted() {
        let mut tally = Tally::of(Duration::from_millis(10));
        for at in [0, 10, 20, 30] {
            advert(&mut tally, 0, 0, at, 100);
            if at != 10 {
                advert(&mut tally, 1, 0, at + 1, 100);
            }
        }
        assert_eq!((tally.sent.adverts, tally.lost()), (4, 1));
        assert_eq!(tally.sent.longest.as_millis(), 10);
        assert_eq!(tally.arrived.longest.as_millis(), 20);
        assert_eq!((tally.takeovers.len(), tally.of_two_masters), (0, 0));
        advert(&mut tally, 1, 0, 52, 100);
        assert_eq!(tally.arrived.over_two, 1);
    }

    #[test]
    fn who_begins_has_taken_over() {
        let mut tally = Tally::of(Duration::from_millis(10));
        advert(&mut tally, 0, 0, 0, 100);
        advert(&mut tally, 1, 1, 36, 100);
        assert_eq!((tally.takeovers.len(), tally.of_two_masters), (1, 0));
        let silence = tally.takeovers[0];
        assert_eq!((silence.to - silence.from).as_millis(), 36);
        // The first is still there.
        advert(&mut tally, 0, 0, 40, 100);
        advert(&mut tally, 1, 1, 46, 0);
        assert_eq!((tally.takeovers.len(), tally.releases), (1, 1));
        assert!(tally.of_two_masters > 0);
        // And begins again, long after.
        advert(&mut tally, 0, 0, 200, 100);
        assert_eq!(tally.takeovers.len(), 2);
    }
}
