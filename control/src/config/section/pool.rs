//! `[[pool]]`: backends, how one is chosen, how they are checked and connected to.

use std::net::IpAddr;

use super::{
    backend::{self, Backend, BackendPlaces},
    balance::{self, BalanceText},
    check::{AgentKeys, CheckKeys, PassiveKeys},
};
use crate::{
    config::{
        diagnostic::Span,
        form::{
            many::{Either, List, Off, OneOrMany},
            number::{Int, Time},
            words::words,
        },
        kind::section,
        limits,
        walk::{At, Cx, too_many},
    },
    name::Name,
    spec::{
        PoolSpec, Share,
        check::PassiveSpec,
        pool::{ConnectSpec, ProxyProtocol, QueueSpec},
    },
};

section! {
    /// Backends, how one is chosen and how they are checked.
    pub(in crate::config) struct PoolKeys = "[[pool]]" {
        /// The pool's name.
        name: Name, required;
        /// How a backend is chosen: an algorithm, or a table of it and its key.
        balance: BalanceText, default "\"wrr\"";
        /// The active check of backends, or several which must all pass.
        check: OneOrMany<CheckKeys>, absent "backends count as up until traffic says otherwise";
        /// The agent that backends state their own weight and state with.
        agent: AgentKeys, absent "none is asked";
        /// What traffic itself tells of a backend; `false` takes no notice.
        passive: Either<PassiveKeys, Off>, default "{}";
        /// With fewer than this share of the backends up, all that are not disabled or draining are tried; 0% never does.
        panic_below: Share, default "\"0%\"";
        /// A backend that comes up reaches its whole weight after this time.
        slow_start: Time<0, { limits::DAY }>, default "\"0s\"";
        /// Where requests wait when every backend is at its `max-connections`; `false` lets none wait.
        queue: Either<QueueKeys, Off>, default "{}";
        /// How long a removed or draining backend's connections may go on.
        drain: Time<0, { limits::DAY }>, absent "as long as they like";
        /// How connections to backends are made and kept.
        connect: ConnectKeys, default "{}";
        /// The backends: tables, or addresses alone.
        backends: List<Backend>, required;
    }
}

section! {
    /// Where requests wait when every backend is at its `max-connections`.
    pub(in crate::config) struct QueueKeys = "`queue`" {
        /// The most that wait, over all workers; 0: none does, 503 at once.
        limit: Int<0, 1_000_000>, default "1024";
        /// How long one waits before its 503.
        timeout: Time<1, { limits::DAY }>, default "\"5s\"";
    }
}

section! {
    /// How connections to backends are made and kept.
    pub(in crate::config) struct ConnectKeys = "`connect`" {
        /// How long a connection may take to be made.
        timeout: Time<1, { limits::DAY }>, default "\"3s\"";
        /// The address that connections come from.
        source: IpAddr, absent "the kernel chooses";
        /// The PROXY protocol header that goes first.
        proxy_protocol: ProxyProtocol, absent "none is sent";
        /// The most idle connections that one worker keeps to one backend; 0: none is kept.
        keep_idle: Int<0, 1_000_000>, default "256";
        /// How long an idle connection is kept.
        idle_timeout: Time<1, { limits::DAY }>, default "\"30s\"";
    }
}

words!(ProxyProtocol {
    "v1" => ProxyProtocol::V1, "one line of text";
    "v2" => ProxyProtocol::V2, "binary";
});

/// A pool, and where what it says stands.
pub(in crate::config) struct PlacedPool {
    pub(in crate::config) spec: PoolSpec,
    pub(in crate::config) places: PoolPlaces,
    /// Of each of its backends.
    pub(in crate::config) backends: Vec<BackendPlaces>,
}

/// Where the keys of a pool stand that do not go with every service.
pub(in crate::config) struct PoolPlaces {
    /// Its name.
    pub(in crate::config) name: Span,
    /// How a backend is chosen; the table's header if it does not say.
    pub(in crate::config) balance: Span,
    pub(in crate::config) queue: Option<Span>,
    pub(in crate::config) connect: Option<Span>,
    pub(in crate::config) passive: Option<Span>,
    pub(in crate::config) proxy_protocol: Option<Span>,
    pub(in crate::config) check: Option<Span>,
}

impl PoolKeys {
    pub(in crate::config) fn admit(self, cx: &mut Cx<'_>) -> Option<PlacedPool> {
        let places = PoolPlaces {
            name: self.name.span,
            balance: self.balance.span,
            queue: self.given.place("queue"),
            connect: self.given.place("connect"),
            passive: self.given.place("passive"),
            proxy_protocol: self.connect.value.given.place("proxy_protocol"),
            check: self.given.place("check"),
        };
        let checks = self.check.map_or(Vec::new(), |checks| {
            let _ = too_many(checks.0.len(), limits::CHECKS, "checks", checks.key, cx);
            checks.value.0
        });
        let checks = checks
            .into_iter()
            .filter_map(|check| check.value.admit(cx))
            .collect();
        let backends = At {
            value: self.backends.value.0,
            span: self.backends.span,
            key: self.backends.key,
            given: true,
        };
        let balance = balance::admit(self.balance, cx);
        let (backends, backend_places) = backend::admit_all(self.name.as_str(), backends, cx);
        let spec = PoolSpec {
            balance: balance?,
            checks,
            agent: self.agent.map(|agent| agent.value.admit(cx)),
            passive: match self.passive.value {
                Either::One(keys) => keys.admit(cx),
                Either::Other(Off) => PassiveSpec {
                    consecutive: None,
                    error_rate: None,
                    ..PassiveSpec::default()
                },
            },
            panic_below: *self.panic_below,
            slow_start: self.slow_start.0,
            queue: match self.queue.value {
                Either::One(keys) => QueueSpec {
                    limit: keys.limit.to(),
                    timeout: keys.timeout.0,
                },
                Either::Other(Off) => QueueSpec {
                    limit: 0,
                    ..QueueSpec::default()
                },
            },
            drain: self.drain.map(|drain| drain.0),
            connect: self.connect.value.admit(),
            backends,
            name: self.name.value,
        };
        Some(PlacedPool {
            spec,
            places,
            backends: backend_places,
        })
    }
}

impl ConnectKeys {
    fn admit(self) -> ConnectSpec {
        ConnectSpec {
            timeout: self.timeout.0,
            source: self.source.map(|at| at.value),
            proxy_protocol: self.proxy_protocol.map(|at| at.value),
            keep_idle: self.keep_idle.to(),
            idle_timeout: self.idle_timeout.0,
        }
    }
}
