//! What the kernel's own stack takes for the same packets: plain forwarding, and IPVS.
//!
//! Packets come in by `in`, as a driver hands them on, and leave by a device that only frees them, as the balancer's do.

use super::case::Case;
use super::net::{self, Net, called};
use super::script::{End as Address, Stream};
use super::source::{End, Source};
use crate::Result;
use std::net::SocketAddr;
use xdp::abi::Method;

/// Plain forwarding by route, for comparison.
pub(super) fn forward(source: &mut Source, packets: u32) -> Result<f64> {
    let address = Net::backend4(net::BACKENDS.start).into();
    source.stream(&Stream {
        fixed: Address { address, port: 9 },
        reply: false,
        tcp: None,
        first: 0,
        flows: 10_000,
    })?;
    source.end(End::Pass)?;
    source.live(2000)?;
    source.arrives(1, packets)
}

/// Sets up IPVS for `case` alone, makes its flows, sends, and counts.
pub(super) fn ipvs(case: &Case, index: usize, source: &mut Source, packets: u32) -> Result<f64> {
    clear()?;
    service(case, index, true)?;
    source.end(End::Pass)?;
    let backend = case.backend(net::BACKENDS.start, true);
    for stream in case.before(index, backend) {
        source.stream(&stream)?;
        source.live(stream.flows)?;
    }
    source.stream(&case.stream(index, backend))?;
    source.live(case.warm(packets))?;
    source.arrives(1, packets)
}

/// Forgets all services and connections.
pub(super) fn clear() -> Result {
    called(&["ipvsadm", "-C"])?;
    called(&["modprobe", "-r", "ip_vs_rr"])?;
    called(&["modprobe", "-r", "ip_vs"])?;
    called(&["modprobe", "ip_vs"])
}

/// Adds the service of `case`, with backends behind `sink` or behind `in`.
pub(super) fn service(case: &Case, index: usize, sink: bool) -> Result {
    let protocol = if case.tcp { "-t" } else { "-u" };
    let service = SocketAddr::new(case.vip(), Case::port(index)).to_string();
    called(&["ipvsadm", "-A", protocol, &service, "-s", "rr"])?;
    let method = match case.method {
        Method::Nat => "-m",
        Method::Tunnel => "-i",
        Method::Direct | Method::Local => "-g",
    };
    for last in case.backends() {
        let backend = SocketAddr::new(case.backend(last, sink), case.backend_port(index));
        let backend = backend.to_string();
        called(&["ipvsadm", "-a", protocol, &service, "-r", &backend, method])?;
    }
    Ok(())
}
