//! When to announce which address: a burst on taking over, another a while later, and refreshes for as long as we are
//! master; never faster than the link is meant to bear.

use std::{collections::VecDeque, fmt, net::IpAddr, time::Duration};

use crate::{
    time::Instant,
    vrrp::limits::{MAX_DELAY, MAX_REPEATS},
};

/// How announcements are paced. Names in brackets are keepalived's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurstSettings {
    /// Announcements of each address in a burst (`garp_master_repeat`).
    pub count: u16,
    /// Between the rounds of a burst: each round announces every address once. Zero sends them back to back.
    pub interval: Duration,
    /// From the first burst to a second one, for switches and hosts that were not ready for the first
    /// (`garp_master_delay`); zero for none.
    pub delay: Duration,
    /// Between refreshes while master (`garp_master_refresh`); zero for none.
    pub refresh: Duration,
    /// Rounds of a refresh (`garp_master_refresh_repeat`).
    pub refresh_count: u16,
    /// The least time between two frames, over all addresses (`garp_interval`); zero for no limit.
    pub gap: Duration,
}

impl Default for BurstSettings {
    /// Five of each at once and five more after five seconds.
    fn default() -> Self {
        Self {
            count: 5,
            interval: Duration::ZERO,
            delay: Duration::from_secs(5),
            refresh: Duration::ZERO,
            refresh_count: 1,
            gap: Duration::ZERO,
        }
    }
}

/// Why settings are no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BurstError {
    /// No announcement at all, or more than [`MAX_REPEATS`].
    Count(u16),
    /// Longer than a day.
    Time(Duration),
}

impl fmt::Display for BurstError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count} announcements, not 1 to {MAX_REPEATS}"),
            Self::Time(time) => write!(f, "{time:?} between announcements is more than a day"),
        }
    }
}

impl std::error::Error for BurstError {}

/// Settings that can be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BurstPlan(BurstSettings);

impl BurstPlan {
    /// The settings, if they can be carried out.
    ///
    /// # Errors
    /// A count is 0 or too great, or a time too long.
    pub fn new(settings: BurstSettings) -> Result<Self, BurstError> {
        let counts = [settings.count, settings.refresh_count];
        if let Some(count) = counts.into_iter().find(|c| !(1..=MAX_REPEATS).contains(c)) {
            return Err(BurstError::Count(count));
        }
        let BurstSettings {
            interval,
            delay,
            refresh,
            gap,
            ..
        } = settings;
        let longest = interval.max(delay).max(refresh).max(gap);
        if longest > MAX_DELAY {
            return Err(BurstError::Time(longest));
        }
        Ok(Self(settings))
    }

    /// As they were given.
    #[must_use]
    pub const fn settings(&self) -> &BurstSettings {
        &self.0
    }
}

/// The announcements of one virtual router: [`Burst::start`] when it takes its addresses,
/// [`Burst::again`] when somebody else has said otherwise, [`Burst::stop`] when it gives them up.
#[derive(Clone, Debug)]
pub struct Burst {
    plan: BurstPlan,
    /// What is announced; none while not master.
    addresses: Vec<IpAddr>,
    /// Addresses of the present round that are still to be sent.
    round: VecDeque<IpAddr>,
    /// Rounds of the present burst after that, and when the next of them begins.
    rounds: u16,
    next_round: Instant,
    second: Option<Instant>,
    refresh: Option<Instant>,
    /// Nothing before that, whatever is due: the gap after the last frame.
    free: Instant,
}

impl Burst {
    /// Announces nothing yet.
    #[must_use]
    pub const fn new(plan: BurstPlan) -> Self {
        Self {
            plan,
            addresses: Vec::new(),
            round: VecDeque::new(),
            rounds: 0,
            next_round: Instant::ZERO,
            second: None,
            refresh: None,
            free: Instant::ZERO,
        }
    }

    /// Another plan. A burst under way is finished as it was begun, but for the gap.
    pub fn configure(&mut self, plan: BurstPlan, now: Instant) {
        self.plan = plan;
        let refresh = plan.0.refresh;
        self.refresh = (!self.addresses.is_empty() && !refresh.is_zero()).then(|| now + refresh);
    }

    /// These addresses are ours now. All are announced, also those that were before.
    pub fn start(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now: Instant) {
        self.addresses = addresses.into_iter().collect();
        let BurstSettings { delay, refresh, .. } = self.plan.0;
        let any = !self.addresses.is_empty();
        self.second = (any && !delay.is_zero()).then(|| now + delay);
        self.refresh = (any && !refresh.is_zero()).then(|| now + refresh);
        self.round.clear();
        self.begin(self.plan.0.count, now);
        self.check();
    }

    /// A burst for the addresses that are announced. One that is under way goes on: nobody can make us
    /// announce without end.
    pub fn again(&mut self, now: Instant) {
        if self.round.is_empty() && self.rounds == 0 {
            self.begin(self.plan.0.count, now);
        }
        self.check();
    }

    /// They are not ours any more: nothing is announced from now on.
    pub fn stop(&mut self) {
        let free = self.free;
        *self = Self::new(self.plan);
        self.free = free;
    }

    /// The address to announce now, if one is due. Asked again until there is none.
    pub fn poll_announce(&mut self, now: Instant) -> Option<IpAddr> {
        self.refill(now);
        if now < self.free {
            return None;
        }
        let address = self.round.pop_front()?;
        self.free = now + self.plan.0.gap;
        self.check();
        Some(address)
    }

    /// When to ask again at the latest; `None` when nothing is to be announced any more.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.round.is_empty() {
            return Some(self.free);
        }
        let round = (self.rounds > 0).then_some(self.next_round);
        let due = [round, self.second, self.refresh];
        let first = due.into_iter().flatten().min()?;
        Some(first.max(self.free))
    }

    /// Fills the round with what is due: the burst's next round, else a second burst, else a refresh.
    fn refill(&mut self, now: Instant) {
        let due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.second) {
            self.begin(self.plan.0.count, now);
        }
        if due(&mut self.refresh) {
            self.refresh = Some(now + self.plan.0.refresh);
            if self.rounds == 0 {
                self.begin(self.plan.0.refresh_count, now);
            }
        }
        if self.round.is_empty() && self.rounds > 0 && self.next_round <= now {
            self.rounds -= 1;
            self.next_round = now + self.plan.0.interval;
            self.round.extend(&self.addresses);
        }
    }

    /// A burst of `rounds`; a round under way is finished first.
    fn begin(&mut self, rounds: u16, now: Instant) {
        self.rounds = if self.addresses.is_empty() { 0 } else { rounds };
        self.next_round = now;
    }

    fn check(&self) {
        debug_assert!(
            self.round.len() <= self.addresses.len(),
            "one round at a time"
        );
        debug_assert!(
            !self.addresses.is_empty() || self.next_deadline().is_none(),
            "who has no address announces none"
        );
    }
}
