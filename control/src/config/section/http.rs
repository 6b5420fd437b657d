//! What HTTP services have beside their routes: time, size, and what backends are told of the client.

use ipnet::IpNet;

use crate::{
    config::{
        form::{
            many::{Either, OneOrMany},
            number::{Int, Size, Time},
            words::words,
        },
        kind::section,
        limits,
        walk::{At, Cx, unique},
    },
    spec::{
        Share,
        http::{ForwardedSpec, HttpLimits, HttpTimeouts, RetryOn, RetrySpec},
    },
};

section! {
    /// What each phase of a request may take.
    pub(in crate::config) struct TimeoutKeys = "`timeouts`" {
        /// From a connection's or request's first byte to the end of its head: 408.
        header: Time<1, { limits::DAY }>, default "\"10s\"";
        /// Between two pieces of a request's body: 408.
        body: Time<1, { limits::DAY }>, default "\"30s\"";
        /// Between two requests on a connection, and before the first: the connection is closed.
        keep_alive: Time<1, { limits::DAY }>, default "\"1min\"";
        /// From the request's end to the first byte of the response's head, and on to that head's end: 504.
        response: Time<1, { limits::DAY }>, default "\"1min\"";
        /// Between two pieces of a response's body: the connection is cut.
        response_body: Time<1, { limits::DAY }>, default "\"1min\"";
        /// For the client to take what is sent to it.
        send: Time<1, { limits::DAY }>, default "\"30s\"";
        /// Between two pieces in an upgraded connection (WebSocket), in either direction.
        tunnel: Time<1, { limits::DAY }>, default "\"1h\"";
    }
}

section! {
    /// How large a request may be.
    pub(in crate::config) struct LimitKeys = "`limits`" {
        /// A request's head in all: 431, or 414 where the request line alone is longer.
        head: Size<1024, 65_536>, default "\"16KiB\"";
        /// Header lines of a request: 431.
        headers: Int<1, 256>, default "100";
        /// A request's body: 413.
        body: Size<0, { 1 << 50 }>, absent "no limit";
    }
}

section! {
    /// What backends are told of the client, and whose word on it is taken.
    pub(in crate::config) struct ForwardedKeys = "`forwarded`" {
        /// Send X-Forwarded-For, -Proto, -Host and -Port.
        x_forwarded: bool, default "true";
        /// Send Forwarded (RFC 7239).
        forwarded: bool, default "false";
        /// Send Via (RFC 9110 section 7.6.3), both ways.
        via: bool, default "false";
        /// What clients of these networks say in these headers is kept and added to; what others say is replaced.
        trust: OneOrMany<IpNet>, absent "nobody";
    }
}

section! {
    /// When a request is tried again on another backend. In a route, what is left out is as in the service.
    pub(in crate::config) struct RetryKeys = "`retry`" {
        /// How often a request is tried again; 0: never.
        attempts: Int<0, 100>, absent "2";
        /// What is worth another try: `connect`, `closed`, `timeout`, or statuses.
        on: OneOrMany<Either<RetryWord, Int<500, 599>>>, absent "`connect` and `closed`";
        /// Retries may be at most this share of the service's requests, over about ten seconds.
        budget: Share, absent "20%";
        /// Retries also requests whose method is not idempotent (RFC 9110 section 9.2.2). A failure to connect does not need this.
        non_idempotent: bool, absent "false";
        /// A body up to this size is kept, so that its request can be sent again.
        body: Size<0, 16_777_216>, absent "16KiB";
    }
}

/// What is worth another try, as a word.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct RetryWord(RetryOn);

words!(RetryWord {
    "connect" => RetryWord(RetryOn::Connect), "the connection was refused, or took too long";
    "closed" => RetryWord(RetryOn::Closed), "the connection was lost before the response began";
    "timeout" => RetryWord(RetryOn::Timeout), "the response did not begin in time";
    "500" => RetryWord(RetryOn::Status(500)), "the backend answered with this status";
    "502" => RetryWord(RetryOn::Status(502)), "the backend answered with this status";
    "503" => RetryWord(RetryOn::Status(503)), "the backend answered with this status";
    "504" => RetryWord(RetryOn::Status(504)), "the backend answered with this status";
});

impl TimeoutKeys {
    pub(in crate::config) fn admit(self) -> HttpTimeouts {
        HttpTimeouts {
            header: self.header.0,
            body: self.body.0,
            keep_alive: self.keep_alive.0,
            response: self.response.0,
            response_body: self.response_body.0,
            send: self.send.0,
            tunnel: self.tunnel.0,
        }
    }
}

impl LimitKeys {
    pub(in crate::config) fn admit(self) -> HttpLimits {
        HttpLimits {
            head: self.head.0,
            headers: self.headers.to(),
            body: self.body.map(|size| size.0),
        }
    }
}

impl ForwardedKeys {
    pub(in crate::config) fn admit(self, cx: &mut Cx<'_>) -> ForwardedSpec {
        ForwardedSpec {
            x_forwarded: *self.x_forwarded,
            forwarded: *self.forwarded,
            via: *self.via,
            trust: self.trust.map_or(Vec::new(), |nets| networks(nets, cx)),
        }
    }
}

/// Networks, each once.
pub(in crate::config) fn networks(nets: At<OneOrMany<IpNet>>, cx: &mut Cx<'_>) -> Vec<IpNet> {
    unique(&nets.value.0, "the network", |net| net.to_string(), cx);
    nets.value.0.into_iter().map(|net| net.value).collect()
}

impl RetryKeys {
    /// What `base` says, but for what is given here.
    pub(in crate::config) fn over(self, base: &RetrySpec) -> RetrySpec {
        RetrySpec {
            attempts: self.attempts.map_or(base.attempts, |n| n.to()),
            on: self.on.map_or_else(
                || base.on.clone(),
                |on| {
                    on.value
                        .0
                        .into_iter()
                        .map(|on| retry_on(on.value))
                        .collect()
                },
            ),
            budget: self.budget.map_or(base.budget, |at| at.value),
            non_idempotent: self
                .non_idempotent
                .map_or(base.non_idempotent, |at| at.value),
            body: self.body.map_or(base.body, |at| at.0),
        }
    }
}

fn retry_on(on: Either<RetryWord, Int<500, 599>>) -> RetryOn {
    match on {
        Either::One(word) => word.0,
        Either::Other(status) => RetryOn::Status(status.to()),
    }
}
