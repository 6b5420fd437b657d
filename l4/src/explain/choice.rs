//! How a backend was chosen, and how the others stood.

use xdp::{
    abi::{Scheduler, Service, backend_flags, flow_flags},
    decide::{Choice, Tables},
};

use super::{
    Candidate,
    cells::copy,
    source::{Lookup, Source},
    view::{View, Viewed},
    words::{Decided, address},
};

/// How the backend was chosen.
pub(super) fn choice(service: &Service, choice: Choice) -> String {
    let scheduler = Scheduler::of(service.scheduler);
    match choice {
        Choice::Template => {
            "the client was here before and is led where it went then (persistence)".into()
        }
        Choice::ConnectionId => "the connection ID names the backend (QUIC-LB)".into(),
        Choice::Flow => "the connection has its backend".into(),
        Choice::Scheduler => format!("the scheduler chooses {}", meaning(scheduler)),
        Choice::None => format!("the scheduler ({}) finds nobody", meaning(scheduler)),
    }
}

/// What a scheduler goes by.
fn meaning(scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::Ring => "the next in turn, each as often as its weight says",
        Scheduler::Lc => "the fewest connections (an active one counts as 256 inactive ones)",
        Scheduler::Wlc => {
            "the fewest connections for its weight (an active one counts as 256 inactive ones)"
        }
        Scheduler::Sed => "the least (active + 1) / weight",
        Scheduler::Nq => "an idle one, else the least (active + 1) / weight",
        Scheduler::SourceHash | Scheduler::Maglev => {
            "by the hash of the client's address: the same each time"
        }
        Scheduler::DestinationHash => "by the hash of the address asked for: the same each time",
        Scheduler::Lblc => {
            "the one that the address asked for is at home with, until that is overloaded"
        }
        Scheduler::Lblcr => "one of those that the address asked for is at home with",
        Scheduler::Fo => "the highest weight that is not full",
        Scheduler::Ovf => "the highest weight with no more active connections than its weight",
        Scheduler::Twos => "the less busy of two drawn by weight; another draw may differ",
    }
}

/// Backends of a list that are shown; a longer one is cut.
const SHOWN: u32 = 256;

/// The members of a service, as they stood before the decision.
pub(super) fn candidates<F: Viewed, S: Source + Lookup<F>>(
    view: &View<'_, S>,
    service: &Service,
    decided: &Decided<F>,
) -> Vec<Candidate> {
    let (start, length) = (service.members as u32, (service.members >> 32) as u32);
    let slots =
        (0..length.min(SHOWN)).filter_map(|at| view.source.scheduled(start.wrapping_add(at)));
    slots
        .filter_map(|slot| {
            let backend = copy(Tables::<F>::backend(view, slot)?);
            let mut load = copy(Tables::<F>::load(view, slot)?);
            let chosen = slot == decided.verdict.backend;
            if chosen
                && decided.before.is_none()
                && let Some((flow, _)) = &decided.after
            {
                // The new connection itself is counted already.
                let active = flow.flags & flow_flags::ACTIVE != 0;
                let count = if active {
                    &mut load.active
                } else {
                    &mut load.inactive
                };
                *count = count.saturating_sub(1);
            }
            let takes = backend.flags
                & (backend_flags::PRESENT | backend_flags::TAKES | backend_flags::REMOVED)
                == backend_flags::PRESENT | backend_flags::TAKES;
            let connections = u64::from(load.active) + u64::from(load.inactive);
            let full =
                load.full != 0 || (backend.upper != 0 && connections >= u64::from(backend.upper));
            let usable = takes && backend.weight > 0 && !full;
            let stand = match (takes, backend.weight, full) {
                (false, ..) => "takes no new connections; ",
                (_, 0, _) => "weight 0: no new connections; ",
                (.., true) => "full; ",
                _ => "",
            };
            // A part of the configured one while it rises.
            let weight = f64::from(backend.weight) / f64::from(view.source.scale(backend.service));
            let shown = usable.then(|| {
                let scheduler = Scheduler::of(service.scheduler);
                score(scheduler, weight, load.active, load.inactive)
            });
            Some(Candidate {
                address: address(&backend),
                chosen,
                usable: usable || chosen,
                score: shown.flatten(),
                why: format!(
                    "{stand}weight {weight}, {} active, {} inactive",
                    load.active, load.inactive
                ),
            })
        })
        .collect()
}

/// What a scheduler compares.
fn score(scheduler: Scheduler, weight: f64, active: u32, inactive: u32) -> Option<f64> {
    let overhead = f64::from(active) * 256.0 + f64::from(inactive);
    match scheduler {
        Scheduler::Lc => Some(overhead),
        Scheduler::Wlc | Scheduler::Twos | Scheduler::Lblc | Scheduler::Lblcr => {
            Some(overhead / weight)
        }
        Scheduler::Sed | Scheduler::Nq => Some((f64::from(active) + 1.0) / weight),
        _ => None,
    }
}
