//! The life of a TCP connection.

use std::time::Duration;

use control::spec::{ServiceKind, service::TcpSpec};
use tokio::net::TcpStream;

use super::{
    connect::{Connected, Wish, connect},
    lane::Lane,
    relay::Relay,
};
use crate::{
    access_log::connection::{Ending, Line},
    net::reset_on_close,
    proxy_protocol,
    stats::{Fault, Reason, Side},
    worker::{Ends, Entry, Timer, clock},
};

/// Serves a client of a TCP service.
pub(crate) async fn serve(entry: Entry, mut client: TcpStream, ends: Ends) {
    let ServiceKind::Tcp(spec) = &entry.service.kind() else {
        return;
    };
    let timer = entry.worker.wheel.timer();
    let began = clock::now();
    let mut line = Line::new(ends.client);
    let opening = opening(&entry, &ends, &client);
    // Boxed: what it needs is not carried through the life of the connection.
    let connected = Box::pin(to_backend(&entry, &timer, spec, &ends, &opening)).await;
    let outcome = match connected {
        Ok(mut connected) => {
            line.backend = Some(connected.lease.backend().address());
            line.connected = Some(connected.took);
            let streams = (&mut client, &mut connected);
            carry(&entry, &timer, spec, opening, streams, &mut line).await
        }
        Err(fault) => Err(fault),
    };
    let lasted = clock::now().saturating_since(began);
    finish(&entry, &client, line, outcome, lasted);
}

async fn to_backend(
    entry: &Entry,
    timer: &Timer,
    spec: &TcpSpec,
    ends: &Ends,
    opening: &Lane,
) -> Result<Connected, Fault> {
    let none = Fault::new(Side::Proxy, Reason::NoBackend);
    let pool = entry.service.pools.first().ok_or(none)?;
    let wish = Wish {
        key: pool.source_key(ends.client.ip()),
        retries: spec.connect_retries,
        data_follows: opening.holds_data(),
    };
    connect(entry, timer, pool, &wish).await
}

async fn carry(
    entry: &Entry,
    timer: &Timer,
    spec: &TcpSpec,
    opening: Lane,
    (client, connected): (&mut TcpStream, &mut Connected),
    line: &mut Line,
) -> Result<(), Fault> {
    let mut relay = Relay {
        entry,
        lease: &connected.lease,
        timer,
        spec,
        client,
        backend: &mut connected.stream,
        to_backend: opening,
        to_client: Lane::default(),
    };
    let outcome = relay.run().await;
    (line.bytes_in, line.bytes_out) = (relay.to_backend.moved, relay.to_client.moved);
    outcome
}

/// The way to the backend, with the PROXY header first if its pool wants one.
fn opening(entry: &Entry, ends: &Ends, client: &TcpStream) -> Lane {
    let pool = entry.service.pools.first();
    let mut header = Vec::new();
    if let Some(version) = pool.and_then(|p| p.with_connect(|c| c.proxy_protocol)) {
        proxy_protocol::announce(&mut header, version, ends.client, ends.local(client));
    }
    Lane::opening(&entry.worker, &header, client)
}

fn finish(
    entry: &Entry,
    client: &TcpStream,
    line: Line,
    outcome: Result<(), Fault>,
    lasted: Duration,
) {
    let service = &entry.service;
    service.counters().duration.observe(lasted);
    if let Err(fault) = outcome {
        service.count(fault);
        reset_on_close(client);
    }
    if let Some(log) = &service.log {
        let ending = Ending { outcome, lasted };
        log.line(clock::wall_millis(), |out, stamp| {
            line.write(out, stamp, log.is_json(), service.name(), &ending);
        });
    }
}
