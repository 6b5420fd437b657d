//! What traffic tells of a backend: failures in a row and the share of failures eject it for a while.
//!
//! Only a proposal is made here; whether a pool can spare one more is for [`crate::engine`] to say.

use std::{collections::VecDeque, time::Duration};

use crate::{
    engine::PassiveSample,
    spec::{check::PassiveSpec, format_duration},
    time::Instant,
};

/// The window that the error rate looks at moves on in this many steps.
const STEPS: u32 = 10;

/// What traffic has told of one backend.
#[derive(Debug, Default)]
pub(crate) struct Passive {
    /// Failures since the last success.
    run: u32,
    window: VecDeque<Step>,
    ejection: Option<Ejection>,
    /// Ejections in a row, each longer than the one before.
    repeats: u32,
    /// When a success next takes one off `repeats`.
    decay_at: Instant,
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ejections: u64,
}

/// A part of the window.
#[derive(Debug)]
struct Step {
    begun: Instant,
    passed: u32,
    failed: u32,
}

/// A backend out of its pool for what traffic told of it.
#[derive(Clone, Debug)]
pub(crate) struct Ejection {
    pub(crate) until: Instant,
    pub(crate) why: String,
}

impl Passive {
    pub(super) fn ejection(&self) -> Option<&Ejection> {
        self.ejection.as_ref()
    }

    pub(super) fn repeats(&self) -> u32 {
        self.repeats
    }

    pub(super) fn failures_in_a_row(&self) -> u32 {
        self.run
    }

    /// Takes a sample; what it says of a backend that is ejected only counts, it was sent before or in panic.
    pub(super) fn handle_sample(
        &mut self,
        sample: &PassiveSample,
        spec: &PassiveSpec,
        now: Instant,
    ) {
        self.passed += u64::from(sample.passed);
        self.failed += u64::from(sample.failed);
        if self.ejection.is_some() {
            return;
        }
        self.run = if sample.passed > 0 {
            // Other workers' rows are not this one's: no row is longer than the sample's own failures.
            sample.failed_in_a_row.min(sample.failed)
        } else {
            self.run.saturating_add(sample.failed)
        };
        if spec.error_rate.is_some() {
            self.count(sample, spec.window, now);
        }
        if sample.passed > 0 && sample.failed == 0 && self.repeats > 0 && now >= self.decay_at {
            self.repeats -= 1;
            self.decay_at = now + spec.eject;
        }
    }

    /// Why the backend should be ejected, if it should.
    pub(super) fn verdict(&self, spec: &PassiveSpec) -> Option<String> {
        if self.ejection.is_some() {
            return None;
        }
        if spec.consecutive.is_some_and(|most| self.run >= most.max(1)) {
            return Some(format!("{} requests in a row failed", self.run));
        }
        let rate = spec.error_rate?;
        let failed: u64 = self.window.iter().map(|s| u64::from(s.failed)).sum();
        let passed: u64 = self.window.iter().map(|s| u64::from(s.passed)).sum();
        let all = failed + passed;
        if failed == 0 || all < u64::from(spec.min_requests) {
            return None;
        }
        (failed * 1000 >= all * u64::from(rate.thousandths())).then(|| {
            let window = format_duration(spec.window);
            format!("{failed} of {all} requests within {window} failed")
        })
    }

    /// Takes it out: longer each time, up to the bound.
    pub(super) fn eject(&mut self, why: String, spec: &PassiveSpec, now: Instant) {
        self.repeats = self.repeats.saturating_add(1);
        self.ejections += 1;
        let length = spec.eject.saturating_mul(self.repeats).min(spec.max_eject);
        self.start_ejection(why, now + length);
    }

    /// Takes it out until then, as a process before this one had found.
    pub(super) fn restore(&mut self, repeats: u32, ejection: Option<(Instant, String)>) {
        self.repeats = repeats;
        if let Some((until, why)) = ejection {
            self.start_ejection(why, until);
        }
    }

    /// Forgets what it was about to be ejected for.
    pub(super) fn forgive(&mut self) {
        self.run = 0;
        self.window.clear();
    }

    fn start_ejection(&mut self, why: String, until: Instant) {
        self.forgive();
        self.ejection = Some(Ejection { until, why });
    }

    /// Ends an ejection whose time has come.
    pub(super) fn handle_timeout(&mut self, spec: &PassiveSpec, now: Instant) {
        if self.ejection.as_ref().is_some_and(|e| e.until <= now) {
            self.end_ejection(spec, now);
        }
    }

    /// Ends an ejection before its time.
    pub(super) fn end_ejection(&mut self, spec: &PassiveSpec, now: Instant) {
        if self.ejection.take().is_some() {
            self.decay_at = now + spec.eject;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ejection.as_ref().map(|e| e.until)
    }

    fn count(&mut self, sample: &PassiveSample, window: Duration, now: Instant) {
        self.window
            .retain(|s| now.saturating_since(s.begun) < window);
        match self.window.back_mut() {
            Some(step) if now.saturating_since(step.begun) < window / STEPS => {
                step.passed = step.passed.saturating_add(sample.passed);
                step.failed = step.failed.saturating_add(sample.failed);
            }
            _ => self.window.push_back(Step {
                begun: now,
                passed: sample.passed,
                failed: sample.failed,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::spec::Share;

    fn at(seconds: u64) -> Instant {
        Instant::at(Duration::from_secs(seconds))
    }

    fn sample(passed: u32, failed: u32, failed_in_a_row: u32) -> PassiveSample {
        PassiveSample {
            backend: "p/10.0.0.1:80".parse().unwrap(),
            passed,
            failed,
            failed_in_a_row,
        }
    }

    #[test]
    fn failures_in_a_row_eject_over_several_samples() {
        let spec = PassiveSpec::default();
        let mut passive = Passive::default();
        passive.handle_sample(&sample(10, 3, 2), &spec, at(0));
        passive.handle_sample(&sample(0, 2, 4), &spec, at(1));
        assert_eq!(passive.verdict(&spec), None);
        passive.handle_sample(&sample(0, 1, 5), &spec, at(2));
        assert_eq!(
            passive.verdict(&spec).as_deref(),
            Some("5 requests in a row failed")
        );
        passive.handle_sample(&sample(1, 0, 0), &spec, at(3));
        assert_eq!(passive.verdict(&spec), None);
    }

    #[test]
    fn a_row_from_before_an_ejection_does_not_eject_again() {
        let spec = PassiveSpec::default();
        let mut passive = Passive::default();
        passive.eject("x".into(), &spec, at(0));
        passive.handle_timeout(&spec, at(10));
        assert!(passive.ejection().is_none());
        passive.handle_sample(&sample(0, 1, 6), &spec, at(11));
        assert_eq!(passive.verdict(&spec), None);
    }

    #[test]
    fn the_error_rate_needs_enough_requests_and_forgets_with_its_window() {
        let spec = PassiveSpec {
            consecutive: None,
            error_rate: Some(Share::percent(50)),
            ..PassiveSpec::default()
        };
        let mut passive = Passive::default();
        passive.handle_sample(&sample(0, 19, 19), &spec, at(0));
        assert_eq!(passive.verdict(&spec), None);
        passive.handle_sample(&sample(19, 0, 0), &spec, at(5));
        assert!(
            passive
                .verdict(&spec)
                .unwrap()
                .starts_with("19 of 38 requests within 10s")
        );
        passive.handle_sample(&sample(1, 0, 0), &spec, at(10));
        assert_eq!(passive.verdict(&spec), None);
    }

    #[test]
    fn ejections_grow_to_a_bound_and_success_shortens_the_next() {
        let spec = PassiveSpec {
            max_eject: Duration::from_secs(25),
            ..PassiveSpec::default()
        };
        let mut passive = Passive::default();
        let mut now = at(0);
        for expected in [10, 20, 25] {
            passive.eject("x".into(), &spec, now);
            let until = passive.deadline().unwrap();
            assert_eq!(until.saturating_since(now).as_secs(), expected);
            now = until;
            passive.handle_timeout(&spec, now);
        }
        for _ in 0..2 {
            now += Duration::from_secs(10);
            passive.handle_sample(&sample(5, 0, 0), &spec, now);
        }
        passive.eject("x".into(), &spec, now);
        assert_eq!(passive.deadline(), Some(now + Duration::from_secs(20)));
    }

    #[test]
    fn the_window_holds_a_bounded_number_of_steps() {
        let spec = PassiveSpec {
            error_rate: Some(Share::ALL),
            ..PassiveSpec::default()
        };
        let mut passive = Passive::default();
        for ms in 0..100_000 {
            passive.handle_sample(
                &sample(1, 1, 0),
                &spec,
                Instant::at(Duration::from_millis(ms)),
            );
        }
        assert!(passive.window.len() <= STEPS as usize + 1);
    }
}
