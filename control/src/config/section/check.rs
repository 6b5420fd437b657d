//! Checks of a pool's backends: when a probe is sent and what its results mean. What is asked is in
//! [`super::probe`].

use std::{net::IpAddr, time::Duration};

use super::probe::{DnsProbeKeys, Expected, HeaderCheck, TcpProbeKeys, TlsProbeKeys, UdpProbeKeys};
use crate::{
    config::{
        diagnostic::Problem,
        form::{
            http::{HeaderName, HeaderValue, HostName, Method, RequestTarget, Statuses},
            many::{Either, List, Map, On},
            number::{Int, Size, Time},
            text::{AnyText, Word},
        },
        kind::section,
        limits,
        walk::{At, Cx},
    },
    spec::{
        AgentSpec, CheckSpec, Share,
        check::{DampingSpec, PassiveSpec},
    },
};

section! {
    /// An active check: what is asked of each backend, how often, and what its answers mean. It names one of
    /// `tcp`, `http`, `tls`, `udp`, `dns`, `exec`.
    pub(in crate::config) struct CheckKeys = "a check" {
        /// A TCP connection, with bytes sent and expected if it is a table.
        tcp: Either<On, TcpProbeKeys>, absent "not this", only "tcp";
        /// An HTTP/1.1 request for this path and query.
        http: RequestTarget, absent "not this", only "http";
        /// A TLS handshake; in an HTTP check: it is asked over TLS.
        tls: Either<On, TlsProbeKeys>, absent "not this", only "tls" "http";
        /// A datagram, and what must come back.
        udp: UdpProbeKeys, absent "not this", only "udp";
        /// A DNS query over UDP.
        dns: DnsProbeKeys, absent "not this", only "dns";
        /// A program, an absolute path, and its arguments: exit status 0 passes. `APLOMB_POOL`, `APLOMB_ADDRESS`, `APLOMB_PORT` and `APLOMB_STATE` tell it what to check.
        exec: List<AnyText>, absent "not this", only "exec";
        /// The method of the request.
        method: Method, default "\"GET\"", only "http";
        /// The host asked for.
        host: HostName, absent "the backend's address", only "http";
        /// Further headers of the request.
        headers: Map<HeaderName, HeaderValue>, absent "none", only "http";
        /// Statuses that pass.
        expect: Either<Statuses, Int<100, 599>>, default "\"200-399\"", only "http";
        /// What must appear in the body, within its first 64 KiB: text, or a regular expression behind `~`.
        body: Expected, absent "anything", only "http";
        /// A header that the answer must have, and what must appear in its value.
        header: HeaderCheck, absent "none", only "http";
        /// Fails if the answer's head took longer, though it came.
        latency: Time<1, { limits::DAY }>, absent "no bound but `timeout`", only "http";
        /// The user that the program runs as.
        user: Word, absent "the daemon's", only "exec";
        /// Output of the program beyond this is thrown away.
        max_output: Size<0, 1_048_576>, default "\"4KiB\"", only "exec";
        /// From the end of one probe to the start of the next, while the backend is up.
        interval: Time<{ limits::INTERVAL }, { limits::DAY }>, default "\"2s\"";
        /// The same while it is down.
        interval_down: Time<{ limits::INTERVAL }, { limits::DAY }>, absent "as `interval`";
        /// How far a probe's start is moved at random, as a share of the interval, either way.
        jitter: Share, default "\"10%\"";
        /// What one probe may take in all.
        timeout: Time<1, { limits::DAY }>, default "\"1s\"";
        /// Passes in a row that bring a backend up.
        rise: Int<1, 1000>, default "2";
        /// Failures in a row that take it down.
        fall: Int<1, 1000>, default "3";
        /// The port that is probed.
        port: Int<1, 65_535>, absent "the backend's";
        /// The address that probes come from.
        source: IpAddr, absent "the kernel chooses";
        /// Holds back a backend that keeps changing.
        damping: Either<On, DampingKeys>, absent "it is not held back";
    }
}

section! {
    /// Holds back a backend that keeps changing.
    pub(in crate::config) struct DampingKeys = "`damping`" {
        /// Falls within `window` that are taken for normal.
        changes: Int<1, 1000>, default "3";
        /// The time within which falls count.
        window: Time<1, { limits::DAY }>, default "\"5min\"";
        /// How long a backend is held down at the first fall too many; doubles with each further one.
        hold: Time<1, { limits::DAY }>, default "\"30s\"";
        /// The longest that it is held down.
        max_hold: Time<1, { limits::DAY }>, default "\"10min\"";
    }
}

section! {
    /// The agent that backends state their own weight and state with, in HAProxy's text protocol.
    pub(in crate::config) struct AgentKeys = "`agent`" {
        /// The port that is asked, at the address that checks go to.
        port: Int<1, 65_535>, required;
        /// What is sent once connected.
        send: AnyText, absent "nothing";
        /// From the end of one query to the start of the next.
        interval: Time<{ limits::INTERVAL }, { limits::DAY }>, default "\"5s\"";
        /// What one query may take.
        timeout: Time<1, { limits::DAY }>, default "\"1s\"";
    }
}

section! {
    /// What traffic itself tells of a backend: one that fails is ejected for a time.
    pub(in crate::config) struct PassiveKeys = "`passive`" {
        /// Failures in a row that eject a backend; 0: they do not.
        consecutive: Int<0, 1_000_000>, default "5";
        /// The share of failures within `window` that ejects it.
        error_rate: Share, absent "it does not";
        /// The fewest requests within `window` for `error-rate` to mean anything.
        min_requests: Int<1, 1_000_000>, default "20";
        /// The window that `error-rate` looks at.
        window: Time<1000, 3_600_000>, default "\"10s\"";
        /// How long it is ejected the first time; times the number of ejections in a row after that.
        eject: Time<1, { limits::DAY }>, default "\"10s\"";
        /// The longest that it is ejected.
        max_eject: Time<1, { limits::DAY }>, default "\"5min\"";
        /// No more than this share of a pool is ejected at a time; of two backends one may always be.
        max_ejected: Share, default "\"50%\"";
    }
}

impl CheckKeys {
    pub(in crate::config) fn admit(self, cx: &mut Cx<'_>) -> Option<CheckSpec> {
        let damping = match &self.damping {
            None => None,
            Some(at) => Some(match &at.value {
                Either::One(On) => DampingKeys::read_defaults()?.admit(cx),
                Either::Other(keys) => keys.clone().admit(cx),
            }),
        };
        self.check_times(cx);
        Some(CheckSpec {
            interval: self.interval.0,
            interval_down: self
                .interval_down
                .as_ref()
                .map_or(self.interval.0, |at| at.0),
            jitter: *self.jitter,
            timeout: self.timeout.0,
            rise: self.rise.to(),
            fall: self.fall.to(),
            port: self.port.as_ref().map(|port| port.to()),
            source: self.source.as_ref().map(|source| source.value),
            damping,
            probe: self.probe(cx)?,
        })
    }

    fn check_times(&self, cx: &mut Cx<'_>) {
        if let Some(latency) = self.latency.as_ref().filter(|at| at.0 >= self.timeout.0) {
            let problem = Problem::warning(
                latency.span,
                "`latency` is no shorter than `timeout`, which ends the probe first",
            );
            cx.push(problem.help("write a longer timeout or a shorter latency"));
        }
    }
}

/// Complains if what should be the longer of two times is not.
fn not_shorter(
    long: &At<Time<1, { limits::DAY }>>,
    short: &At<Time<1, { limits::DAY }>>,
    names: (&str, &str),
    cx: &mut Cx<'_>,
) {
    if long.0 >= short.0 || !(long.given || short.given) {
        return;
    }
    let (long_name, short_name) = names;
    let at = if long.given { long } else { short };
    let shown = |time: Duration| crate::spec::format_duration(time);
    cx.push(Problem::error(
        at.span,
        format!(
            "`{long_name}` ({}) is shorter than `{short_name}` ({})",
            shown(long.0),
            shown(short.0)
        ),
    ));
}

impl DampingKeys {
    fn admit(self, cx: &mut Cx<'_>) -> DampingSpec {
        not_shorter(&self.max_hold, &self.hold, ("max-hold", "hold"), cx);
        DampingSpec {
            changes: self.changes.to(),
            window: self.window.0,
            hold: self.hold.0,
            max_hold: self.max_hold.0,
        }
    }
}

impl AgentKeys {
    pub(in crate::config) fn admit(self, _cx: &mut Cx<'_>) -> AgentSpec {
        AgentSpec {
            port: self.port.to(),
            send: self.send.map(|send| send.value.0),
            interval: self.interval.0,
            timeout: self.timeout.0,
        }
    }
}

impl PassiveKeys {
    pub(in crate::config) fn admit(self, cx: &mut Cx<'_>) -> PassiveSpec {
        not_shorter(&self.max_eject, &self.eject, ("max-eject", "eject"), cx);
        let consecutive: u32 = self.consecutive.to();
        PassiveSpec {
            consecutive: (consecutive > 0).then_some(consecutive),
            error_rate: self.error_rate.map(|at| at.value),
            min_requests: self.min_requests.to(),
            window: self.window.0,
            eject: self.eject.0,
            max_eject: self.max_eject.0,
            max_ejected: *self.max_ejected,
        }
    }
}
