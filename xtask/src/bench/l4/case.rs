//! What is measured: kinds of packets.

use super::net::{self, Net};
use super::script::{End, Stream};
use std::net::IpAddr;
use xdp::abi::Method;

/// TCP's flags.
const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;
const PSH: u8 = 8;

/// Flows of a case where every packet is of a flow of its own: more than are ever sent.
const ENDLESS: u32 = 1 << 30;

/// Flows that are begun at a time.
const PART: u32 = 50_000;

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

/// What comes out of the balancer and of IPVS, beside each other.
pub(super) const COMPARED: &[Case] = &[
    case("direct-udp", Method::Direct, 1),
    tcp(case("direct-tcp", Method::Direct, 1)),
    v6(tcp(case("direct-tcp6", Method::Direct, 1))),
    reply(case("nat-udp", Method::Nat, 1)),
    reply(tcp(case("nat-tcp", Method::Nat, 1))),
    reply(v6(case("nat-udp6", Method::Nat, 1))),
    tcp(case("nat-tcp-four", Method::Nat, 1)),
    case("tunnel-udp", Method::Tunnel, 1),
    tcp(case("tunnel-tcp", Method::Tunnel, 1)),
];

impl Case {
    /// A case of UDP over IPv4.
    pub(super) fn plain(name: &'static str, method: Method, flows: u32) -> Case {
        case(name, method, flows)
    }

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

    /// The last numbers of its backends' addresses. One backend answers all clients where replies are needed: which
    /// flow went where need not be known then.
    pub(super) fn backends(&self) -> impl Iterator<Item = u8> + use<> {
        let one = self.reply || self.shakes_hands();
        net::BACKENDS.take(if one { 1 } else { net::BACKENDS.len() })
    }

    /// Whether a flow of it is one only after the backend's answer was seen.
    fn shakes_hands(&self) -> bool {
        self.method == Method::Nat && self.tcp && self.flows > 0
    }

    /// The virtual address.
    pub(super) fn vip(&self) -> IpAddr {
        if self.v6 {
            net::VIP6.into()
        } else {
            net::VIP4.into()
        }
    }

    /// What must pass before the packets that are measured: each stream once through all its flows.
    /// `backend` is the address of the first backend.
    pub(super) fn before(&self, index: usize, backend: IpAddr) -> Vec<Stream> {
        let mut streams = Vec::new();
        // In parts that the table of handshakes has room for.
        for first in (0..self.flows).step_by(PART as usize) {
            let ours = |stream| Stream {
                first,
                flows: PART.min(self.flows - first),
                ..stream
            };
            let part = |flags| ours(self.client(index, flags));
            // TCP: the handshake's end makes it an established flow. UDP: the client's second packet does.
            streams.push(part(SYN));
            if self.shakes_hands() {
                streams.push(ours(self.answer(index, backend, SYN | ACK)));
            }
            streams.extend([part(ACK), part(ACK)]);
            if self.shakes_hands() {
                streams.push(ours(self.answer(index, backend, ACK)));
            }
        }
        streams
    }

    /// The packets that are measured; `backend` is the address of the first one.
    pub(super) fn stream(&self, index: usize, backend: IpAddr) -> Stream {
        if self.reply {
            self.answer(index, backend, ACK)
        } else {
            self.client(index, if self.flows == 0 { SYN } else { ACK })
        }
    }

    /// What `backend` sends.
    fn answer(&self, index: usize, backend: IpAddr, flags: u8) -> Stream {
        let fixed = End {
            address: backend,
            port: self.backend_port(index),
        };
        Stream {
            fixed,
            reply: true,
            ..self.client(index, flags)
        }
    }

    /// What clients and, where it is of replies, the backend say to each other, with a word for each.
    pub(super) fn talk(&self, index: usize) -> Vec<(&'static str, Stream)> {
        let client = |flags| self.client(index, flags);
        let backend = self.backend(net::BACKENDS.start, false);
        let server = |flags| self.answer(index, backend, flags);
        let mut talk = vec![("first packet", client(SYN))];
        if self.reply {
            talk.push(("answer", server(SYN | ACK)));
        }
        talk.push(("second packet", client(ACK)));
        talk.push(("third packet", client(ACK | PSH)));
        if self.reply {
            talk.push(("second answer", server(ACK | PSH)));
        }
        if self.tcp {
            talk.push(("FIN", client(FIN | ACK)));
        }
        talk
    }

    fn client(&self, index: usize, flags: u8) -> Stream {
        Stream {
            fixed: End {
                address: self.vip(),
                port: Case::port(index),
            },
            reply: false,
            tcp: self.tcp.then_some(flags),
            first: 0,
            flows: if self.flows == 0 { ENDLESS } else { self.flows },
        }
    }

    /// How many of so many packets are sent before: each flow's way is known then.
    pub(super) fn warm(&self, packets: u32) -> u32 {
        self.flows.max(packets / 10)
    }

    /// The address of a backend, behind `sink` or behind `in`.
    pub(super) fn backend(&self, last: u8, sink: bool) -> IpAddr {
        match (self.v6, sink) {
            (false, false) => Net::near4(last).into(),
            (false, true) => Net::backend4(last).into(),
            (true, false) => Net::near6(last).into(),
            (true, true) => Net::backend6(last).into(),
        }
    }
}
