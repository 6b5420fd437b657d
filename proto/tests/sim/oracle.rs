//! What must hold, and what a violation of it is called.

use std::time::Duration;

use proto::time::Instant;

/// Something that must not be.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) oracle: &'static str,
    pub(crate) detail: String,
}

pub(crate) type Verdict = Result<(), Violation>;

pub(crate) fn ensure(
    holds: bool,
    oracle: &'static str,
    detail: impl FnOnce() -> String,
) -> Verdict {
    if holds {
        return Ok(());
    }
    Err(Violation {
        oracle,
        detail: detail(),
    })
}

/// How long things may last in a network that is whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// Nobody is master: the master-down interval of the slowest, its delays and those of the way.
    pub(crate) nobody: Duration,
    /// More than one is: until the next advert that is not lost arrives.
    pub(crate) several: Duration,
}

/// What was judged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judged {
    pub(crate) looks: u64,
    pub(crate) settled: u64,
    pub(crate) takeovers: u64,
    pub(crate) overlaps: u64,
    pub(crate) gaps: u64,
}

/// Watches how many masters there are while the network is whole.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    allowed: Allowed,
    nobody_since: Option<Instant>,
    several_since: Option<Instant>,
    pub(crate) judged: Judged,
}

impl Watch {
    pub(crate) fn new(allowed: Allowed) -> Self {
        Self {
            allowed,
            nobody_since: None,
            several_since: None,
            judged: Judged::default(),
        }
    }

    /// Something happened: all is counted anew, with these bounds.
    pub(crate) const fn allow(&mut self, allowed: Allowed) {
        self.allowed = allowed;
        self.nobody_since = None;
        self.several_since = None;
    }

    /// So many nodes take part, and so many are master, at `now` and until the next look.
    pub(crate) fn look(&mut self, now: Instant, taking_part: usize, masters: usize) -> Verdict {
        self.judged.looks += 1;
        let (nobody, several) = (taking_part > 0 && masters == 0, masters > 1);
        if nobody {
            self.judged.gaps += u64::from(self.nobody_since.is_none());
            let _ = self.nobody_since.get_or_insert(now);
        }
        if several {
            self.judged.overlaps += u64::from(self.several_since.is_none());
            let _ = self.several_since.get_or_insert(now);
        }
        self.check(now)?;
        if !nobody {
            self.nobody_since = None;
        }
        if !several {
            self.several_since = None;
        }
        Ok(())
    }

    /// What has lasted until `now` must not have lasted too long.
    pub(crate) fn check(&self, now: Instant) -> Verdict {
        let lasted =
            |since: Option<Instant>| since.map_or(Duration::ZERO, |s| now.saturating_since(s));
        let (nobody, several) = (lasted(self.nobody_since), lasted(self.several_since));
        ensure(nobody <= self.allowed.nobody, "one-master", || {
            format!("nobody was master for {nobody:?}: {:?}", self.allowed)
        })?;
        ensure(several <= self.allowed.several, "not-two", || {
            format!("several were master for {several:?}: {:?}", self.allowed)
        })
    }
}
