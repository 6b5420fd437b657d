//! When this node is patient with packets of connections that it does not know: while it stands by, with no vip of its own, and for
//! a while after one came. What others know of connections through that one may still be on its way.
//!
//! [`hand`](super::hand) says when addresses come, before they do; [`aide`](super::aide) which vips are this node's, and when
//! time has passed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use control::{name::Name, plan::VipPlan};
use proto::vrrp::machine::State;

use super::report::Report;

/// How long after it took a vip over others may still tell what they know.
const GRACE: Duration = Duration::from_secs(2);

/// Is told whether packets of connections that are not known here may be of some that another node still tells of.
pub type Patience = Box<dyn Fn(bool) + Send + Sync>;

/// Tells when it begins and when it is over.
pub(super) struct Grace {
    held: Mutex<Held>,
    patience: Patience,
}

/// Vips that are this node's by VRRP.
#[derive(Debug)]
struct Held {
    vips: BTreeSet<Name>,
    /// There are vips that may be another node's; the others are always this node's.
    moves: bool,
    /// When addresses came last, of whichever vip: connections do not say whose they are before they are known.
    came: Option<Instant>,
    told: Option<bool>,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            vips: BTreeSet::new(),
            // Until it is known.
            moves: true,
            came: None,
            told: None,
        }
    }
}

impl Grace {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            held: Mutex::default(),
            patience,
        }
    }

    /// Addresses of a vip are about to come.
    pub(super) fn comes(&self) {
        self.change(|held, now| held.came = Some(now));
    }

    /// These vips are configured.
    pub(super) fn plan(&self, vips: &[Arc<VipPlan>]) {
        let moves = vips.iter().any(|plan| plan.spec.vrrp.is_some());
        self.change(|held, _| held.moves = moves);
    }

    /// Something was said of vips.
    pub(super) fn note(&self, report: &Report) {
        self.change(|held, _| held.note(report));
    }

    /// Time has passed.
    pub(super) fn look(&self) {
        self.change(|_, _| {});
    }

    fn change(&self, change: impl FnOnce(&mut Held, Instant)) {
        // Nobody panics while holding it. Held until it is told, so that what is told last is what came of the last change.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        change(&mut held, now);
        if let Some(is_patient) = held.news(now) {
            (self.patience)(is_patient);
        }
    }
}

impl Held {
    fn note(&mut self, report: &Report) {
        match report {
            Report::Role {
                vip,
                to: State::Master,
                ..
            } => drop(self.vips.insert(vip.clone())),
            Report::Role { vip, .. } | Report::Gone(vip) => drop(self.vips.remove(vip)),
            _ => {}
        }
    }

    /// Whether it is patient, if that was not told yet.
    fn news(&mut self, now: Instant) -> Option<bool> {
        let recent = |came| now.saturating_duration_since(came) < GRACE;
        let stands_by = self.moves && self.vips.is_empty();
        let is_patient = stands_by || self.came.is_some_and(recent);
        (self.told.replace(is_patient) != Some(is_patient)).then_some(is_patient)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::mpsc;

    use super::{
        super::{
            hand::{self, Job, Place},
            mailbox::{Command, mailbox},
        },
        *,
    };

    fn role(vip: &str, to: State) -> Report {
        Report::Role {
            vip: vip.parse().unwrap(),
            group: vip.parse().unwrap(),
            from: State::Backup,
            to,
            why: String::new(),
            priority: 100,
            notify: Vec::new(),
        }
    }

    /// What is told at a time, counted in milliseconds.
    struct Story(Held, Instant);

    impl Story {
        fn at(&mut self, millis: u64, change: impl FnOnce(&mut Held, Instant)) -> Option<bool> {
            let now = self.1 + Duration::from_millis(millis);
            change(&mut self.0, now);
            self.0.news(now)
        }

        fn comes(&mut self, millis: u64, vip: &str) -> Option<bool> {
            // The address first, as it is; what is said of it takes a moment.
            let told = self.at(millis, |held, now| held.came = Some(now));
            let role = role(vip, State::Master);
            assert_eq!(self.at(millis + 20, |held, _| held.note(&role)), None);
            told
        }

        fn goes(&mut self, millis: u64, vip: &str) -> Option<bool> {
            let role = role(vip, State::Backup);
            self.at(millis, |held, _| held.note(&role))
        }

        fn look(&mut self, millis: u64) -> Option<bool> {
            self.at(millis, |_, _| {})
        }
    }

    #[test]
    fn each_vip_has_a_grace_of_its_own() {
        let mut story = Story(Held::default(), Instant::now());
        assert_eq!(story.look(0), Some(true), "it stands by");
        assert_eq!(story.comes(10_000, "a"), None);
        assert_eq!(story.look(11_999), None);
        assert_eq!(story.look(12_000), Some(false));
        assert_eq!(story.look(60_000), None);
        // Long after the first.
        assert_eq!(story.comes(60_100, "b"), Some(true));
        assert_eq!(story.look(62_099), None);
        assert_eq!(story.look(62_100), Some(false));
        // One during the other's: it is over when the later one's is.
        assert_eq!(story.comes(70_000, "c"), Some(true));
        assert_eq!(story.comes(71_500, "d"), None);
        assert_eq!(story.look(72_100), None);
        assert_eq!(story.look(73_500), Some(false));
        // One that goes, while another stays, leaves nothing to wait for; one that comes back does.
        assert_eq!(story.goes(80_000, "b"), None);
        assert_eq!(story.comes(81_000, "b"), Some(true));
        assert_eq!(story.look(83_000), Some(false));
        for vip in ["a", "b", "c"] {
            assert_eq!(story.goes(90_000, vip), None);
        }
        assert_eq!(story.goes(90_000, "d"), Some(true), "it stands by again");
    }

    #[test]
    fn who_never_hands_over_stands_by_for_nobody() {
        let mut story = Story(Held::default(), Instant::now());
        assert_eq!(story.look(0), Some(true), "that is not known yet");
        let moves = |moves| move |held: &mut Held, _| held.moves = moves;
        assert_eq!(story.at(10, moves(false)), Some(false));
        let comes = |held: &mut Held, now| held.came = Some(now);
        assert_eq!(story.at(20, comes), Some(true), "its address is new");
        assert_eq!(story.look(2020), Some(false));
        assert_eq!(story.at(3000, moves(true)), Some(true));
    }

    #[test]
    fn it_is_told_before_an_address_is_put_on_and_not_when_one_goes() {
        let (said, heard) = mpsc::channel();
        let (patience, moves) = (said.clone(), said);
        let told = Box::new(move |patient| patience.send(Some(patient)).unwrap());
        let grace = Arc::new(Grace::new(told));
        grace.note(&role("a", State::Master));
        let moves = hand::Moves {
            grace: Arc::clone(&grace),
            told: Box::new(move || moves.send(None).unwrap()),
        };
        let (mailbox, arriving) = mailbox().unwrap();
        let (jobs, thread) = hand::start(mailbox, moves, || {}).unwrap();
        let place = || Place {
            interface: "absent0".into(),
            virtual_mac: None,
        };
        jobs.send(Job::Give(place(), Vec::new())).unwrap();
        jobs.send(Job::Take(1, place(), Vec::new())).unwrap();
        drop(jobs);
        thread.join().unwrap();
        // It went as far as to look for the interface.
        assert!(matches!(arriving.next(), Some(Command::Taken(1, Err(_)))));
        grace.note(&role("b", State::Master));
        grace.note(&Report::Gone("a".parse().unwrap()));
        drop(grace);
        let all: Vec<_> = heard.iter().collect();
        assert_eq!(all, [Some(false), None, Some(true), None]);
    }
}
