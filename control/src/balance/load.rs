//! What all workers know of one backend: what is in flight on it, and how long it takes to answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::members::BackendId;
use crate::time::Instant;

/// Load of one backend, shared by all workers and kept from plan to plan.
///
/// Aligned to two cache lines (CPUs fetch them in pairs), so that backends do not slow each other down. All
/// accesses are relaxed: the numbers steer, they order nothing.
#[derive(Debug)]
#[repr(align(128))]
pub struct Load {
    in_flight: AtomicU32,
    /// When least-time last sent a request to find out, in ticks; 0: never.
    explored: AtomicU32,
    latency: AtomicU64,
}

/// How a request ended, as far as it tells of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered after this time (to the first byte of the response; for TCP, to the connection).
    Answered(Duration),
    /// It failed: counts as if it had taken this long. Pass the timeout, however quickly it failed.
    Failed(Duration),
    /// The client or we gave up after this time: says only that it takes at least so long.
    Abandoned(Duration),
}

impl Default for Load {
    fn default() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            explored: AtomicU32::new(0),
            latency: AtomicU64::new(Estimate::UNKNOWN),
        }
    }
}

impl Load {
    /// A backend that nothing is known of.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Requests (HTTP) or connections (TCP, UDP) that are on the backend now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The moving average of latency; none before the first outcome.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.estimate()
            .map(|e| Duration::try_from_secs_f32(e.seconds).unwrap_or(Duration::MAX))
    }

    /// Takes a place if fewer than `limit` are taken. Exact however many workers ask at once.
    ///
    /// The [`Slot`] is the place: dropping it gives the place back, so none can leak with a cancelled request
    /// nor be given back twice. It costs a reference count, on a line that this call touches anyway.
    #[must_use]
    pub fn try_begin(self: &Arc<Self>, id: BackendId, limit: Option<u32>) -> Option<Slot> {
        match limit {
            None => drop(self.in_flight.fetch_add(1, Relaxed)),
            Some(limit) => drop(
                self.in_flight
                    .fetch_update(Relaxed, Relaxed, |n| (n < limit).then(|| n + 1))
                    .ok()?,
            ),
        }
        Some(Slot {
            load: Arc::clone(self),
            id,
        })
    }

    pub(super) fn is_full(&self, limit: Option<u32>) -> bool {
        limit.is_some_and(|limit| self.in_flight() >= limit)
    }

    pub(super) fn estimate(&self) -> Option<Estimate> {
        Estimate::unpack(self.latency.load(Relaxed))
    }

    /// How long since `estimate` was told anything or a request was sent to find out, whichever is later.
    pub(super) fn unheard_for(&self, estimate: Option<Estimate>, now: Instant) -> Option<Duration> {
        let explored = match self.explored.load(Relaxed) {
            0 => None,
            ticks => Some(Ticks(ticks)),
        };
        let stamps = estimate.map(|e| e.at).into_iter().chain(explored);
        stamps.map(|at| Ticks::of(now).since(at)).min()
    }

    /// Claims the next exploring request for the caller; false if another worker was quicker.
    pub(super) fn claim_exploring(&self, now: Instant) -> bool {
        let last = self.explored.load(Relaxed);
        let now = Ticks::of(now).0.max(1);
        last != now
            && self
                .explored
                .compare_exchange(last, now, Relaxed, Relaxed)
                .is_ok()
    }

    /// Takes an outcome into the average. Under contention a sample may be dropped: it is one of many then.
    fn observe(&self, now: Instant, outcome: Outcome) {
        const TRIES: usize = 4;
        let mut packed = self.latency.load(Relaxed);
        for _ in 0..TRIES {
            let Some(next) = Estimate::after(Estimate::unpack(packed), now, outcome) else {
                return;
            };
            match self
                .latency
                .compare_exchange_weak(packed, next.pack(), Relaxed, Relaxed)
            {
                Ok(_) => return,
                Err(changed) => packed = changed,
            }
        }
    }
}

/// One request's place on a backend. Dropping it ends the request as far as counts go.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct Slot {
    load: Arc<Load>,
    id: BackendId,
}

impl Slot {
    /// The backend.
    #[must_use]
    pub fn id(&self) -> BackendId {
        self.id
    }

    /// Tells how long the backend took. May come well before the end of the request, say at the first byte of
    /// the response, while the body still counts as in flight.
    pub fn observe(&self, now: Instant, outcome: Outcome) {
        self.load.observe(now, outcome);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let before = self.load.in_flight.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "each slot was counted once");
    }
}

/// A moving average of latency, and when it was last told anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) seconds: f32,
    /// The last outcome was a failure: says how bad it is, not how quick an answer is.
    pub(super) failing: bool,
    at: Ticks,
}

impl Estimate {
    /// What is older than this counts for about a third.
    const MEMORY: f32 = 5.0;
    /// The least share of a new sample, however quickly samples come: then the average is over about as many
    /// requests as this is the inverse of, so that a burst of failures shows even if it takes no time.
    const LEAST: f32 = 1.0 / 128.0;
    /// The least share of an answer that is slower than the average, or the first after a silence. A backend
    /// that turns slow is avoided within two or three answers, but a single slow answer does not banish it.
    const RISE: f32 = 0.5;
    pub(super) const LEAST_SILENCE: Duration = Duration::from_secs(1);
    const MOST_SILENCE: Duration = Duration::from_secs(10);
    /// Not a pair of a finite number and ticks.
    const UNKNOWN: u64 = u64::MAX;

    fn after(before: Option<Self>, now: Instant, outcome: Outcome) -> Option<Self> {
        let at = Ticks::of(now);
        let sample = match outcome {
            Outcome::Answered(d) | Outcome::Failed(d) | Outcome::Abandoned(d) => d.as_secs_f32(),
        };
        let failing = matches!(outcome, Outcome::Failed(_));
        let abandoned = matches!(outcome, Outcome::Abandoned(_));
        let Some(before) = before else {
            return (!abandoned).then_some(Self {
                seconds: sample,
                failing,
                at,
            });
        };
        if abandoned && sample <= before.seconds {
            return None;
        }
        // A failure never makes a backend look quicker.
        let sample = if failing {
            sample.max(before.seconds)
        } else {
            sample
        };
        let share = before.share_of(sample, failing, at.since(before.at));
        Some(Self {
            seconds: before.seconds + share * (sample - before.seconds),
            failing: failing || (abandoned && before.failing),
            at,
        })
    }

    /// The share of the new average that a sample has, `age` after the last one.
    fn share_of(self, sample: f32, failed: bool, age: Duration) -> f32 {
        let fair = (-(-age.as_secs_f32() / Self::MEMORY).exp_m1()).max(Self::LEAST);
        if failed {
            // Failures are far above the average by what they count as: to rise faster than fair would make a
            // backend that fails one request in a thousand as bad as one that fails them all.
            fair
        } else if sample > self.seconds || age >= self.silence() {
            fair.max(Self::RISE)
        } else {
            fair
        }
    }

    /// After so long without a word, the average tells of the past: ten times the latency, at least 1 s, at
    /// most 10 s.
    pub(super) fn silence(self) -> Duration {
        let wait = Duration::try_from_secs_f32(10.0 * self.seconds);
        wait.map_or(Self::MOST_SILENCE, |d| {
            d.clamp(Self::LEAST_SILENCE, Self::MOST_SILENCE)
        })
    }

    /// The latency with its sign for `failing`, which no latency needs, above the ticks.
    fn pack(self) -> u64 {
        let sign = u32::from(self.failing) << 31;
        u64::from(self.seconds.to_bits() | sign) << 32 | u64::from(self.at.0)
    }

    fn unpack(packed: u64) -> Option<Self> {
        (packed != Self::UNKNOWN).then(|| Self {
            seconds: f32::from_bits((packed >> 32) as u32).abs(),
            failing: packed >> 63 == 1,
            at: Ticks(packed as u32),
        })
    }
}

/// Coarse time of about a millisecond (2^20 ns) in 32 bits, so that it fits beside a number in one atomic.
/// Wraps after 52 days: what is older than half of that looks fresh once, which costs one wait.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks(u32);

impl Ticks {
    const SHIFT: u32 = 20;

    fn of(now: Instant) -> Self {
        Self((now.nanos() >> Self::SHIFT) as u32)
    }

    fn since(self, earlier: Self) -> Duration {
        let ticks = self.0.wrapping_sub(earlier.0).cast_signed().max(0);
        Duration::from_nanos(u64::from(ticks.cast_unsigned()) << Self::SHIFT)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const ID: BackendId = BackendId::from_bits(1);

    fn at(ms: u64) -> Instant {
        Instant::at(Duration::from_millis(ms))
    }

    fn ms(load: &Load) -> f64 {
        load.latency().unwrap().as_secs_f64() * 1e3
    }

    fn observe(load: &Arc<Load>, ms: u64, outcome: Outcome) {
        load.observe(at(ms), outcome);
    }

    #[test]
    fn a_limit_holds_and_places_come_back() {
        let load = Load::new();
        let one = load.try_begin(ID, Some(2)).unwrap();
        let two = load.try_begin(ID, Some(2)).unwrap();
        assert!(load.try_begin(ID, Some(2)).is_none());
        drop(one);
        assert_eq!(load.in_flight(), 1);
        let three = load.try_begin(ID, Some(2)).unwrap();
        drop((two, three));
        assert_eq!(load.in_flight(), 0);
        assert!(load.try_begin(ID, Some(0)).is_none());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the planes' workers are threads")]
    fn a_limit_holds_between_threads() {
        let load = Load::new();
        let most = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let _ = scope.spawn(|| {
                    for _ in 0..20_000 {
                        let slot = load.try_begin(ID, Some(3));
                        let _ = most.fetch_max(load.in_flight(), Relaxed);
                        drop(slot);
                    }
                });
            }
        });
        assert_eq!(load.in_flight(), 0);
        assert!(most.into_inner() <= 3);
    }

    #[test]
    fn latency_is_unknown_until_told() {
        let load = Load::new();
        assert_eq!(load.latency(), None);
        observe(&load, 0, Outcome::Abandoned(Duration::from_secs(1)));
        assert_eq!(load.latency(), None, "giving up says nothing by itself");
        observe(&load, 0, Outcome::Answered(Duration::from_millis(10)));
        assert!((ms(&load) - 10.0).abs() < 0.001);
    }

    #[test]
    fn rises_fast_and_falls_with_time() {
        let load = Load::new();
        observe(&load, 0, Outcome::Answered(Duration::from_millis(10)));
        for _ in 0..3 {
            observe(&load, 0, Outcome::Answered(Duration::from_millis(90)));
        }
        assert!(ms(&load) > 75.0, "three slow answers show");
        observe(&load, 0, Outcome::Answered(Duration::from_millis(10)));
        assert!(
            ms(&load) > 75.0,
            "one good answer at the same time does not outweigh them"
        );
        observe(&load, 15_000, Outcome::Answered(Duration::from_millis(10)));
        assert!(ms(&load) < 15.0, "after three times the memory it does");
    }

    #[test]
    fn failures_count_by_their_share() {
        let load = Load::new();
        let timeout = Duration::from_secs(30);
        for i in 0..100_000_u64 {
            let outcome = match i % 100 {
                0 => Outcome::Failed(timeout),
                _ => Outcome::Answered(Duration::from_millis(1)),
            };
            observe(&load, i, outcome);
        }
        // One in a hundred at 30 s is 300 ms on average; just before the next failure it is below that.
        assert!((100.0..600.0).contains(&ms(&load)), "{}", ms(&load));
    }

    #[test]
    fn failing_never_makes_it_look_quicker() {
        let load = Load::new();
        observe(&load, 0, Outcome::Failed(Duration::from_secs(30)));
        observe(&load, 60_000, Outcome::Failed(Duration::from_millis(1)));
        assert!(ms(&load) > 29_999.0);
    }

    #[test]
    fn giving_up_only_raises() {
        let load = Load::new();
        observe(&load, 0, Outcome::Answered(Duration::from_millis(50)));
        observe(&load, 0, Outcome::Abandoned(Duration::from_millis(5)));
        assert!((ms(&load) - 50.0).abs() < 0.001);
        observe(&load, 0, Outcome::Abandoned(Duration::from_millis(150)));
        assert!((ms(&load) - 100.0).abs() < 0.001);
    }

    #[test]
    fn coarse_time_survives_its_wrap() {
        let before = Ticks(u32::MAX - 10);
        assert_eq!(Ticks(10).since(before), Duration::from_nanos(21 << 20));
        assert_eq!(before.since(Ticks(10)), Duration::ZERO);
    }
}
