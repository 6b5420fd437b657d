//! What is measured: kinds of packets.

use super::net::{self, Net};
use super::script::{End, Stream};
use std::net::IpAddr;
use xdp::abi::Method;

/// TCP's flags.
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Flows of a case where every packet is of a flow of its own: more than are ever sent.
const ENDLESS: u32 = 1 << 30;

/// One kind of packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) method: Method,
    pub(super) v6: bool,
    pub(super) tcp: bool,
    /// From the backend.
    pub(super) reply: bool,
    /// Flows that were there before; 0: every packet begins one.
    pub(super) flows: u32,
}

/// A case by its name, `METHOD-PROTOCOL[6]-FLOWS[-reply]`.
const fn case(name: &'static str, method: Method, flows: u32) -> Case {
    Case {
        name,
        method,
        v6: false,
        tcp: false,
        reply: false,
        flows,
    }
}

const fn tcp(case: Case) -> Case {
    Case { tcp: true, ..case }
}

const fn v6(case: Case) -> Case {
    Case { v6: true, ..case }
}

const fn reply(case: Case) -> Case {
    Case {
        reply: true,
        ..case
    }
}

/// By the clock of this machine.
pub(super) const TIMED: &[Case] = &[
    case("direct-udp-1", Method::Direct, 1),
    case("direct-udp-10k", Method::Direct, 10_000),
    case("direct-udp-100k", Method::Direct, 100_000),
    case("direct-udp-1m", Method::Direct, 1_000_000),
    case("direct-udp-new", Method::Direct, 0),
    tcp(case("direct-tcp-10k", Method::Direct, 10_000)),
    tcp(case("direct-tcp-1m", Method::Direct, 1_000_000)),
    tcp(case("direct-tcp-new", Method::Direct, 0)),
    v6(case("direct-udp6-10k", Method::Direct, 10_000)),
    v6(case("direct-udp6-new", Method::Direct, 0)),
    v6(tcp(case("direct-tcp6-10k", Method::Direct, 10_000))),
    case("tunnel-udp-10k", Method::Tunnel, 10_000),
    case("tunnel-udp-new", Method::Tunnel, 0),
    v6(case("tunnel-udp6-10k", Method::Tunnel, 10_000)),
    case("nat-udp-10k", Method::Nat, 10_000),
    reply(case("nat-udp-10k-reply", Method::Nat, 10_000)),
    case("nat-udp-new", Method::Nat, 0),
    tcp(case("nat-tcp-10k", Method::Nat, 10_000)),
    reply(tcp(case("nat-tcp-10k-reply", Method::Nat, 10_000))),
    tcp(case("nat-tcp-new", Method::Nat, 0)),
    v6(case("nat-udp6-10k", Method::Nat, 10_000)),
    reply(v6(case("nat-udp6-10k-reply", Method::Nat, 10_000))),
];

/// In the guest, beside IPVS: fewer, for each takes seconds.
pub(super) const COUNTED: &[Case] = &[
    case("direct-udp-1", Method::Direct, 1),
    case("direct-udp-10k", Method::Direct, 10_000),
    case("direct-udp-new", Method::Direct, 0),
    tcp(case("direct-tcp-10k", Method::Direct, 10_000)),
    tcp(case("direct-tcp-new", Method::Direct, 0)),
    case("nat-udp-10k", Method::Nat, 10_000),
    reply(case("nat-udp-10k-reply", Method::Nat, 10_000)),
    case("nat-udp-new", Method::Nat, 0),
    tcp(case("nat-tcp-10k", Method::Nat, 10_000)),
    case("tunnel-udp-10k", Method::Tunnel, 10_000),
    case("tunnel-udp-new", Method::Tunnel, 0),
    v6(case("direct-udp6-10k", Method::Direct, 10_000)),
    v6(case("direct-udp6-new", Method::Direct, 0)),
];

impl Case {
    /// The port of its service at the virtual address: each has one of its own, so that none meets another's flows.
    pub(super) fn port(index: usize) -> u16 {
        1000 + index as u16
    }

    /// The backends' port.
    pub(super) fn backend_port(&self, index: usize) -> u16 {
        // Only address translation can change it.
        let beside = if self.method == Method::Nat { 8000 } else { 0 };
        Case::port(index) + beside
    }

    /// The last numbers of its backends' addresses. One backend answers all clients where replies are measured:
    /// which flow went where need not be known then.
    pub(super) fn backends(&self) -> impl Iterator<Item = u8> + use<> {
        net::BACKENDS.take(if self.reply { 1 } else { net::BACKENDS.len() })
    }

    /// The virtual address.
    pub(super) fn vip(&self) -> IpAddr {
        if self.v6 {
            net::VIP6.into()
        } else {
            net::VIP4.into()
        }
    }

    /// What must pass before the packets that are measured: streams, and whether each flow's packet comes once.
    pub(super) fn before(&self, index: usize) -> Vec<Stream> {
        let client = |flags| self.client(index, flags);
        match (self.flows, self.tcp) {
            (0, _) => Vec::new(),
            // The second packet of a client makes it an established flow; the third is for luck of none.
            (_, false) => vec![client(0), client(0), client(0)],
            (_, true) => vec![client(SYN), client(ACK), client(ACK)],
        }
    }

    /// The packets that are measured; `backend` is the address of the first one.
    pub(super) fn stream(&self, index: usize, backend: IpAddr) -> Stream {
        let client = self.client(index, if self.flows == 0 { SYN } else { ACK });
        if !self.reply {
            return client;
        }
        let fixed = End {
            address: backend,
            port: self.backend_port(index),
        };
        Stream {
            fixed,
            reply: true,
            ..client
        }
    }

    fn client(&self, index: usize, flags: u8) -> Stream {
        Stream {
            fixed: End {
                address: self.vip(),
                port: Case::port(index),
            },
            reply: false,
            tcp: self.tcp.then_some(flags),
            flows: if self.flows == 0 { ENDLESS } else { self.flows },
        }
    }

    /// The address of a backend, behind the device that our program sends by or behind the one for the stack.
    pub(super) fn backend(&self, last: u8, of_stack: bool) -> IpAddr {
        match (self.v6, of_stack) {
            (false, false) => Net::near4(last).into(),
            (false, true) => Net::backend4(last).into(),
            (true, false) => Net::near6(last).into(),
            (true, true) => Net::backend6(last).into(),
        }
    }
}
