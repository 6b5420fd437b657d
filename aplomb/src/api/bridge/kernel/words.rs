//! The types of `l4` in the words of the API.

use std::borrow::Cow;

use l4::{explain::Explanation as Theirs, status as theirs};

use super::super::super::model::{
    Attachment, Candidate, Connection, Draining, KernelBackend, KernelService, L4Status,
    PacketExplanation, ReasonCount, StateTimeout, Sweep, SynCookies, TableFill, Traffic,
};

pub(super) fn plane(theirs: &theirs::L4Status, services: &[KernelService]) -> L4Status {
    L4Status {
        layout: theirs.layout,
        pin: theirs.pin.display().to_string(),
        adopted: theirs.adopted,
        generation: theirs.generation,
        interfaces: theirs.interfaces.iter().map(attachment).collect(),
        tables: theirs.tables.iter().map(fill).collect(),
        drops: theirs.drops.iter().map(tally).collect(),
        passes: theirs.passes.iter().map(tally).collect(),
        timeouts: theirs.timeouts.iter().map(timeout).collect(),
        sweep: theirs.sweep.as_ref().map(|sweep| Sweep {
            entries: sweep.entries,
            expired: sweep.expired,
            corrected: sweep.corrected,
            seconds: sweep.millis as f64 / 1e3,
        }),
        draining: services.iter().flat_map(draining).collect(),
        trouble: theirs.trouble.clone(),
        sync: None,
        ipvs_sync: None,
    }
}

fn attachment(theirs: &theirs::Attachment) -> Attachment {
    let mode = theirs.mode.map(|mode| match mode {
        theirs::AttachMode::Native => "native".into(),
        theirs::AttachMode::Generic => "generic".into(),
    });
    Attachment {
        interface: theirs.interface.clone(),
        index: theirs.index,
        mode,
        reason: theirs.reason.clone(),
    }
}

fn fill(theirs: &theirs::Fill) -> TableFill {
    TableFill {
        table: theirs.table.to_string(),
        used: theirs.used,
        size: theirs.size,
    }
}

fn tally(theirs: &theirs::Tally) -> ReasonCount {
    ReasonCount {
        reason: theirs.reason.to_string(),
        packets: theirs.packets,
    }
}

fn timeout(theirs: &theirs::Timeout) -> StateTimeout {
    StateTimeout {
        state: theirs.state.to_string(),
        seconds: theirs.seconds,
    }
}

fn draining(service: &KernelService) -> impl Iterator<Item = Draining> {
    let draining = service.backends.iter().filter(|b| b.drains());
    draining.map(|backend| Draining {
        service: service.name.clone(),
        backend: backend.address.clone(),
        left: backend.connections(),
        active: backend.active,
        persistent: backend.persistent,
        removed: backend.removed,
    })
}

pub(super) fn service(theirs: &theirs::ServiceStatus) -> KernelService {
    KernelService {
        name: theirs.name.to_string(),
        balance: theirs.balance.to_string(),
        active: theirs.active,
        inactive: theirs.inactive,
        persistent: theirs.persistent,
        traffic: traffic(&theirs.traffic),
        rates: rates(&theirs.rates),
        cookies: theirs.cookies.map(|cookies| SynCookies {
            active: cookies.active,
            open: cookies.open,
            sent: cookies.sent,
            accepted: cookies.accepted,
            bad: cookies.bad,
        }),
        backends: theirs.backends.iter().map(backend).collect(),
    }
}

fn backend(theirs: &theirs::BackendStatistics) -> KernelBackend {
    KernelBackend {
        address: theirs.address.to_string(),
        forward: method(theirs.method).into(),
        tunnel: theirs.tunnel.as_ref().map(tunnel),
        weight: theirs.weight,
        takes: theirs.takes,
        removed: theirs.removed,
        full: theirs.full,
        upper: theirs.upper,
        lower: theirs.lower,
        active: theirs.active.into(),
        inactive: theirs.inactive.into(),
        persistent: theirs.persistent.into(),
        traffic: traffic(&theirs.traffic),
        rates: rates(&theirs.rates),
    }
}

fn method(method: theirs::Method) -> &'static str {
    match method {
        theirs::Method::Nat => "nat",
        theirs::Method::Direct => "direct",
        theirs::Method::Tunnel => "tunnel",
        theirs::Method::Local => "local",
    }
}

fn tunnel(tunnel: &theirs::Tunnel) -> String {
    let port = match tunnel.port {
        0 => String::new(),
        port => format!(":{port}"),
    };
    let checksum = if tunnel.checksum {
        " with checksum"
    } else {
        ""
    };
    format!("{}{port}{checksum}", tunnel.kind)
}

fn traffic(theirs: &theirs::Traffic) -> Traffic {
    Traffic {
        connections: theirs.connections,
        in_packets: theirs.in_packets,
        out_packets: theirs.out_packets,
        in_bytes: theirs.in_bytes,
        out_bytes: theirs.out_bytes,
    }
}

fn rates(theirs: &theirs::Rates) -> Traffic {
    Traffic {
        connections: theirs.connections,
        in_packets: theirs.in_packets,
        out_packets: theirs.out_packets,
        in_bytes: theirs.in_bytes,
        out_bytes: theirs.out_bytes,
    }
}

/// A connection in the words of the API.
pub(super) fn connection(theirs: &theirs::Connection) -> Connection {
    Connection {
        protocol: l4::filter::protocol_word(theirs.protocol).into_owned(),
        state: theirs.state.to_string(),
        expires_seconds: theirs.expires,
        client: theirs.client.to_string(),
        target: theirs.target.to_string(),
        backend: theirs.backend.to_string(),
        service: theirs.service.as_ref().map(ToString::to_string),
        template: theirs.template,
        pending: theirs.pending,
    }
}

/// What would become of a packet.
pub(in super::super) fn explanation(theirs: Theirs) -> PacketExplanation {
    PacketExplanation {
        packet: theirs.packet,
        verdict: theirs.verdict.into_owned(),
        road: theirs.road.map(Cow::into_owned),
        reason: theirs.reason.map(Cow::into_owned),
        service: theirs.service,
        backend: theirs.backend.map(|backend| backend.to_string()),
        forward: theirs.method.map(|m| method(m).into()),
        becomes: theirs.becomes,
        next_hop: theirs.next_hop,
        steps: theirs.steps,
        candidates: theirs
            .candidates
            .into_iter()
            .map(|theirs| Candidate {
                address: theirs.address.to_string(),
                chosen: theirs.chosen,
                usable: theirs.usable,
                score: theirs.score,
                why: theirs.why,
            })
            .collect(),
    }
}
