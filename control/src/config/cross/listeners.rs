//! Addresses: no two services ask for the same, and none for one of the daemon's own.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use crate::{
    config::{
        diagnostic::{Problem, Span},
        section::service::PlacedService,
        walk::{At, Cx},
    },
    name::Name,
    spec::{AdminListen, Listen, Scheme, ServiceKind},
};

/// Where the admin API and the metrics listen.
pub(in crate::config) struct OwnListeners {
    pub(in crate::config) admin: Option<(SocketAddr, Span)>,
    pub(in crate::config) metrics: Option<(SocketAddr, Span)>,
}

impl OwnListeners {
    pub(in crate::config) fn of(
        listen: &AdminListen,
        at: Span,
        metrics: Option<&At<SocketAddr>>,
    ) -> Self {
        Self {
            admin: match listen {
                AdminListen::Tcp { address, .. } => Some((*address, at)),
                AdminListen::Unix { .. } => None,
            },
            metrics: metrics.map(|at| (at.value, at.span)),
        }
    }
}

/// No two listen where the other does: on one address, or on all addresses of its family and on one of them.
pub(in crate::config) fn listeners(
    services: &[PlacedService],
    own: &OwnListeners,
    cx: &mut Cx<'_>,
) {
    let mut taken = Taken::default();
    let claimed = in_the_kernel(services, own, cx);
    for service in services.iter().filter(|service| !is_kernel(service)) {
        for (listen, span) in service.spec.listen.iter().zip(&service.listen) {
            // Port 0 is any free port, a new one for each; several were complained of, and so was what only the kernel
            // listens for.
            let refused = !listen.is_single() || listen.scheme == Scheme::Sctp;
            if refused || listen.address.port() == 0 {
                continue;
            }
            if let Some(claim) = claimed.of(*listen) {
                let message = format!(
                    "the kernel takes what arrives here for service \"{}\", which listens on {}",
                    claim.service, claim.listen
                );
                let problem = Problem::error(*span, message).related(claim.span, "here");
                cx.push(problem.help("listen on another address or port"));
            }
            if let Some((first, address, place)) = taken.take(*listen, &service.spec.name, *span)
                // The same address twice in one service was complained of.
                && (*first != service.spec.name || address != listen.address)
            {
                let message = format!("service \"{first}\" listens on {address} already");
                cx.push(Problem::error(*span, message).related(place, "here"));
            }
            for (name, own) in [
                ("the admin API is", own.admin),
                ("metrics are", own.metrics),
            ] {
                clash(listen.scheme, listen.address, *span, name, own, cx);
            }
        }
    }
    if let (Some((admin, at)), Some((metrics, metrics_at))) = (own.admin, own.metrics)
        && overlap(admin, metrics)
    {
        let message = format!("the admin API is served on {admin} already");
        let problem = Problem::error(metrics_at, message).related(at, "here");
        cx.push(problem.help("leave `metrics` out: the admin API serves /metrics too"));
    }
}

fn is_kernel(service: &PlacedService) -> bool {
    matches!(service.spec.kind, ServiceKind::Kernel(_))
}

/// What the kernel takes; complains of what two services claim, or a service and the daemon.
fn in_the_kernel<'a>(
    services: &'a [PlacedService],
    own: &OwnListeners,
    cx: &mut Cx<'_>,
) -> Claimed<'a> {
    let mut claimed = Claimed::default();
    for service in services.iter().filter(|service| is_kernel(service)) {
        for (listen, span) in service.spec.listen.iter().zip(&service.listen) {
            let claim = Claim {
                service: &service.spec.name,
                listen: *listen,
                span: *span,
            };
            if let Some(first) = claimed.claim(claim)
                // The same address twice in one service was complained of.
                && (*first.service != service.spec.name || first.listen != *listen)
            {
                let message = format!(
                    "service \"{}\" listens on {} already",
                    first.service, first.listen
                );
                cx.push(Problem::error(*span, message).related(first.span, "here"));
            }
        }
    }
    for (name, own) in [
        ("the admin API is", own.admin),
        ("metrics are", own.metrics),
    ] {
        if let Some((address, at)) = own
            && let Some(claim) = claimed.of(Listen::new(Scheme::Tcp, address))
        {
            let problem = Problem::error(claim.span, format!("{name} served on {address} already"));
            cx.push(problem.related(at, "here"));
        }
    }
    claimed
}

/// A service that the kernel forwards, one of its addresses, and where that stands.
#[derive(Clone, Copy)]
struct Claim<'a> {
    service: &'a Name,
    listen: Listen,
    span: Span,
}

/// What the kernel takes. One port goes before a range that holds it, and that before all ports of the address, so
/// that only two of a kind are at odds.
#[derive(Default)]
struct Claimed<'a> {
    ports: BTreeMap<(u8, IpAddr, u16), Claim<'a>>,
    /// By their first port; no two overlap.
    ranges: BTreeMap<(u8, IpAddr, u16), Claim<'a>>,
    all: BTreeMap<(u8, IpAddr), Claim<'a>>,
}

impl<'a> Claimed<'a> {
    /// Claims an address, unless somebody has, who is returned.
    fn claim(&mut self, claim: Claim<'a>) -> Option<Claim<'a>> {
        let listen = claim.listen;
        let (protocol, ip) = (listen.scheme.ip_protocol(), listen.address.ip());
        let port = (protocol, ip, listen.address.port());
        let held = if listen.is_all_ports() {
            self.all.get(&(protocol, ip)).copied()
        } else if listen.is_single() {
            self.ports.get(&port).copied()
        } else {
            let last = self.range_from((protocol, ip, listen.last_port));
            last.filter(|other| other.listen.last_port >= listen.address.port())
        };
        if held.is_some() {
            return held;
        }
        let _ = if listen.is_all_ports() {
            self.all.insert((protocol, ip), claim)
        } else if listen.is_single() {
            self.ports.insert(port, claim)
        } else {
            self.ranges.insert(port, claim)
        };
        None
    }

    /// Who gets what is sent to one port.
    fn of(&self, listen: Listen) -> Option<Claim<'a>> {
        let (protocol, ip) = (listen.scheme.ip_protocol(), listen.address.ip());
        let port = (protocol, ip, listen.address.port());
        let range = self.range_from(port);
        let range = range.filter(|range| range.listen.last_port >= listen.address.port());
        let one = self.ports.get(&port).copied();
        one.or(range)
            .or_else(|| self.all.get(&(protocol, ip)).copied())
    }

    /// The range of that address whose first port is the nearest at or below the one given.
    fn range_from(&self, at: (u8, IpAddr, u16)) -> Option<Claim<'a>> {
        let ((protocol, ip, _), range) = self.ranges.range(..=at).next_back()?;
        (*protocol == at.0 && *ip == at.1).then_some(*range)
    }
}

/// Who listens where: a service, its address, and where that stands.
type Listener<'a> = (&'a Name, SocketAddr, Span);

/// The addresses that services listen on.
#[derive(Default)]
struct Taken<'a> {
    exactly: BTreeMap<(bool, SocketAddr), Listener<'a>>,
    /// For each port of each family, one that listens there, on all addresses if one does.
    port: BTreeMap<(bool, u16, bool), Listener<'a>>,
}

impl<'a> Taken<'a> {
    /// Takes an address for `service`, unless somebody has it, who is returned.
    fn take(&mut self, listen: Listen, service: &'a Name, span: Span) -> Option<Listener<'a>> {
        let (udp, address) = (listen.scheme.is_datagram(), listen.address);
        let port = (udp, address.port(), address.is_ipv4());
        if let Some(same) = self.exactly.get(&(udp, address)) {
            return Some(*same);
        }
        let is_all = address.ip().is_unspecified();
        let neighbour = self.port.get(&port).copied();
        if let Some(other) = neighbour.filter(|(_, other, _)| is_all || other.ip().is_unspecified())
        {
            return Some(other);
        }
        let _ = self
            .exactly
            .insert((udp, address), (service, address, span));
        let _ = self.port.entry(port).or_insert((service, address, span));
        None
    }
}

fn clash(
    scheme: Scheme,
    address: SocketAddr,
    span: Span,
    name: &str,
    own: Option<(SocketAddr, Span)>,
    cx: &mut Cx<'_>,
) {
    let Some((own, at)) = own.filter(|(own, _)| !scheme.is_datagram() && overlap(*own, address))
    else {
        return;
    };
    let problem = Problem::error(span, format!("{name} served on {own} already"));
    cx.push(problem.related(at, "here"));
}

/// Whether a packet can be for both: the same port of the same address, or of all addresses of its family.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_family = a.is_ipv4() == b.is_ipv4();
    let meets = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_family && meets
}
