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

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::read::Reader;
use crate::sync::{
    flow::{Flow, FlowKey, Method, Record},
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
const KNOWN: u8 = V6 | BACKEND_V6 | GONE | PERSISTENT | SOURCE | DELTA;

/// Appends a record.
pub(crate) fn put_record(record: &Record, out: &mut Vec<u8>) {
    let mut flags = 0;
    let mut set = |flag: u8, on: bool| flags |= if on { flag } else { 0 };
    let key = record.key();
    set(V6, key.client.is_ipv6());
    let Record::Flow(flow) = record else {
        set(GONE, true);
        return put_key(flags, key, out);
    };
    set(BACKEND_V6, flow.backend.is_ipv6());
    set(PERSISTENT, flow.persistent);
    set(SOURCE, flow.source.is_some());
    set(DELTA, flow.delta.is_some());
    put_key(flags, key, out);
    out.push(flow.method.number() << 4 | flow.state & 15);
    out.extend(millis(flow.remaining).to_be_bytes());
    out.extend(millis(flow.idle).to_be_bytes());
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
    let v6 = flags & V6 != 0;
    let key = FlowKey {
        protocol,
        client: reader.address(v6)?,
        target: reader.address(v6)?,
    };
    if flags & GONE != 0 {
        return Ok(Record::Gone(key));
    }
    let both = reader.u8()?;
    if both >> 4 > 3 {
        return Err(Refusal::Malformed);
    }
    let mut time = || Ok(Duration::from_millis(reader.u32()?.into()));
    let (remaining, idle) = (time()?, time()?);
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
