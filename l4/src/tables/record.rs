//! From the plan to the program's records: what one service and one backend look like in the tables.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use control::{
    plan::{Duty, MemberPlan, PoolPlan, ServicePlan},
    spec::{
        Balance, Forward, KernelSpec, L4Spec, NatSource, ServiceKind, ServiceSpec, SynCookies,
        TunnelKind,
    },
    time::Instant,
};
use xdp::abi::{
    Addr6, Backend, Encap, FlowState, Method, Scheduler, Service, Tick, backend_flags,
    service_flags,
};

use super::{Surroundings, place::words};

/// The kernel's part of a service's spec; none if it is not the kernel's.
#[must_use]
pub(crate) fn kernel_of(plan: &ServicePlan) -> Option<&KernelSpec> {
    match &plan.spec.kind {
        ServiceKind::Kernel(kernel) => Some(kernel),
        _ => None,
    }
}

/// The scheduler for a way of balancing. What the kernel has no scheduler for is not admitted.
#[must_use]
pub(crate) fn scheduler(balance: &Balance) -> Scheduler {
    match balance {
        Balance::RoundRobin | Balance::WeightedRoundRobin | Balance::Random => Scheduler::Ring,
        Balance::LeastConnections => Scheduler::Lc,
        Balance::WeightedLeastConnections | Balance::LeastTime => Scheduler::Wlc,
        Balance::ShortestExpectedDelay => Scheduler::Sed,
        Balance::NeverQueue => Scheduler::Nq,
        Balance::LeastOfTwo => Scheduler::Twos,
        Balance::First | Balance::Failover => Scheduler::Fo,
        Balance::Hash(_) => Scheduler::SourceHash,
        Balance::Maglev(_) => Scheduler::Maglev,
        Balance::DestinationHash => Scheduler::DestinationHash,
        Balance::LocalityLeastConnections => Scheduler::Lblc,
        Balance::ReplicatedLocality => Scheduler::Lblcr,
        Balance::Overflow => Scheduler::Ovf,
    }
}

/// A service's record, without its lists.
pub(super) fn service(
    spec: &ServiceSpec,
    kernel: &KernelSpec,
    pool: &PoolPlan,
    around: &dyn Surroundings,
) -> Service {
    // Whether anything is traced at all is a setting.
    let mut flags = service_flags::PRESENT;
    let mut set = |flag: u32, on: bool| flags |= if on { flag } else { 0 };
    set(service_flags::PERSISTENT, kernel.persistence.is_some());
    set(service_flags::ONE_PACKET, kernel.one_packet);
    set(service_flags::SLOPPY, kernel.sloppy);
    set(service_flags::HASH_PORT, kernel.hash_port);
    set(service_flags::FALLBACK, kernel.fallback);
    set(service_flags::EXPIRE_QUIESCENT, kernel.expire_quiescent);
    set(service_flags::QUIC_LB, kernel.quic_lb.is_some());
    // What is this machine's own cannot be spliced: its stack is behind us, and answers past us.
    let mut at = pool.members.iter().map(|m| m.address().ip());
    let cookies = kernel.syn_cookies != SynCookies::Off && !at.any(|ip| around.is_local(ip));
    set(service_flags::SYN_COOKIES, cookies);
    set(
        service_flags::COOKIES_AUTO,
        cookies && kernel.syn_cookies == SynCookies::Auto,
    );
    let (source, sources) = sources(spec, kernel, pool, around);
    set(service_flags::FULL_NAT, sources > 0);
    let seconds =
        |d: std::time::Duration| Tick::in_seconds(u32::try_from(d.as_secs()).unwrap_or(u32::MAX));
    Service {
        flags,
        scheduler: scheduler(&pool.spec.balance) as u8,
        mss: kernel.mss.unwrap_or(0),
        persistence: kernel.persistence.map_or(0, |p| seconds(p.timeout)),
        timeout: kernel.udp_timeout.map_or(0, |d| seconds(d).max(1)),
        mask: mask(spec, kernel),
        source,
        sources,
        ..Service::default()
    }
}

/// What of a client's address tells clients apart. Of a service of both families (tunnels alone), the IPv4 mask
/// counts for the first 32 bits of IPv6 addresses too.
fn mask(spec: &ServiceSpec, kernel: &KernelSpec) -> Addr6 {
    let Some(persistence) = kernel.persistence else {
        return Addr6::default();
    };
    let v6 = u128::MAX
        .checked_shl(128 - u32::from(persistence.prefix6.min(128)))
        .unwrap_or(0);
    let mut mask = words(Ipv6Addr::from(v6).into());
    if spec.listen.iter().any(|l| l.address.is_ipv4()) {
        mask.a = words(persistence.mask4.into()).a;
    }
    mask
}

/// The source addresses of full NAT that are listed, of the service's family.
pub(super) fn listed_sources(spec: &ServiceSpec, kernel: &KernelSpec) -> Vec<IpAddr> {
    let (NatSource::Pool(listed), Some(listen)) = (&kernel.source, spec.listen.first()) else {
        return Vec::new();
    };
    let of_family = |ip: &&IpAddr| ip.is_ipv4() == listen.address.is_ipv4();
    listed.iter().filter(of_family).copied().collect()
}

/// The first source address of full NAT and how many there are.
fn sources(
    spec: &ServiceSpec,
    kernel: &KernelSpec,
    pool: &PoolPlan,
    around: &dyn Surroundings,
) -> (Addr6, u32) {
    let NatSource::Pool(listed) = &kernel.source else {
        return (Addr6::default(), 0);
    };
    let mut ours = listed_sources(spec, kernel);
    if listed.is_empty() {
        let mut towards = pool.members.iter().map(|m| m.address().ip());
        ours.extend(towards.find_map(|ip| around.source_towards(ip)));
    }
    ours.sort_unstable();
    match ours.first() {
        Some(first) => (words(*first), ours.len() as u32),
        None => (Addr6::default(), 0),
    }
}

/// What a member's slot is to hold; its weight may be another than the plan's for the time being.
pub(super) fn backend(
    service: u32,
    kernel: &KernelSpec,
    member: &MemberPlan,
    (now, weight): (Instant, u32),
    around: &dyn Surroundings,
) -> Backend {
    let address = member.address();
    let mut flags = backend_flags::PRESENT;
    let mut set = |flag: u32, on: bool| flags |= if on { flag } else { 0 };
    let tunnel = member.kernel.tunnel.unwrap_or(kernel.tunnel);
    let method = match member.kernel.forward.unwrap_or(kernel.forward) {
        _ if around.is_local(address.ip()) => Method::Local,
        Forward::Nat | Forward::Proxy => Method::Nat,
        Forward::Direct => Method::Direct,
        Forward::Tunnel => Method::Tunnel,
    };
    set(backend_flags::TAKES, member.duty == Duty::Take);
    set(backend_flags::V6, address.is_ipv6());
    set(backend_flags::TUNNEL_CHECKSUM, tunnel.checksum);
    // What still drains at the end of its time is cut: its flows end at their next packet.
    let is_over = matches!(member.duty, Duty::Finish { until: Some(until) } if until <= now);
    set(backend_flags::REMOVED | backend_flags::EXPIRE, is_over);
    Backend {
        flags,
        weight,
        address: words(address.ip()),
        port: address.port().to_be(),
        tunnel_port: tunnel.port.to_be(),
        method: method as u8,
        encap: encap(tunnel.kind) as u8,
        path_mtu: 0,
        upper: member.max_connections.unwrap_or(0),
        lower: member.kernel.resume_below.unwrap_or(0),
        service,
    }
}

fn encap(kind: TunnelKind) -> Encap {
    match kind {
        TunnelKind::IpIp => Encap::IpIp,
        TunnelKind::Gue => Encap::Gue,
        TunnelKind::Gre => Encap::Gre,
    }
}

/// Where a backend's record says that it listens.
#[must_use]
pub(crate) fn address_of(record: &Backend) -> SocketAddr {
    let v6 = record.flags & backend_flags::V6 != 0;
    let ip = super::place::ip_of_words(record.address, v6);
    SocketAddr::new(ip, u16::from_be(record.port))
}

/// Timeouts by state, ticks.
pub(crate) fn timeouts(spec: &L4Spec) -> [u32; FlowState::COUNT] {
    let t = &spec.timeouts;
    let of = |state: u8| match FlowState::of(state) {
        FlowState::None => t.none,
        FlowState::Established => t.tcp,
        FlowState::SynSent => t.syn_sent,
        FlowState::SynRecv => t.syn_recv,
        FlowState::FinWait => t.tcp_fin,
        FlowState::TimeWait => t.time_wait,
        FlowState::Close => t.close,
        FlowState::CloseWait => t.close_wait,
        FlowState::LastAck => t.last_ack,
        FlowState::Listen => t.listen,
        FlowState::SynAck => t.synack,
        FlowState::Udp => t.udp,
        FlowState::Sctp => t.sctp,
    };
    std::array::from_fn(|state| {
        let nanos = u64::try_from(of(state as u8).as_nanos()).unwrap_or(u64::MAX);
        let tick = 1_u64 << Tick::SHIFT;
        u32::try_from(nanos.div_ceil(tick))
            .unwrap_or(u32::MAX / 2)
            .max(1)
    })
}
