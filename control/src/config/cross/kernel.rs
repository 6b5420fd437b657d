//! What services that the kernel forwards ask of their pools.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{
    config::{
        diagnostic::{Problem, Span},
        section::{
            backend::{BackendPlaces, shown},
            pool::PlacedPool,
            service::PlacedService,
        },
        walk::Cx,
    },
    spec::{
        BackendSpec, Balance, Forward, HashKey, KernelSpec, NatSource, ProbeKind, ServerId,
        SynCookies,
    },
};

/// Who uses a pool.
#[derive(Default)]
pub(super) struct Uses<'a> {
    /// Services that the kernel forwards.
    pub(super) kernel: Vec<&'a KernelSpec>,
    /// How many that are carried in user space.
    pub(super) user_space: usize,
}

/// A service that the kernel forwards and its pool; `span` is where the service names it.
pub(super) fn service_and_pool(
    service: &PlacedService,
    spec: &KernelSpec,
    pool: &PlacedPool,
    span: Span,
    cx: &mut Cx<'_>,
) {
    let listens = &service.spec.listen;
    let first = listens.first().filter(|first| first.is_single());
    let port = first.map(|first| first.address.port());
    let pair = Pair {
        service,
        spec,
        pool,
        span,
        port: port.filter(|port| listens.iter().all(|l| l.ports() == (*port..=*port))),
        on_v4: listens.iter().any(|listen| listen.address.is_ipv4()),
        on_v6: listens.iter().any(|listen| listen.address.is_ipv6()),
    };
    pair.algorithm(cx);
    pair.families_of_listeners(cx);
    for (backend, places) in pool.spec.backends.iter().zip(&pool.backends) {
        // Ten thousand backends may be wrong in the same way, for each of a thousand services.
        if cx.report.is_full() {
            break;
        }
        pair.backend(backend, places, cx);
    }
    pair.server_ids(cx);
}

struct Pair<'a> {
    service: &'a PlacedService,
    spec: &'a KernelSpec,
    pool: &'a PlacedPool,
    /// Where the service names the pool.
    span: Span,
    /// The service's port, if it has one alone.
    port: Option<u16>,
    /// Whether it listens on IPv4.
    on_v4: bool,
    /// Whether it listens on IPv6.
    on_v6: bool,
}

impl Pair<'_> {
    fn algorithm(&self, cx: &mut Cx<'_>) {
        let balance = &self.pool.spec.balance;
        let instead = match balance {
            Balance::Random => "write \"wrr\", or \"twos\"",
            Balance::First => "write \"fo\": the heaviest that is not full",
            Balance::LeastTime => "write \"wlc\", or \"sed\"",
            Balance::Hash(HashKey::SourceNet { .. })
            | Balance::Maglev(HashKey::SourceNet { .. }) => {
                "write \"source\"; clients of one network stay together by persistence = { mask = 24 }"
            }
            // Of keys of HTTP requests it was said that the service does not see them.
            _ => "",
        };
        if !instead.is_empty() {
            let message = format!(
                "the kernel does not balance so, and it forwards service \"{}\"",
                self.service.spec.name
            );
            let at = self.pool.places.balance;
            let problem = Problem::error(at, message).related(self.span, "used here");
            cx.push(problem.help(instead));
        }
        let is_hash = matches!(balance, Balance::Hash(_) | Balance::Maglev(_));
        for (field, key, given) in [
            ("hash_port", "hash-port", self.spec.hash_port),
            ("fallback", "fallback", self.spec.fallback),
        ] {
            let place = self.service.given.place(field);
            if let Some(place) = place.filter(|_| given && !is_hash) {
                let message = format!("`{key}` is for the algorithms sh and mh only");
                let problem = Problem::error(place, message)
                    .related(self.pool.places.balance, "this pool balances otherwise");
                cx.push(problem.help(format!("leave `{key}` out, or write balance = \"mh\"")));
            }
        }
    }

    /// One family, unless a tunnel can carry the other to every backend.
    fn families_of_listeners(&self, cx: &mut Cx<'_>) {
        let mut listens = self.service.spec.listen.iter().zip(&self.service.listen);
        let Some((first, first_at)) = listens.next() else {
            return;
        };
        let other = listens.find(|(l, _)| l.address.is_ipv4() != first.address.is_ipv4());
        let backends = self.pool.spec.backends.iter();
        let mut forwards = backends.map(|backend| self.forward(backend));
        let (Some((_, at)), Some(forward)) =
            (other, forwards.find(|forward| *forward != Forward::Tunnel))
        else {
            return;
        };
        let message = format!(
            "service \"{}\" listens on both families, and forward = \"{forward}\" keeps the client's",
            self.service.spec.name
        );
        let problem = Problem::error(*at, message).related(*first_at, "the first");
        cx.push(problem.help("make it two services, each with a pool of its family"));
    }

    fn forward(&self, backend: &BackendSpec) -> Forward {
        backend.forward.unwrap_or(self.spec.forward)
    }

    fn backend(&self, backend: &BackendSpec, places: &BackendPlaces, cx: &mut Cx<'_>) {
        let forward = self.forward(backend);
        match forward {
            Forward::Direct | Forward::Tunnel => self.same_port(backend, places, cx),
            Forward::Nat | Forward::Proxy => {}
        }
        if forward != Forward::Tunnel {
            self.same_family(backend, places, cx);
        }
        if let Some(at) = places.tunnel.filter(|_| forward != Forward::Tunnel) {
            let message =
                format!("`tunnel` says nothing of a backend with forward = \"{forward}\"");
            let problem = Problem::error(at, message).related(self.span, "used here");
            cx.push(problem.help("leave `tunnel` out, or write forward = \"tunnel\""));
        }
        if let Some(at) = places
            .forward
            .filter(|_| self.spec.syn_cookies != SynCookies::Off && forward != Forward::Nat)
        {
            let problem = Problem::error(at, "`syn-cookies` are for nat only")
                .related(self.span, "used by a service that has them");
            cx.push(problem.help("leave `forward` out, or `syn-cookies` in the service"));
        }
        if forward == Forward::Nat {
            self.has_source(backend, places, cx);
        }
    }

    /// Without translation, the port that a client asks for is the one that a backend sees.
    fn same_port(&self, backend: &BackendSpec, places: &BackendPlaces, cx: &mut Cx<'_>) {
        let port = backend.address.port();
        if port == 0 || self.port == Some(port) {
            return;
        }
        let (name, forward) = (&self.service.spec.name, self.forward(backend));
        let message = format!(
            "port {port} is not what clients of service \"{name}\" ask for, and forward = \"{forward}\" cannot change it"
        );
        let problem = Problem::error(places.address, message).related(self.span, "used here");
        let bare = backend.address.ip();
        cx.push(problem.help(match self.port {
            Some(port) => {
                let same = SocketAddr::new(bare, port);
                format!("write \"{same}\", or leave the port out: \"{bare}\"")
            }
            None => format!("leave the port out: \"{bare}\""),
        }));
    }

    fn same_family(&self, backend: &BackendSpec, places: &BackendPlaces, cx: &mut Cx<'_>) {
        let v4 = backend.address.is_ipv4();
        // That the service listens on both was complained of.
        if (v4 && self.on_v4) || (!v4 && self.on_v6) {
            return;
        }
        let (name, forward) = (&self.service.spec.name, self.forward(backend));
        let (ours, theirs) = if v4 {
            ("IPv4", "IPv6")
        } else {
            ("IPv6", "IPv4")
        };
        let message = format!(
            "an {ours} backend of service \"{name}\", which listens on {theirs}: forward = \"{forward}\" cannot change the family"
        );
        let problem = Problem::error(places.address, message).related(self.span, "used here");
        cx.push(problem.help(format!(
            "write the backend's {theirs} address, or forward = \"tunnel\""
        )));
    }

    /// An address to send from, of the backend's family.
    fn has_source(&self, backend: &BackendSpec, places: &BackendPlaces, cx: &mut Cx<'_>) {
        let NatSource::Pool(sources) = &self.spec.source else {
            return;
        };
        let is_v4 = backend.address.is_ipv4();
        if sources.is_empty() || sources.iter().any(|ip| ip.is_ipv4() == is_v4) {
            return;
        }
        let at = self.service.given.place("source").unwrap_or(self.span);
        let at_backend = places.address;
        let family = if is_v4 { "IPv4" } else { "IPv6" };
        let message =
            format!("`source` has no {family} address to reach this pool's backends from");
        let problem = Problem::error(at, message).related(at_backend, "this backend");
        cx.push(problem.help(format!(
            "add {family} addresses of this node, or write \"pool\""
        )));
    }

    fn server_ids(&self, cx: &mut Cx<'_>) {
        let Some(quic_lb) = &self.spec.quic_lb else {
            return;
        };
        let at = self.service.given.place("quic_lb").unwrap_or(self.span);
        let wanted = usize::from(quic_lb.server_id_length());
        let backends = self.pool.spec.backends.iter().zip(&self.pool.backends);
        let mut named = 0;
        for (backend, places) in backends {
            let Some(id) = backend.server_id else {
                continue;
            };
            named += 1;
            let length = id.as_bytes().len();
            if let Some(place) = places.server_id.filter(|_| length != wanted) {
                let message = format!("the server id has {length} bytes, `quic-lb` says {wanted}");
                cx.push(Problem::error(place, message).related(at, "here"));
            }
        }
        let all = self.pool.spec.backends.len();
        if named < all {
            let message = format!(
                "{} of {all} backends of pool \"{}\" have no server id: connection IDs cannot name them",
                all - named,
                self.pool.spec.name
            );
            let problem = Problem::warning(at, message).related(self.span, "this pool");
            cx.push(problem.help("write server-id = \"…\" at each backend"));
        }
    }
}

/// What a pool says that those who use it make nothing of.
pub(super) fn pool(pool: &PlacedPool, uses: &Uses<'_>, cx: &mut Cx<'_>) {
    unique_server_ids(pool, cx);
    portless_checks(pool, cx);
    let name = &pool.spec.name;
    if uses.kernel.is_empty() {
        for places in &pool.backends {
            for (key, place) in [
                ("forward", places.forward),
                ("tunnel", places.tunnel),
                ("resume-below", places.resume_below),
                ("server-id", places.server_id),
            ] {
                if let Some(place) = place {
                    let message = format!(
                        "`{key}` is for services that the kernel forwards, and none of them uses pool \"{name}\""
                    );
                    let problem = Problem::error(place, message);
                    cx.push(problem.help(format!("leave `{key}` out")));
                }
            }
        }
        return;
    }
    if let Some(place) = pool.places.proxy_protocol {
        let message = "a client's address travels in PROXY protocol only in user space, and the kernel forwards services to this pool";
        let problem = Problem::error(place, message);
        cx.push(problem.help("leave `proxy-protocol` out, or write forward = \"proxy\""));
    }
    if uses.user_space > 0 {
        return;
    }
    for (key, place, what) in [
        ("queue", pool.places.queue, "packets do not wait"),
        (
            "connect",
            pool.places
                .connect
                .filter(|_| pool.places.proxy_protocol.is_none()),
            "clients connect to the backends themselves",
        ),
        (
            "passive",
            pool.places.passive.filter(|_| {
                pool.spec.passive.consecutive.is_some() || pool.spec.passive.error_rate.is_some()
            }),
            "it does not see whether a request failed",
        ),
    ] {
        if let Some(place) = place {
            let message = format!(
                "`{key}` says nothing here: the kernel forwards all that goes to pool \"{name}\", and {what}"
            );
            cx.push(Problem::error(place, message).help(format!("leave `{key}` out")));
        }
    }
}

fn unique_server_ids(pool: &PlacedPool, cx: &mut Cx<'_>) {
    let mut seen: BTreeMap<ServerId, Span> = BTreeMap::new();
    for (backend, places) in pool.spec.backends.iter().zip(&pool.backends) {
        let (Some(id), Some(at)) = (backend.server_id, places.server_id) else {
            continue;
        };
        if let Some(first) = seen.get(&id) {
            let message = format!("the server id {id} names two backends");
            cx.push(Problem::error(at, message).related(*first, "the first"));
        } else {
            let _ = seen.insert(id, at);
        }
    }
}

/// A check of a backend that leaves its port to the client has one of its own.
fn portless_checks(pool: &PlacedPool, cx: &mut Cx<'_>) {
    let needs_port = |probe: &ProbeKind| !matches!(probe, ProbeKind::Exec(_));
    let mut checks = pool.spec.checks.iter();
    let (Some(place), true) = (
        pool.places.check,
        checks.any(|check| check.port.is_none() && needs_port(&check.probe)),
    ) else {
        return;
    };
    let mut backends = pool.spec.backends.iter().zip(&pool.backends);
    let portless = backends
        .find(|(backend, _)| backend.address.port() == 0 && backend.check_address.is_none());
    if let Some((backend, places)) = portless {
        let message = format!(
            "backend {} has no port, and the check does not say which to ask",
            shown(backend.address)
        );
        let problem = Problem::error(place, message).related(places.address, "this backend");
        cx.push(problem.help("write port = 80 in the check, with the port you mean"));
    }
}
