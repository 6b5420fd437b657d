//! One active check of one backend: when it is probed, and what its probes amount to.
//!
//! At most one probe of a check is on its way at a time. Its answer, or the lack of one, decides when the next
//! is due. The first answer a check ever gets decides at once; after that `rise` passes or `fall` failures in a
//! row change its verdict.

use std::{sync::Arc, time::Duration};

use super::{chance::Chance, damping::Damping};
use crate::{
    engine::{Failure, ProbeFailure, ProbeResult},
    spec::CheckSpec,
    time::Instant,
};

/// How much longer than its timeout a probe is waited for. A prober that is too busy to make it, or to notice its
/// timeout, must have said so by then, for this node's own trouble says nothing of a backend.
pub const PROBE_GRACE: Duration = Duration::from_secs(2);

/// No check is made more often than this, whatever its interval says.
pub const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// One check of one backend.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(super) spec: Arc<CheckSpec>,
    /// Whether it passes; none: no probe has told yet.
    pub(super) verdict: Option<bool>,
    /// Results in a row that were alike.
    run: u16,
    /// Whether that row is of passes.
    run_passes: bool,
    next: Next,
    pub(super) damping: Damping,
    pub(super) last: Option<LastProbe>,
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) falls: u64,
}

/// What a check waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing: its backend is not checked.
    Nothing,
    /// The time to probe.
    Probe(Instant),
    /// The answer of the probe `id`.
    Answer { id: u64, until: Instant },
}

/// The last probe that ended.
#[derive(Clone, Debug)]
pub(crate) struct LastProbe {
    pub(crate) at: Instant,
    pub(crate) result: ProbeResult,
}

impl Stage {
    /// A check that no probe has told of yet; nothing is due until [`Self::resume`].
    pub(super) fn new(spec: Arc<CheckSpec>, verdict: Option<bool>) -> Self {
        Self {
            spec,
            verdict,
            run: 0,
            run_passes: false,
            next: Next::Nothing,
            damping: Damping::default(),
            last: None,
            passed: 0,
            failed: 0,
            falls: 0,
        }
    }

    /// The same check asked otherwise: its verdict stays, its counts start anew.
    pub(super) fn respecify(&mut self, spec: Arc<CheckSpec>, due: Instant) {
        self.spec = spec;
        self.run = 0;
        self.resume(due);
    }

    /// Stops probing; an answer on its way will be dropped.
    pub(super) fn suspend(&mut self) {
        self.next = Next::Nothing;
    }

    /// Probes at `due`, and from then on.
    pub(super) fn resume(&mut self, due: Instant) {
        self.next = Next::Probe(due);
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Forgets what was found: the next answer decides at once.
    pub(super) fn forget(&mut self) {
        self.verdict = None;
        self.run = 0;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.next {
            Next::Nothing => None,
            Next::Probe(at) | Next::Answer { until: at, .. } => Some(at),
        }
    }

    /// How many results in a row were like the last.
    pub(super) fn in_a_row(&self) -> u16 {
        self.run
    }

    /// Whether a probe is to be made now, under the id that `new_id` gives.
    pub(super) fn poll_probe(&mut self, now: Instant, new_id: impl FnOnce() -> u64) -> Option<u64> {
        let Next::Probe(due) = self.next else {
            return None;
        };
        if due > now {
            return None;
        }
        let id = new_id();
        let until = now + self.spec.timeout + PROBE_GRACE;
        self.next = Next::Answer { id, until };
        Some(id)
    }

    /// Takes the answer of probe `id`; false if that is not the one awaited.
    pub(super) fn handle_answer(
        &mut self,
        id: u64,
        result: ProbeResult,
        now: Instant,
        chance: &mut Chance,
    ) -> bool {
        if !matches!(self.next, Next::Answer { id: awaited, .. } if awaited == id) {
            return false;
        }
        self.conclude(result, now, chance);
        true
    }

    /// Gives up the probe whose answer is overdue; false if there is none.
    pub(super) fn handle_overdue(&mut self, now: Instant, chance: &mut Chance) -> bool {
        if !matches!(self.next, Next::Answer { until, .. } if until <= now) {
            return false;
        }
        let failure = ProbeFailure {
            kind: Failure::Timeout,
            detail: "the prober did not answer in time".into(),
        };
        let result = ProbeResult {
            outcome: Err(failure),
            took: self.spec.timeout + PROBE_GRACE,
        };
        self.conclude(result, now, chance);
        true
    }

    fn conclude(&mut self, result: ProbeResult, now: Instant, chance: &mut Chance) {
        match &result.outcome {
            Ok(()) => self.pass(now),
            // Our own trouble says nothing of the backend.
            Err(failure) if failure.kind == Failure::Local => {}
            Err(_) => self.fail(now),
        }
        self.last = Some(LastProbe { at: now, result });
        let interval = match self.verdict {
            Some(false) => self.spec.interval_down,
            Some(true) | None => self.spec.interval,
        };
        let wait = chance.jittered(interval, self.spec.jitter);
        self.next = Next::Probe(now + wait.max(MIN_INTERVAL));
    }

    fn pass(&mut self, now: Instant) {
        self.passed += 1;
        self.count(true);
        let enough = self.verdict.is_none() || self.run >= self.spec.rise;
        if enough && self.damping.held_until(now).is_none() {
            self.verdict = Some(true);
        }
    }

    fn fail(&mut self, now: Instant) {
        self.failed += 1;
        self.count(false);
        let enough = self.verdict.is_none() || self.run >= self.spec.fall;
        if !enough || self.verdict == Some(false) {
            return;
        }
        // A first failure is no fall: there was nothing to fall from.
        if self.verdict == Some(true) {
            self.falls += 1;
            if let Some(spec) = &self.spec.damping {
                self.damping.fell(spec, now);
            }
        }
        self.verdict = Some(false);
    }

    fn count(&mut self, passes: bool) {
        if self.run_passes != passes {
            self.run = 0;
        }
        self.run_passes = passes;
        self.run = self.run.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ProbeKind, Share, check::DampingSpec};

    fn spec() -> CheckSpec {
        CheckSpec {
            probe: ProbeKind::Tcp {
                send: None,
                expect: None,
            },
            interval: Duration::from_secs(2),
            interval_down: Duration::from_secs(5),
            jitter: Share::NONE,
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
            port: None,
            source: None,
            damping: None,
        }
    }

    fn failed(kind: Failure) -> ProbeResult {
        ProbeResult {
            outcome: Err(ProbeFailure {
                kind,
                detail: "no".into(),
            }),
            took: Duration::ZERO,
        }
    }

    fn passed() -> ProbeResult {
        ProbeResult {
            outcome: Ok(()),
            took: Duration::ZERO,
        }
    }

    /// Probes when due and answers at once; returns the time after.
    fn round(stage: &mut Stage, result: ProbeResult) -> Instant {
        let now = stage.deadline().unwrap_or_default();
        assert_eq!(stage.poll_probe(now, || 1), Some(1));
        assert!(stage.handle_answer(1, result, now, &mut Chance::new(0)));
        now
    }

    fn verdicts(stage: &mut Stage, rounds: &str) -> String {
        rounds
            .chars()
            .map(|c| {
                let result = match c {
                    '+' => passed(),
                    '-' => failed(Failure::Connect),
                    _ => failed(Failure::Local),
                };
                let _now = round(stage, result);
                match stage.verdict {
                    Some(true) => 'U',
                    Some(false) => 'D',
                    None => '?',
                }
            })
            .collect()
    }

    fn fresh(spec: CheckSpec) -> Stage {
        let mut stage = Stage::new(Arc::new(spec), None);
        stage.resume(Instant::ZERO);
        stage
    }

    #[test]
    fn the_first_answer_decides_then_rise_and_fall_do() {
        assert_eq!(verdicts(&mut fresh(spec()), "+--+---+-++"), "UUUUUUDDDDU");
        assert_eq!(verdicts(&mut fresh(spec()), "-++"), "DDU");
    }

    #[test]
    fn our_own_trouble_neither_passes_nor_fails() {
        assert_eq!(verdicts(&mut fresh(spec()), "??+--??-"), "??UUUUUD");
    }

    #[test]
    fn the_interval_is_another_while_down() {
        let mut stage = fresh(spec());
        let now = round(&mut stage, passed());
        assert_eq!(stage.deadline(), Some(now + Duration::from_secs(2)));
        for _ in 0..3 {
            let _now = round(&mut stage, failed(Failure::Timeout));
        }
        let now = round(&mut stage, failed(Failure::Timeout));
        assert_eq!(stage.deadline(), Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn one_probe_at_a_time_and_only_its_answer_counts() {
        let mut stage = fresh(spec());
        assert_eq!(stage.poll_probe(Instant::ZERO, || 7), Some(7));
        assert_eq!(stage.poll_probe(Instant::ZERO, || 8), None);
        assert!(!stage.handle_answer(6, passed(), Instant::ZERO, &mut Chance::new(0)));
        assert!(stage.handle_answer(7, passed(), Instant::ZERO, &mut Chance::new(0)));
        assert!(!stage.handle_answer(7, passed(), Instant::ZERO, &mut Chance::new(0)));
        assert_eq!(stage.passed, 1);
    }

    #[test]
    fn a_probe_that_nobody_answers_fails_after_its_timeout_and_grace() {
        let mut stage = fresh(spec());
        let _id = stage.poll_probe(Instant::ZERO, || 7);
        let due = Instant::ZERO + Duration::from_secs(1) + PROBE_GRACE;
        assert_eq!(stage.deadline(), Some(due));
        assert!(!stage.handle_overdue(due - Duration::from_nanos(1), &mut Chance::new(0)));
        assert!(stage.handle_overdue(due, &mut Chance::new(0)));
        assert_eq!(stage.verdict, Some(false));
        assert!(!stage.handle_answer(7, passed(), due, &mut Chance::new(0)));
    }

    #[test]
    fn a_flapping_check_is_held_down_though_it_passes() {
        let mut stage = fresh(CheckSpec {
            rise: 1,
            fall: 1,
            interval_down: Duration::from_secs(2),
            damping: Some(DampingSpec {
                changes: 1,
                window: Duration::from_secs(60),
                hold: Duration::from_secs(5),
                max_hold: Duration::from_secs(60),
            }),
            ..spec()
        });
        assert_eq!(verdicts(&mut stage, "+-+-++++"), "UDUDDDUU");
    }

    #[test]
    fn a_check_asked_otherwise_keeps_its_verdict_and_counts_anew() {
        let mut stage = fresh(spec());
        assert_eq!(verdicts(&mut stage, "+--"), "UUU");
        stage.respecify(Arc::new(spec()), Instant::ZERO);
        assert_eq!(verdicts(&mut stage, "--"), "UU");
        assert_eq!(verdicts(&mut stage, "-"), "D");
    }
}
