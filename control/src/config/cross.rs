//! What no section can tell alone: names that must be there and be unique, addresses that must not clash.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use super::{
    diagnostic::{Problem, Span},
    limits,
    section::{pool::PlacedPool, service::PlacedService},
    walk::{At, Cx, quote},
};
use crate::{
    name::Name,
    route::Router,
    spec::{AdminListen, Balance, Listen, Scheme, ServiceKind},
};

/// Where the admin API and the metrics listen.
pub(super) struct OwnListeners {
    pub(super) admin: Option<(SocketAddr, Span)>,
    pub(super) metrics: Option<(SocketAddr, Span)>,
}

impl OwnListeners {
    pub(super) fn of(listen: &AdminListen, at: Span, metrics: Option<&At<SocketAddr>>) -> Self {
        Self {
            admin: match listen {
                AdminListen::Tcp { address, .. } => Some((*address, at)),
                AdminListen::Unix { .. } => None,
            },
            metrics: metrics.map(|at| (at.value, at.span)),
        }
    }
}

/// Every pool that a service names is there, and every pool is named; hash keys are of what the service sees.
/// `declared` are the names of all pools of the text, also of those that could not be read.
pub(super) fn pools(
    services: &[PlacedService],
    pools: &[PlacedPool],
    declared: &BTreeSet<String>,
    cx: &mut Cx<'_>,
) {
    let by_name: BTreeMap<&Name, &PlacedPool> = pools.iter().map(|p| (&p.spec.name, p)).collect();
    let mut used = BTreeSet::new();
    for service in services {
        for (name, span) in &service.pools {
            let _ = used.insert(name);
            if !declared.contains(name.as_str()) {
                missing_pool(name, *span, declared, cx);
            }
            if let Some(pool) = by_name.get(name) {
                hash_key(service, pool, *span, cx);
            }
        }
    }
    for pool in pools.iter().filter(|pool| !used.contains(&pool.spec.name)) {
        let message = format!("no service uses pool \"{}\"", pool.spec.name);
        cx.push(Problem::warning(pool.places.name, message));
    }
}

fn missing_pool(name: &Name, span: Span, declared: &BTreeSet<String>, cx: &mut Cx<'_>) {
    let mut problem = Problem::error(span, format!("there is no pool \"{name}\""));
    if !cx.report.is_full() {
        let meant = super::suggest::nearest(name.as_str(), declared.iter().map(|s| &**s));
        problem = problem.help(match meant {
            Some(meant) => format!("did you mean \"{}\"?", quote(meant)),
            None => format!("write [[pool]] with name = \"{name}\" and its backends"),
        });
    }
    cx.push(problem);
}

fn hash_key(service: &PlacedService, pool: &PlacedPool, span: Span, cx: &mut Cx<'_>) {
    let (Balance::Hash(key) | Balance::Maglev(key)) = &pool.spec.balance else {
        return;
    };
    if matches!(service.spec.kind, ServiceKind::Http(_)) || key.is_of_connection() {
        return;
    }
    let message = format!(
        "pool \"{}\" balances by what HTTP requests say, which service \"{}\" does not see",
        pool.spec.name, service.spec.name
    );
    let problem = Problem::error(span, message).related(pool.places.name, "this pool");
    cx.push(problem.help("balance that pool by \"source\", or make the service listen for http"));
}

/// Routes compile, and something is left to each by those before it.
pub(super) fn routes(services: &[PlacedService], cx: &mut Cx<'_>) {
    for service in services {
        let ServiceKind::Http(http) = &service.spec.kind else {
            continue;
        };
        let place = |route: usize| service.routes.get(route).copied().unwrap_or_default();
        let router = match Router::new(&http.routes) {
            Ok(router) => router,
            Err(bad) => {
                let message = format!("not a regular expression: {}", quote(&bad.to_string()));
                cx.push(Problem::error(place(bad.route), message));
                continue;
            }
        };
        if http.routes.len() > limits::ROUTES_COMPARED {
            continue;
        }
        for shadowed in router.shadowed(&http.routes) {
            let problem = Problem::warning(
                place(shadowed.route),
                "nothing is left to this route: an earlier one takes all that it would",
            );
            cx.push(
                problem
                    .related(place(shadowed.by), "this one")
                    .help("put the narrower route first"),
            );
        }
    }
}

/// No two listen where the other does: on one address, or on all addresses of its family and on one of them.
pub(super) fn listeners(services: &[PlacedService], own: &OwnListeners, cx: &mut Cx<'_>) {
    let mut taken = Taken::default();
    for service in services {
        for (listen, span) in service.spec.listen.iter().zip(&service.listen) {
            // Port 0 is any free port, a new one for each.
            if listen.address.port() == 0 {
                continue;
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
