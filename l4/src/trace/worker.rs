//! The thread that reads the ring while somebody listens.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use control::name::Name;

use super::{Decision, Ear, Inside};

/// From one look into the ring to the next.
pub(super) const ROUND: Duration = Duration::from_millis(20);
/// Rounds in a second.
const SECOND: u32 = 50;
/// The most events that are read in one round: 20,000 a second, which cost a few per cent of a core.
const EVENTS: usize = 400;
/// Fewer in every round of a second, and more decisions may be looked at.
const FEW: usize = EVENTS / 4;
/// The least that is looked at: one decision in so many.
const SPARSEST: u32 = 1 << 16;

/// Has the program sample for those who listen, and a thread read. `inside` is what `shared` holds.
pub(super) fn begin(inside: &mut Inside, shared: &Arc<Mutex<Inside>>) -> io::Result<()> {
    let services = services(&inside.ears);
    inside.tap.open(1, services.as_deref())?;
    if inside.works {
        return Ok(());
    }
    // What lies in the ring from before is nobody's.
    let mut old = 0;
    while old < 1 << 16 && inside.tap.next().is_some() {
        old += 1;
    }
    let shared = Arc::downgrade(shared);
    let started = thread::Builder::new()
        .name("aplomb-trace".into())
        .spawn(move || run(&shared));
    if let Err(error) = started {
        inside.tap.close();
        return Err(error);
    }
    inside.works = true;
    Ok(())
}

/// The services that are asked about; none: all.
fn services(ears: &[Ear]) -> Option<Vec<Name>> {
    let mut names: Vec<Name> = Vec::new();
    for ear in ears {
        let name = ear.filter.service.as_ref()?;
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Some(names)
}

fn run(shared: &Weak<Mutex<Inside>>) {
    let mut pace = Pace::default();
    loop {
        let Some(shared) = shared.upgrade() else {
            // The plane has ended, and with it the program's tracing.
            return;
        };
        let mut inside = lock(&shared);
        if !round(&mut inside, &mut pace) {
            return;
        }
        drop(inside);
        drop(shared);
        thread::sleep(ROUND);
    }
}

fn lock(shared: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much is looked at.
#[derive(Debug)]
pub(super) struct Pace {
    /// One decision in so many.
    pub(super) every: u32,
    /// Rounds since the last second began.
    rounds: u32,
    /// Whether a round of this second had more than few events.
    busy: bool,
    /// Whom the program samples for.
    ears: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: 1,
            rounds: 0,
            busy: false,
            ears: usize::MAX,
        }
    }
}

/// One look. False: nobody listens any more, and nothing is sampled.
pub(super) fn round(inside: &mut Inside, pace: &mut Pace) -> bool {
    if !inside.works {
        return false;
    }
    inside.ears.retain(|ear| !ear.is_gone());
    if inside.ears.is_empty() {
        inside.tap.close();
        inside.works = false;
        return false;
    }
    let mut seen = 0;
    while seen < EVENTS {
        let Some(event) = inside.tap.next() else {
            break;
        };
        seen += 1;
        let names = inside.tap.names(&event);
        let decision = Decision::of(&event, names, pace.every);
        for ear in &mut inside.ears {
            if decision.passes(&ear.filter, event.proto) {
                tell(ear, &decision);
            }
        }
    }
    let every = pace.after(seen, &mut inside.ears);
    if pace.rounds == 0 {
        inside.tap.renew();
    }
    if every != pace.every || pace.ears != inside.ears.len() {
        pace.every = every;
        pace.ears = inside.ears.len();
        let services = services(&inside.ears);
        if let Err(error) = inside.tap.open(every, services.as_deref()) {
            tracing::warn!(%error, "the rate of traced decisions cannot be changed");
        }
    }
    true
}

/// Hands a decision on, if that is still within the listener's rate and it has not fallen behind.
fn tell(ear: &mut Ear, decision: &Decision) {
    if ear.sent >= ear.per_second {
        ear.missed += 1;
        return;
    }
    let mut decision = decision.clone();
    decision.missed = ear.missed;
    if ear.to.try_send(decision).is_ok() {
        ear.sent += 1;
        ear.missed = 0;
    } else {
        ear.missed += 1;
    }
}

impl Pace {
    /// What to look at from now on: less at once when there is too much, more again after a calm second.
    fn after(&mut self, seen: usize, ears: &mut [Ear]) -> u32 {
        self.busy |= seen > FEW;
        self.rounds += 1;
        if self.rounds >= SECOND {
            let calm = !self.busy;
            (self.rounds, self.busy) = (0, false);
            for ear in ears {
                ear.sent = 0;
            }
            if calm && seen < EVENTS {
                return (self.every / 2).max(1);
            }
        }
        if seen >= EVENTS {
            return (self.every * 2).min(SPARSEST);
        }
        self.every
    }
}
