//! What is balanced in the cases: a service for each way, on an address of its own, in both families.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use control::{
    plan::{Plan, PoolPlan, ServicePlan},
    spec::{
        Balance, Forward, KernelSpec, Listen, NatSource, Scheme, ServiceKind, ServiceSpec,
        TunnelKind, TunnelSpec,
    },
};
use xdp::testing::Builder;

use crate::{
    plans::{plan, pool},
    rig::Rig,
};

/// A service: the last byte of its address is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Way {
    /// To port 8080 of 10.1.0.1.
    Nat = 1,
    /// To the same port.
    NatSame,
    FullNat,
    Direct,
    IpIp4,
    Gue4,
    Gre4,
    IpIp6,
    Gue6,
    Gre6,
    GueSum4,
    GreSum4,
    GueSum6,
    GreSum6,
    Local,
    TaggedDirect,
    TaggedNat,
    TaggedTunnel,
    NoNeighbour,
    NoRoute,
    NoDevice,
    /// A tunnel to where packets have at most 1400 bytes.
    Narrow,
    NarrowDirect,
    NarrowNat,
    /// A SYN's MSS is at most 1300.
    Clamped,
    ClampedTunnel,
    ClampedNat,
    Nobody,
    OnePacket,
    Sloppy,
    TaggedFullNat,
    TaggedGue,
    TaggedGre,
}

use Way::*;

pub(crate) const WAYS: [Way; 33] = [
    Nat,
    NatSame,
    FullNat,
    Direct,
    IpIp4,
    Gue4,
    Gre4,
    IpIp6,
    Gue6,
    Gre6,
    GueSum4,
    GreSum4,
    GueSum6,
    GreSum6,
    Local,
    TaggedDirect,
    TaggedNat,
    TaggedTunnel,
    NoNeighbour,
    NoRoute,
    NoDevice,
    Narrow,
    NarrowDirect,
    NarrowNat,
    Clamped,
    ClampedTunnel,
    ClampedNat,
    Nobody,
    OnePacket,
    Sloppy,
    TaggedFullNat,
    TaggedGue,
    TaggedGre,
];

/// MSS of the clamped services.
pub(crate) const MSS: u16 = 1300;

impl Way {
    /// Where clients send to.
    pub(crate) fn vip(self, v6: bool) -> SocketAddr {
        let n = self as u8;
        let text = if v6 {
            format!("[2001:db8:1::{n:x}]:80")
        } else {
            format!("198.51.100.{n}:80")
        };
        text.parse().unwrap()
    }

    /// The backend's family: that of the service, but for tunnels.
    pub(crate) fn backend_v6(self, v6: bool) -> bool {
        match self {
            IpIp4 | Gue4 | Gre4 | GueSum4 | GreSum4 => false,
            IpIp6 | Gue6 | Gre6 | GueSum6 | GreSum6 => true,
            _ => v6,
        }
    }

    /// The backend.
    pub(crate) fn backend(self, v6: bool) -> SocketAddr {
        let (net, host) = match self {
            TaggedDirect | TaggedNat | TaggedFullNat => (2, 1),
            TaggedTunnel | TaggedGue | TaggedGre => (2, 1),
            NoNeighbour => (1, 0x77),
            NoRoute => (4, 1),
            NoDevice => (5, 1),
            Narrow | NarrowDirect | NarrowNat => (6, 1),
            _ => (1, 1),
        };
        let port = if self == Nat { 8080 } else { 80 };
        let text = match (self, self.backend_v6(v6)) {
            (Local, true) => format!("[fd01::ffff]:{port}"),
            (Local, false) => format!("10.1.255.1:{port}"),
            (_, true) => format!("[fd0{net}::{host:x}]:{port}"),
            (_, false) => format!("10.{net}.0.{host}:{port}"),
        };
        text.parse().unwrap()
    }

    pub(crate) fn tunnel(self) -> Option<TunnelSpec> {
        let kind = match self {
            IpIp4 | IpIp6 | TaggedTunnel | Narrow | ClampedTunnel => TunnelKind::IpIp,
            Gue4 | Gue6 | GueSum4 | GueSum6 | TaggedGue => TunnelKind::Gue,
            Gre4 | Gre6 | GreSum4 | GreSum6 | TaggedGre => TunnelKind::Gre,
            _ => return None,
        };
        let mut spec = TunnelSpec::new(kind);
        spec.checksum = matches!(self, GueSum4 | GueSum6 | GreSum4 | GreSum6);
        Some(spec)
    }

    fn forward(self) -> Forward {
        if self.tunnel().is_some() {
            return Forward::Tunnel;
        }
        match self {
            Nat | NatSame | FullNat | TaggedNat | TaggedFullNat => Forward::Nat,
            NarrowNat | ClampedNat | OnePacket => Forward::Nat,
            _ => Forward::Direct,
        }
    }

    fn name(self, v6: bool) -> String {
        format!("{self:?}-{}", if v6 { 6 } else { 4 }).to_lowercase()
    }

    fn plan(self, v6: bool) -> (Arc<ServicePlan>, Arc<PoolPlan>) {
        let name = self.name(v6);
        let backend = self.backend(v6).to_string();
        let weight = u32::from(self != Nobody);
        let pool = pool(&name, Balance::WeightedRoundRobin, &[(&backend, weight)]);
        let mut kernel = KernelSpec::new(self.forward(), name.parse().unwrap());
        kernel.tunnel = self.tunnel().unwrap_or_default();
        kernel.mss = matches!(self, Clamped | ClampedTunnel | ClampedNat).then_some(MSS);
        kernel.one_packet = self == OnePacket;
        kernel.sloppy = self == Sloppy;
        if matches!(self, FullNat | TaggedFullNat) {
            kernel.source = NatSource::Pool(vec![ours(v6)]);
        }
        let schemes = [Scheme::Tcp, Scheme::Udp, Scheme::Sctp];
        let spec = ServiceSpec {
            name: name.parse().unwrap(),
            listen: schemes
                .iter()
                .map(|s| Listen::new(*s, self.vip(v6)))
                .collect(),
            kind: ServiceKind::Kernel(Box::new(kernel)),
            accept_proxy_protocol: Vec::new(),
            max_connections: None,
            access_log: None,
        };
        let service = ServicePlan {
            spec: Arc::new(spec),
        };
        (Arc::new(service), pool)
    }
}

/// This node's address.
pub(crate) fn ours(v6: bool) -> IpAddr {
    let text = if v6 { "fd01::ffff" } else { "10.1.255.1" };
    text.parse().unwrap()
}

/// The rig with all services but those left out.
pub(crate) struct Site {
    pub(crate) rig: Rig,
}

impl Site {
    pub(crate) fn new() -> Option<Self> {
        let mut rig = Rig::new()?;
        rig.harness.locals.extend([ours(false), ours(true)]);
        let mut site = Self { rig };
        site.serve(|_| true);
        Some(site)
    }

    /// Serves these, and no others.
    pub(crate) fn serve(&mut self, which: impl Fn(Way) -> bool) {
        let mut all = BTreeMap::new();
        for way in WAYS.into_iter().filter(|way| which(*way)) {
            for v6 in [false, true] {
                all.insert((way, v6), way.plan(v6));
            }
        }
        let (services, pools): (Vec<_>, Vec<_>) = all.into_values().unzip();
        let plan: Plan = plan(&services, &pools);
        self.rig.harness.apply(&plan).unwrap();
    }
}

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proto {
    Tcp,
    Udp,
    Sctp,
}

pub(crate) const PROTOS: [Proto; 3] = [Proto::Tcp, Proto::Udp, Proto::Sctp];

/// What all test packets carry.
pub(crate) const DATA: &[u8] = b"what is it, and why?";

impl Proto {
    /// A packet of it; `flags` are TCP's.
    pub(crate) fn packet(self, builder: &Builder, flags: u8) -> Vec<u8> {
        match self {
            Self::Tcp => builder.tcp(flags, &[], DATA),
            Self::Udp => builder.udp(DATA),
            Self::Sctp => builder.sctp(DATA),
        }
    }
}

/// One client's talk with a service: addresses that no other case uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk {
    pub(crate) client: SocketAddr,
    pub(crate) vip: SocketAddr,
    pub(crate) backend: SocketAddr,
    pub(crate) v6: bool,
}

impl Talk {
    /// As the client sends it.
    pub(crate) fn asks(&self) -> Builder {
        Builder::new(self.client, self.vip)
    }

    /// As the client's packet is after one hop (`direct`).
    pub(crate) fn asked(&self) -> Builder {
        self.asks().ttl(62)
    }

    /// The same, translated.
    pub(crate) fn translated(&self) -> Builder {
        Builder::new(self.client, self.backend).ttl(62)
    }

    /// As the backend answers.
    pub(crate) fn answers(&self) -> Builder {
        Builder::new(self.backend, self.client)
    }

    /// As the client is to see that, after one hop.
    pub(crate) fn answered(&self) -> Builder {
        Builder::new(self.vip, self.client).ttl(62)
    }
}

/// Gives out clients.
#[derive(Default)]
pub(crate) struct Net {
    clients: u16,
}

impl Net {
    /// A new client of a service.
    pub(crate) fn talk(&mut self, way: Way, v6: bool) -> Talk {
        self.clients += 1;
        let ip = if v6 { "2001:db8::7" } else { "192.0.2.7" };
        Talk {
            client: SocketAddr::new(ip.parse().unwrap(), 10_000 + self.clients),
            vip: way.vip(v6),
            backend: way.backend(v6),
            v6,
        }
    }
}
