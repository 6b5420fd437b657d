//! One record as bytes.
//!
//! | bytes | |
//! |---|---|
//! | 1 | flags |
//! | 1 | IP protocol |
//! | 6 or 18 | the client's address and port |
//! | 6 or 18 | the virtual address and port |
//!
//! and unless it is gone:
//!
//! | bytes | |
//! |---|---|
//! | 1 | method (high half) and state (low half) |
//! | 4 | how long it is remembered, milliseconds |
//! | 4 | how long ago its last packet came, milliseconds |
//! | 6 or 18 | the backend's address and port |
//! | 6 or 18 | where the backend sees it come from, if full NAT |
//! | 4 | sequence offset, if a SYN cookie opened it |
//!
//! A remembered client (a template of persistence) has neither the first of these nor the last two.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::read::Reader;
use crate::sync::{
    flow::{Flow, FlowKey, Method, Record, Template},
    refusal::Refusal,
};

/// Client and virtual address are of IPv6.
const V6: u8 = 1;
/// The backend's is.
const BACKEND_V6: u8 = 2;
const GONE: u8 = 4;
const PERSISTENT: u8 = 8;
const SOURCE: u8 = 16;
const DELTA: u8 = 32;
/// It is of a remembered client.
const TEMPLATE: u8 = 64;
const KNOWN: u8 = V6 | BACKEND_V6 | GONE | PERSISTENT | SOURCE | DELTA | TEMPLATE;
/// What a template may have.
const OF_TEMPLATE: u8 = V6 | BACKEND_V6 | GONE | TEMPLATE;

/// Appends a record.
pub(crate) fn put_record(record: &Record, out: &mut Vec<u8>) {
    let mut flags = 0;
    let mut set = |flag: u8, on: bool| flags |= if on { flag } else { 0 };
    let key = record.key();
    set(V6, key.client.is_ipv6());
    set(TEMPLATE, key.template);
    let flow = match record {
        Record::Gone(key) => {
            set(GONE, true);
            return put_key(flags, key, out);
        }
        Record::Template(template) => {
            set(BACKEND_V6, template.backend.is_ipv6());
            put_key(flags, key, out);
            put_times(template.remaining, template.idle, out);
            return put_address(&template.backend, out);
        }
        Record::Flow(flow) => flow,
    };
    set(BACKEND_V6, flow.backend.is_ipv6());
    set(PERSISTENT, flow.persistent);
    set(SOURCE, flow.source.is_some());
    set(DELTA, flow.delta.is_some());
    put_key(flags, key, out);
    out.push(flow.method.number() << 4 | flow.state & 15);
    put_times(flow.remaining, flow.idle, out);
    put_address(&flow.backend, out);
    if let Some(source) = &flow.source {
        put_address(source, out);
    }
    if let Some(delta) = flow.delta {
        out.extend(delta.to_be_bytes());
    }
}

fn put_key(flags: u8, key: &FlowKey, out: &mut Vec<u8>) {
    out.extend([flags, key.protocol]);
    put_address(&key.client, out);
    put_address(&key.target, out);
}

fn put_times(remaining: Duration, idle: Duration, out: &mut Vec<u8>) {
    out.extend(millis(remaining).to_be_bytes());
    out.extend(millis(idle).to_be_bytes());
}

fn put_address(address: &SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => out.extend(ip.octets()),
        IpAddr::V6(ip) => out.extend(ip.octets()),
    }
    out.extend(address.port().to_be_bytes());
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// Reads a record.
pub(super) fn record(reader: &mut Reader<'_>) -> Result<Record, Refusal> {
    let flags = reader.u8()?;
    let protocol = reader.u8()?;
    if flags & !KNOWN != 0 {
        return Err(Refusal::Malformed);
    }
    let template = flags & TEMPLATE != 0;
    if template && flags & !OF_TEMPLATE != 0 {
        return Err(Refusal::Malformed);
    }
    let v6 = flags & V6 != 0;
    let key = FlowKey {
        template,
        protocol,
        client: reader.address(v6)?,
        target: reader.address(v6)?,
    };
    if flags & GONE != 0 {
        return Ok(Record::Gone(key));
    }
    if template {
        let (remaining, idle) = times(reader)?;
        return Ok(Record::Template(Template {
            key,
            remaining,
            idle,
            backend: reader.address(flags & BACKEND_V6 != 0)?,
        }));
    }
    let both = reader.u8()?;
    if both >> 4 > 3 {
        return Err(Refusal::Malformed);
    }
    let (remaining, idle) = times(reader)?;
    let backend = reader.address(flags & BACKEND_V6 != 0)?;
    let source = (flags & SOURCE != 0)
        .then(|| reader.address(v6))
        .transpose()?;
    let delta = (flags & DELTA != 0).then(|| reader.u32()).transpose()?;
    Ok(Record::Flow(Flow {
        key,
        backend,
        method: Method::of(both >> 4),
        state: both & 15,
        persistent: flags & PERSISTENT != 0,
        remaining,
        idle,
        source,
        delta,
    }))
}

fn times(reader: &mut Reader<'_>) -> Result<(Duration, Duration), Refusal> {
    let mut time = || Ok(Duration::from_millis(reader.u32()?.into()));
    Ok((time()?, time()?))
}
