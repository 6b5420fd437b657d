//! What there is to tell, read from the tables when somebody asks.

mod connections;
mod services;

use std::io;

use xdp::abi::{Cookies, FlowState, LAYOUT, PassReason, Reason, Tick};

pub(crate) use self::{
    connections::connections,
    services::{services, word as balance_word},
};
use crate::{
    net::forwarding::{Families, hint},
    plane::{Plane, lock},
    status::{Attachment, L4Status, Tally, Timeout},
    sys::PerCpu,
    worker::sweep::state_word,
};

/// How the plane is as a whole.
pub(crate) fn status(plane: &Plane) -> L4Status {
    let condition = lock(&plane.condition).clone();
    let loaded = plane.loaded();
    let maps = &loaded.maps;
    let tables = lock(&plane.tables);
    let families = tables.families();
    let (services, backends) = tables.used();
    let mut fills = condition.fills;
    for (table, used, size) in [
        ("SERVICES", services, xdp::abi::SERVICES),
        ("BACKENDS", backends, xdp::abi::BACKENDS),
    ] {
        fills.push(crate::status::Fill {
            table: table.into(),
            used: used.into(),
            size: size.into(),
        });
    }
    let timeouts = (0_u8..)
        .zip(maps.settings().timeouts)
        .map(|(state, ticks)| Timeout {
            state: if FlowState::of(state) == FlowState::Sctp {
                "SCTP"
            } else {
                state_word(state)
            }
            .into(),
            seconds: seconds(ticks),
        });
    L4Status {
        layout: LAYOUT,
        pin: condition.spec.pin.clone(),
        adopted: condition.adopted,
        generation: tables.generation(),
        interfaces: (condition.interfaces.into_iter())
            .map(|attachment| forwarding(attachment, families))
            .collect(),
        tables: fills,
        drops: tally(&maps.drops, Reason::ALL.iter().map(|r| r.word())),
        passes: tally(&maps.passes, PassReason::ALL.iter().map(|r| r.word())),
        timeouts: timeouts.collect(),
        sweep: condition.sweep,
        trouble: condition.trouble,
    }
}

/// Says if the kernel would not forward what comes in there.
fn forwarding(mut attachment: Attachment, families: Families) -> Attachment {
    let attached = attachment.mode.is_some();
    if let Some(hint) = hint(&attachment.interface, families).filter(|_| attached) {
        attachment.reason = Some(match attachment.reason {
            Some(reason) => format!("{reason}; {hint}"),
            None => hint,
        });
    }
    attachment
}

/// A service's cookies, over all processors.
pub(crate) fn cookies(each: &[Cookies]) -> Cookies {
    each.iter().fold(Cookies::default(), |all, one| Cookies {
        sent: all.sent.wrapping_add(one.sent),
        accepted: all.accepted.wrapping_add(one.accepted),
        bad: all.bad.wrapping_add(one.bad),
    })
}

fn tally(counts: &PerCpu<u64>, words: impl Iterator<Item = &'static str>) -> Vec<Tally> {
    let count = |(index, word): (u32, &'static str)| -> io::Result<Tally> {
        Ok(Tally {
            reason: word.into(),
            packets: counts.get(index)?.iter().sum(),
        })
    };
    (0..)
        .zip(words)
        .filter_map(|pair| count(pair).ok())
        .collect()
}

/// Ticks as whole seconds, rounded to the nearest.
fn seconds(ticks: u32) -> u32 {
    let nanos = u64::from(ticks) << Tick::SHIFT;
    u32::try_from((nanos + 500_000_000) / 1_000_000_000).unwrap_or(u32::MAX)
}
