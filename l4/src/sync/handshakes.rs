//! Handshakes are told when addresses go to another node: by TCP, what a client acknowledges there would otherwise be an
//! acknowledgement of nothing. At any other time they are not: a flood of them shall cost peers nothing.
//!
//! Told are those that may be completed by one packet of the client: of `nat` the backend has answered, of other methods
//! nobody sees whether it has. And not many of them, nor old ones.

use std::time::Duration;

use xdp::{
    abi::{Family, Flow, FlowState, Role, Tick, Tuple, V4, V6, flow_flags},
    packet::header::proto,
};

use super::{Exchange, Synced, Told, ToldFlow, left};
use crate::{
    maps::{FamilyMaps, Maps},
    plane::now,
};

/// How many are told at most, of each family.
const MOST: usize = 8192;
/// Those whose last packet came this long ago are given up by their clients, or sent again.
const RECENT: Duration = Duration::from_secs(3);

impl Exchange {
    /// Tells of the handshakes that are under way.
    pub(crate) fn handshakes(&self, maps: &Maps, into: &mut Vec<Told>) {
        self.handshakes_in::<V4>(maps, into);
        self.handshakes_in::<V6>(maps, into);
    }

    fn handshakes_in<F: Synced>(&self, maps: &Maps, into: &mut Vec<Told>) {
        let (tables, now) = (F::maps(maps), now());
        let (mut at, mut through, mut entries) = (0, false, Vec::new());
        let most = into.len() + MOST;
        while !through && into.len() < most {
            through = tables.pending.walk(&mut at, 512, &mut entries);
            for (key, flow) in entries.drain(..) {
                let told = self.handshake(maps, &key, &flow, now);
                into.extend(told.filter(|told| told.idle <= RECENT).map(Told::Flow));
            }
        }
        into.truncate(most);
    }

    /// A handshake in words, if it may be completed by its client.
    pub(super) fn handshake<F: Synced>(
        &self,
        maps: &Maps,
        key: &Tuple<F>,
        flow: &Flow<F>,
        now: Tick,
    ) -> Option<ToldFlow> {
        let begins = key.proto == proto::TCP
            && flow.role == Role::Forward as u8
            && FlowState::of(flow.state) == FlowState::SynRecv;
        if !begins {
            return None;
        }
        let (until, answered) = seen(F::maps(maps), key, flow);
        if !answered {
            return None;
        }
        self.told::<F>(maps, key, flow, until, now)
    }

    /// How long ago the last packet of a handshake came, ticks; none: its time is up.
    pub(super) fn handshake_idle<F: Synced>(
        &self,
        maps: &Maps,
        key: &Tuple<F>,
        flow: &Flow<F>,
    ) -> Option<u32> {
        let limit = super::timeout(maps, &self.directory, flow.service, flow.state);
        let (until, _) = seen(F::maps(maps), key, flow);
        let left = left(until, now());
        (left > 0).then(|| limit.saturating_sub(left))
    }
}

/// Until when a handshake is remembered, in either direction, and whether its client may have been answered.
fn seen<F: Family>(tables: &FamilyMaps<F>, key: &Tuple<F>, flow: &Flow<F>) -> (u32, bool) {
    if flow.flags & flow_flags::ONE_WAY != 0 {
        return (flow.expires, true);
    }
    let Some(other) = tables.pending.get(&flow.becomes(key.proto).reversed()) else {
        return (flow.expires, false);
    };
    let later = Tick(other.expires).is_past(flow.expires);
    let until = if later { other.expires } else { flow.expires };
    (until, other.flags & flow_flags::ANSWERED != 0)
}
