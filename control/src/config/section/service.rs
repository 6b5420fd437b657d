//! `[[service]]`: where traffic enters.

use ipnet::IpNet;

use super::{
    admin::TlsKeys,
    http::{ForwardedKeys, LimitKeys, RetryKeys, TimeoutKeys, networks},
    kernel::{self, Cookies, LONGEST, Persistence, QuicLbKeys, Source, Tunnel},
    log::{AccessLog, access_log},
    route::{self, PlacedRoute, RouteKeys},
};
use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{
            http::HeaderName,
            many::{Either, List, Off, OneOrMany},
            number::{Int, Time},
            words::words,
        },
        kind::section,
        limits,
        walk::{At, Cx, Given, too_many, unique},
    },
    name::Name,
    spec::{
        AccessLogSpec, Forward, HttpSpec, KernelSpec, Listen, RouteSpec, Scheme, ServiceKind,
        ServiceSpec,
        http::RetrySpec,
        service::{TcpSpec, UdpSpec},
    },
};

section! {
    /// Where traffic enters, and where it goes. What it listens for (`tcp`, `udp`, `http`) decides which keys it has, and whether the kernel forwards it (`nat`, `direct`, `tunnel`).
    pub(in crate::config) struct ServiceKeys = "[[service]]" {
        /// The service's name.
        name: Name, required;
        /// Where it listens, one or several of one protocol: `http://0.0.0.0:80`, `tcp://[::]:25`, `udp://0.0.0.0:53`. The kernel forwards `sctp` too, and several ports: `tcp://192.0.2.1:8000-8100`, all with `tcp://192.0.2.1:*`.
        listen: OneOrMany<Listen>, required;
        /// How traffic reaches backends.
        forward: Forward, default "\"proxy\"";
        /// The pool that all of it goes to.
        pool: Name, absent "HTTP: where `routes` lead";
        /// Routes; the first that matches takes the request, 404 if none does.
        routes: List<RouteKeys>, absent "one that takes everything to `pool`", only "http";
        /// Certificates of an `https` service, the first being the default.
        tls: List<TlsKeys>, absent "none", only "http";
        /// What each phase of a request may take.
        timeouts: TimeoutKeys, default "{}", only "http";
        /// How large a request may be.
        limits: LimitKeys, default "{}", only "http";
        /// What backends are told of the client.
        forwarded: ForwardedKeys, default "{}", only "http";
        /// When a request is tried again; `false`: never.
        retry: Either<RetryKeys, Off>, default "{}", only "http";
        /// The name of a header that carries an id for each request: kept if it comes from `forwarded.trust`, else made anew.
        request_id: HeaderName, absent "no id", only "http";
        /// A connection or flow ends when neither side has sent anything for this long.
        idle_timeout: Time<1, { limits::DAY }>, absent "tcp: 1h, udp: 30s", only "tcp" "udp";
        /// How long the other direction may go on after one side has finished sending.
        half_close_timeout: Time<1, { limits::DAY }>, default "\"1min\"", only "tcp";
        /// How many further backends are tried when a connection cannot be made.
        connect_retries: Int<0, 100>, default "2", only "tcp";
        /// A flow ends after this many answers (DNS: 1).
        responses: Int<1, 1_000_000>, absent "only by time", only "udp";
        /// The most flows at a time over all workers; past it the longest idle one gives way.
        max_flows: Int<1, 10_000_000>, default "65536", only "udp";
        /// Who may say, by a PROXY protocol header, whom a connection really comes from.
        accept_proxy_protocol: OneOrMany<IpNet>, absent "nobody", only "tcp" "http";
        /// The most client connections at a time over all workers.
        max_connections: Int<1, 4_294_967_295>, absent "no limit of its own", only "tcp" "http";
        /// Where requests or connections are logged; `false`: nowhere.
        access_log: AccessLog, absent "as `[log]` says", only "tcp" "udp" "http";
        /// A client goes where it went before, at whatever address and port of the service: for how long, or a table.
        persistence: Persistence, absent "each connection is scheduled by itself", only "nat" "direct" "tunnel";
        /// The hash of `sh` and `mh` takes the client's port too.
        hash_port: bool, default "false", only "nat" "direct" "tunnel";
        /// Where `sh` or `mh` lead to a backend that takes nothing, they try further.
        fallback: bool, default "false", only "nat" "direct" "tunnel";
        /// Each packet of UDP is scheduled by itself.
        one_packet: bool, default "false", only "nat" "direct" "tunnel";
        /// A packet of TCP or SCTP that opens no connection may begin a flow too: after a node took over without its flows.
        sloppy: bool, default "false", only "nat" "direct" "tunnel";
        /// Whom backends see: `"client"`, and they must route their answers through this node; or an address of this node and a port of `source-ports` in `[l4]`: `"pool"` takes the node's own address, a list those that follow one another in it.
        source: Source, default "\"client\"", only "nat";
        /// What goes around packets.
        tunnel: Tunnel, default "\"ipip\"", only "tunnel";
        /// The most that the MSS of a TCP connection may be, bytes: what fits into the tunnel.
        mss: Int<536, 65_495>, absent "it is left alone", only "nat" "direct" "tunnel";
        /// SYNs of TCP are answered with cookies for the backend, which sees a connection only when the client has acknowledged that: `true`, or `"auto"` for while an eighth of `max-handshakes` are open.
        syn_cookies: Cookies, default "false", only "nat";
        /// Connection IDs of QUIC that name the backend; several with different rotation ids.
        quic_lb: OneOrMany<QuicLbKeys>, absent "they are not looked at", only "nat" "direct" "tunnel";
        /// How long an idle flow of UDP is remembered.
        udp_timeout: Time<1000, LONGEST>, absent "as `timeouts` in `[l4]` says", only "nat" "direct" "tunnel";
        /// Flows of a backend that was removed end at their next packet; without it, their packets are dropped until it is back.
        expire_removed: bool, default "false", only "nat" "direct" "tunnel";
        /// What persistence remembers is forgotten once the backend takes no new work.
        expire_quiescent: bool, default "false", only "nat" "direct" "tunnel";
    }
}

words!(Forward {
    "proxy" => Forward::Proxy, "carried in user space";
    "nat" => Forward::Nat, "address translation in the kernel, both ways through this node";
    "direct" => Forward::Direct, "direct routing in the kernel: only the MAC address changes";
    "tunnel" => Forward::Tunnel, "encapsulation in the kernel";
});

/// A service, and where what it names stands.
pub(in crate::config) struct PlacedService {
    pub(in crate::config) spec: ServiceSpec,
    pub(in crate::config) listen: Vec<Span>,
    /// The pools it names.
    pub(in crate::config) pools: Vec<(Name, Span)>,
    /// Where its routes stand; empty if it has none of its own.
    pub(in crate::config) routes: Vec<Span>,
    /// The keys that it has.
    pub(in crate::config) given: Given,
}

impl ServiceKeys {
    pub(in crate::config) fn admit(
        self,
        log: Option<&AccessLogSpec>,
        cx: &mut Cx<'_>,
    ) -> Option<PlacedService> {
        let scheme = self.scheme(cx)?;
        let form = match scheme {
            Scheme::Tcp => "tcp",
            Scheme::Udp => "udp",
            Scheme::Sctp => "sctp",
            Scheme::Http | Scheme::Https => "http",
        };
        self.check_form(scheme, form, cx);
        let given = self.given.clone();
        let name = self.name.clone();
        let listen = self.listen.value.0.clone();
        let access_log = match &self.access_log {
            Some(given) => access_log(given.value.clone()),
            None if self.is_kernel(form) => None,
            None => log.cloned(),
        };
        let accept_proxy_protocol = self
            .accept_proxy_protocol
            .clone()
            .map_or(Vec::new(), |nets| networks(nets, cx));
        let max_connections = self.max_connections.as_ref().map(|n| n.to());
        let carried = self.carried(form, cx)?;
        Some(PlacedService {
            listen: listen.iter().map(|at| at.span).collect(),
            pools: carried.pools,
            routes: carried.routes,
            given,
            spec: ServiceSpec {
                name: name.value,
                listen: listen.into_iter().map(|at| at.value).collect(),
                kind: carried.kind,
                accept_proxy_protocol,
                max_connections,
                access_log,
            },
        })
    }

    /// The one protocol that it listens for.
    fn scheme(&self, cx: &mut Cx<'_>) -> Option<Scheme> {
        let listens = &self.listen.value.0;
        let _ = too_many(
            listens.len(),
            limits::LISTENS,
            "addresses",
            self.listen.key,
            cx,
        );
        unique(listens, "the address", |listen| format!("\"{listen}\""), cx);
        let first = listens.first()?;
        if let Some(other) = listens.iter().find(|at| at.scheme != first.scheme) {
            let message = format!(
                "a service listens for one protocol, this one for {} and {}",
                first.scheme, other.scheme
            );
            let problem = Problem::error(other.span, message).related(first.span, "the first");
            cx.push(problem.help("make it two services, which may share a pool"));
            return None;
        }
        Some(first.scheme)
    }

    fn carried(self, form: &str, cx: &mut Cx<'_>) -> Option<Carried> {
        if form == "http" {
            return self.http(cx);
        }
        let Some(pool) = self.pool else {
            if cx.is_toml && !self.given.has("pool") {
                let problem = Problem::error(self.span, "`pool` is missing in [[service]]");
                cx.push(problem.help("write pool = \"NAME\""));
            }
            return None;
        };
        let pools = vec![(pool.value.clone(), pool.span)];
        let idle = self.idle_timeout.map(|at| at.0);
        let kind = if *self.forward != Forward::Proxy {
            ServiceKind::Kernel(Box::new(KernelSpec {
                hash_port: *self.hash_port,
                fallback: *self.fallback,
                persistence: self.persistence.map(|at| kernel::persistence(at.value)),
                one_packet: *self.one_packet,
                sloppy: *self.sloppy,
                source: kernel::source(self.source, cx),
                tunnel: kernel::tunnel(self.tunnel.value, cx),
                mss: self.mss.map(|n| n.to()),
                syn_cookies: kernel::syn_cookies(&self.syn_cookies),
                quic_lb: self.quic_lb.map(|at| kernel::quic_lb(at, cx)),
                udp_timeout: self.udp_timeout.map(|at| at.0),
                expire_removed: *self.expire_removed,
                expire_quiescent: *self.expire_quiescent,
                ..KernelSpec::new(*self.forward, pool.value)
            }))
        } else if form == "tcp" {
            let base = TcpSpec::to_pool(pool.value);
            ServiceKind::Tcp(TcpSpec {
                idle_timeout: idle.unwrap_or(base.idle_timeout),
                half_close_timeout: self.half_close_timeout.0,
                connect_retries: self.connect_retries.to(),
                ..base
            })
        } else {
            let base = UdpSpec::to_pool(pool.value);
            ServiceKind::Udp(UdpSpec {
                idle_timeout: idle.unwrap_or(base.idle_timeout),
                responses: self.responses.map(|n| n.to()),
                max_flows: self.max_flows.to(),
                ..base
            })
        };
        Some(Carried {
            kind,
            pools,
            routes: Vec::new(),
        })
    }

    fn http(self, cx: &mut Cx<'_>) -> Option<Carried> {
        let base = RetrySpec::default();
        let retry = match self.retry.value {
            Either::One(keys) => keys.over(&base),
            Either::Other(Off) => RetrySpec {
                attempts: 0,
                ..base
            },
        };
        let routes = match (self.routes, self.pool) {
            (Some(routes), None) => {
                let _ = too_many(routes.0.len(), limits::ROUTES, "routes", routes.key, cx);
                if routes.0.is_empty() {
                    let message = "a service without routes answers everything with 404";
                    cx.push(Problem::warning(routes.key, message));
                }
                route::admit_all(routes.value, &retry, cx)
            }
            (None, Some(pool)) => vec![PlacedRoute {
                spec: RouteSpec::to_pool(pool.value),
                span: pool.key,
                pool: Some(pool.span),
            }],
            (Some(routes), Some(pool)) => {
                let problem = Problem::error(pool.key, "`pool` and `routes` exclude each other")
                    .related(routes.key, "the routes")
                    .help(format!("end the routes with {{ pool = \"{}\" }}", *pool));
                cx.push(problem);
                return None;
            }
            (None, None) => {
                let unread = self.given.has("routes") || self.given.has("pool");
                if cx.is_toml && !unread {
                    let problem =
                        Problem::error(self.span, "the service does not say where requests go");
                    cx.push(problem.help("write pool = \"NAME\" or routes = [ … ]"));
                }
                return None;
            }
        };
        let pools = routes
            .iter()
            .filter_map(|route| Some((route.spec.action.pool()?.clone(), route.pool?)))
            .collect();
        let spans = routes.iter().map(|route| route.span).collect();
        let tls = self.tls.map_or(Vec::new(), |tls| tls.value.0);
        Some(Carried {
            pools,
            routes: spans,
            kind: ServiceKind::Http(Box::new(HttpSpec {
                routes: routes.into_iter().map(|route| route.spec).collect(),
                tls: tls.into_iter().map(|tls| tls.value.admit()).collect(),
                timeouts: self.timeouts.value.admit(),
                limits: self.limits.value.admit(),
                forwarded: self.forwarded.value.admit(cx),
                retry,
                request_id: self.request_id.map(|name| name.value.0),
            })),
        })
    }
}

/// What becomes of a service's traffic, and where that is said.
struct Carried {
    kind: ServiceKind,
    pools: Vec<(Name, Span)>,
    routes: Vec<Span>,
}

/// A name given to two of a kind is complained of; `At` the place of each name.
pub(in crate::config) fn unique_names(names: &[At<Name>], what: &str, cx: &mut Cx<'_>) {
    unique(names, what, |name| format!("\"{name}\""), cx);
}
