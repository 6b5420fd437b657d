//! The short road: a whole packet of an established flow, of which nothing changes but how long it is remembered.

use super::{Entry, Tables, count, get, put, way};
use crate::{
    abi::{Family, Flow, FlowState, Method, Role, Way, backend_flags, flow_flags},
    packet::{
        Packet,
        header::{
            proto,
            tcp_flags::{FIN, RST, SYN},
        },
    },
};

/// A flow whose packet may leave as the flow says. It has been counted.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// How it leaves.
    pub method: Method,
    /// Slot of the backend.
    pub backend: u32,
    /// Of a tunnel: the way to it.
    pub way: Option<Entry<Way>>,
}

/// Whether a whole packet, whose tuple found `flow` among the established, may go the short road; `tunnels`: also to a tunnel.
/// None: it must go the whole one.
#[inline(always)]
pub fn established<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    flow: Entry<Flow<F>>,
    tunnels: bool,
) -> Option<Kept> {
    let settings = tables.settings()?;
    let now = tables.now();
    let state = get!(flow.state);
    let tcp = packet.tuple.proto == proto::TCP;
    if tcp && (packet.tcp_flags & (SYN | FIN | RST) != 0 || state != FlowState::Established as u8) {
        return None;
    }
    let expires = get!(flow.expires);
    // Its tables and its way must be as they were, its numbers the other side's, and nobody may be watching.
    if now.is_past(expires)
        || get!(flow.flags) & flow_flags::SPLICED != 0
        || get!(settings.trace) != 0
        || packet.ttl <= 1
        || {
            let hop = get!(flow.hop);
            hop.generation != get!(settings.generation) || packet.length > u32::from(hop.mtu)
        }
    {
        return None;
    }
    let slot = get!(flow.backend);
    let backend = tables.backend(slot)?;
    if get!(backend.flags) & (backend_flags::PRESENT | backend_flags::REMOVED)
        != backend_flags::PRESENT
    {
        return None;
    }
    let method = Method::of(get!(flow.method));
    if method == Method::Local || (method == Method::Tunnel && !tunnels) {
        return None;
    }
    let mut way = None;
    if method == Method::Tunnel {
        let known = way::recall(tables, backend, get!(settings.generation), slot)?;
        if !way::fits(known, backend, packet.length) {
            return None;
        }
        way = Some(known);
    }
    let timeout = if tcp {
        super::follow::timeout_of(settings, FlowState::Established)
    } else {
        super::follow::timeout(tables, settings, get!(flow.service), FlowState::of(state))
    };
    let until = now.0.wrapping_add(timeout);
    if expires != until {
        put!(flow.expires = until);
    }
    count(
        tables,
        slot,
        packet.length,
        get!(flow.role) == Role::Reverse as u8,
    );
    Some(Kept {
        method,
        backend: slot,
        way,
    })
}
