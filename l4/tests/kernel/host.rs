//! The host's twin of the program: the same sources parse, decide and rewrite, by tables in this process' memory. What
//! the kernel's side of the program does between them ("act") is done here as it does it.

use std::collections::HashMap;

use xdp::{
    abi::{Backend, Encap, Family, Hop, Iface, Method, V4, V6, backend_flags},
    decide::{
        Action, Road, Turn, Verdict, cookie_for, decide, established, learn, model::Memory,
        schedule::hash,
    },
    packet::{Inside, Kind, Packet, Parsed, narrow, parse},
    rewrite::{self, Outer, Room},
    testing::Buffer,
};

use super::rig::Rig;

/// What became of a packet: XDP's verdict and the packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) verdict: u32,
    pub(crate) packet: Vec<u8>,
}

/// Tables of both families.
pub(crate) struct Host {
    v4: Memory<V4>,
    v6: Memory<V6>,
    ifaces: HashMap<u32, Iface>,
}

impl Host {
    /// One that knows what user space wrote into the program's tables.
    pub(crate) fn new(rig: &Rig) -> Self {
        let (mut v4, mut v6) = (rig.harness.memory4(), rig.harness.memory6());
        (v4.router, v6.router) = (rig.router(), rig.router());
        let ifaces = rig.ifaces.clone();
        Self { v4, v6, ifaces }
    }

    /// Reads again what user space writes: it wrote something else.
    pub(crate) fn refresh(&mut self, rig: &Rig) {
        let (v4, v6) = (rig.harness.memory4(), rig.harness.memory6());
        self.v4.settings = v4.settings;
        self.v4.secret = v4.secret;
        self.v4.endpoints = v4.endpoints;
        self.v4.services = v4.services;
        self.v4.backends = v4.backends;
        self.v4.schedule = v4.schedule;
        self.v6.settings = v6.settings;
        self.v6.secret = v6.secret;
        self.v6.endpoints = v6.endpoints;
        self.v6.services = v6.services;
        self.v6.backends = v6.backends;
        self.v6.schedule = v6.schedule;
    }

    /// What the program learns of an ICMP error that it passes.
    fn learn<F: Family>(&self, frame: xdp::packet::Frame, packet: &Packet<F>) {
        let Some(told) = narrow(frame, packet) else {
            return;
        };
        match told.inside {
            Inside::V4(tuple) => learn(&self.v4, &tuple, told.to, F::IS_V6, told.mtu),
            Inside::V6(tuple) => learn(&self.v6, &tuple, told.to, F::IS_V6, told.mtu),
        }
    }

    /// A packet that came in by a device.
    pub(crate) fn run(&self, frame: &[u8], ingress: u32) -> Done {
        let mut buffer = Buffer::new(frame);
        let verdict = match parse(buffer.frame()) {
            Parsed::V4(packet) => {
                self.learn(buffer.frame(), &packet);
                act(&self.v4, &self.ifaces, &mut buffer, packet, ingress)
            }
            Parsed::V6(packet) => {
                self.learn(buffer.frame(), &packet);
                act(&self.v6, &self.ifaces, &mut buffer, packet, ingress)
            }
            Parsed::Pass(_) => 2,
            Parsed::Drop(_) => 1,
        };
        Done {
            verdict,
            packet: buffer.bytes(),
        }
    }
}

fn act<F: Family>(
    memory: &Memory<F>,
    ifaces: &HashMap<u32, Iface>,
    buffer: &mut Buffer,
    mut packet: Packet<F>,
    ingress: u32,
) -> u32 {
    let leave = |hop: &Hop| if hop.ifindex == ingress { 3 } else { 4 };
    if packet.kind == Kind::Whole
        && let Some(flow) = memory.flows.entry(&packet.tuple)
        && let Some(kept) = established(memory, &packet, flow, false)
    {
        // SAFETY: an entry of a table that is not changed meanwhile.
        let flow = unsafe { &*flow.as_ptr() };
        let to = flow.becomes(packet.tuple.proto);
        plain(buffer, &packet, kept.method, &to, &flow.hop).unwrap();
        return leave(&flow.hop);
    }
    let mut verdict = Verdict::new(packet.tuple);
    memory.frame.replace(buffer.bytes());
    decide(memory, &mut packet, &mut verdict);
    match verdict.action {
        Action::Pass => 2,
        Action::Drop => 1,
        Action::Forward => {
            if forward(memory, ifaces, buffer, &packet, &verdict).is_none() {
                return 1;
            }
            leave(&verdict.hop)
        }
        Action::Cookie => {
            let cookie = cookie_for(memory, &packet).unwrap();
            rewrite::syn_ack(buffer, &packet, cookie, verdict.mss).map_or(1, |()| 3)
        }
        Action::TooBig | Action::TtlExceeded | Action::Unreachable => {
            let from = match verdict.road {
                Road::Reply => verdict.to.src,
                _ => packet.tuple.dst,
            };
            let answered = match verdict.action {
                Action::TooBig => rewrite::too_big(buffer, &packet, from, verdict.mtu),
                Action::TtlExceeded => rewrite::ttl_exceeded(buffer, &packet, from),
                _ => rewrite::unreachable(buffer, &packet, from),
            };
            answered.map_or(1, |()| 3)
        }
    }
}

fn plain<F: Family>(
    buffer: &mut Buffer,
    packet: &Packet<F>,
    method: Method,
    to: &xdp::abi::Tuple<F>,
    hop: &Hop,
) -> Option<()> {
    if method == Method::Nat {
        rewrite::translate(buffer.frame(), packet, to)?;
    }
    rewrite::decrement_ttl(buffer.frame(), packet)?;
    rewrite::link::<F, _>(buffer, packet.l3, hop)
}

fn forward<F: Family>(
    memory: &Memory<F>,
    ifaces: &HashMap<u32, Iface>,
    buffer: &mut Buffer,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) -> Option<()> {
    let method = Method::of(verdict.method);
    if method == Method::Tunnel {
        return tunnel(memory, ifaces, buffer, packet, verdict);
    }
    let reply = verdict.road == Road::Reply;
    if packet.kind == Kind::IcmpError {
        if verdict.turn != Turn::None {
            rewrite::splice_icmp_error(buffer.frame(), packet, verdict.number, reply)?;
        }
        if method == Method::Nat {
            let hide = reply;
            rewrite::translate_icmp_error(buffer.frame(), packet, &verdict.to, hide)?;
        }
        rewrite::decrement_ttl(buffer.frame(), packet)?;
        return rewrite::link::<F, _>(buffer, packet.l3, &verdict.hop);
    }
    rewrite::splice(buffer, packet, (verdict.turn, verdict.number), reply)?;
    if verdict.mss != 0 {
        rewrite::clamp_mss(buffer.frame(), packet, verdict.mss)?;
    }
    plain(buffer, packet, method, &verdict.to, &verdict.hop)
}

fn tunnel<F: Family>(
    memory: &Memory<F>,
    ifaces: &HashMap<u32, Iface>,
    buffer: &mut Buffer,
    packet: &Packet<F>,
    verdict: &Verdict<F>,
) -> Option<()> {
    let backend = memory.backends.get(&verdict.backend)?;
    let iface = ifaces.get(&verdict.hop.ifindex)?;
    if verdict.mss != 0 {
        rewrite::clamp_mss(buffer.frame(), packet, verdict.mss)?;
    }
    rewrite::decrement_ttl(buffer.frame(), packet)?;
    if backend.flags & backend_flags::V6 != 0 {
        let outer = outer::<F, V6>(packet, &backend, iface.source6, backend.address);
        rewrite::encapsulate(buffer, packet, &outer, &verdict.hop)
    } else {
        let outer = outer::<F, V4>(packet, &backend, iface.source4, backend.address.a);
        rewrite::encapsulate(buffer, packet, &outer, &verdict.hop)
    }
}

fn outer<I: Family, O: Family>(
    packet: &Packet<I>,
    backend: &Backend,
    src: O::Addr,
    dst: O::Addr,
) -> Outer<O> {
    let tuple = &packet.tuple;
    let ports = u32::from(tuple.sport) << 16 | u32::from(tuple.dport);
    Outer {
        src,
        dst,
        encap: Encap::of(backend.encap),
        port: backend.tunnel_port,
        checksum: backend.flags & backend_flags::TUNNEL_CHECKSUM != 0,
        hash: hash(
            I::fold(tuple.src) ^ I::fold(tuple.dst).rotate_left(16),
            ports,
        ),
    }
}
