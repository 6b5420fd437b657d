//! HTTP services: routes, what they do to a request, and the time that each phase may take.

use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::{
    TlsFiles,
    value::{self, Bytes, Share},
};
use crate::name::Name;

/// An HTTP service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HttpSpec {
    /// Routes in config order; the first that matches takes the request, 404 if none does.
    pub routes: Vec<RouteSpec>,
    /// Certificates of an `https` service, the first being the default.
    pub tls: Vec<TlsFiles>,
    /// What each phase may take.
    pub timeouts: HttpTimeouts,
    /// How large a request may be.
    pub limits: HttpLimits,
    /// What backends are told of the client.
    pub forwarded: ForwardedSpec,
    /// Whether requests are tried again; routes may say otherwise.
    pub retry: RetrySpec,
    /// The name of a header that carries an id for each request: kept if it comes from `forwarded.trust`, else
    /// made anew; none: no id.
    pub request_id: Option<String>,
}

impl HttpSpec {
    /// A service with these routes and everything else at its default.
    #[must_use]
    pub fn to_routes(routes: Vec<RouteSpec>) -> Self {
        Self {
            routes,
            tls: Vec::new(),
            timeouts: HttpTimeouts::default(),
            limits: HttpLimits::default(),
            forwarded: ForwardedSpec::default(),
            retry: RetrySpec::default(),
            request_id: None,
        }
    }
}

/// What each phase of a request may take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HttpTimeouts {
    /// From a connection's or request's first byte to the end of its head: 408.
    #[serde(serialize_with = "value::duration")]
    pub header: Duration,
    /// Between two pieces of a request's body: 408.
    #[serde(serialize_with = "value::duration")]
    pub body: Duration,
    /// Between two requests on a connection, and before the first: the connection is closed.
    #[serde(serialize_with = "value::duration")]
    pub keep_alive: Duration,
    /// From the request's end to the first byte of the response's head, and on to that head's end: 504.
    #[serde(serialize_with = "value::duration")]
    pub response: Duration,
    /// Between two pieces of a response's body: the connection is cut.
    #[serde(serialize_with = "value::duration")]
    pub response_body: Duration,
    /// For the client to take what is sent to it.
    #[serde(serialize_with = "value::duration")]
    pub send: Duration,
    /// Between two pieces in an upgraded connection (WebSocket), in either direction.
    #[serde(serialize_with = "value::duration")]
    pub tunnel: Duration,
}

impl Default for HttpTimeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            keep_alive: Duration::from_secs(60),
            response: Duration::from_secs(60),
            response_body: Duration::from_secs(60),
            send: Duration::from_secs(30),
            tunnel: Duration::from_secs(3600),
        }
    }
}

/// How large a request may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HttpLimits {
    /// A request's head in all, 1 KiB to 64 KiB: 431, or 414 where the request line alone is longer.
    pub head: Bytes,
    /// Header lines of a request, 1 to 256: 431.
    pub headers: u16,
    /// A request's body: 413; none: no limit.
    pub body: Option<Bytes>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head: Bytes(16 << 10),
            headers: 100,
            body: None,
        }
    }
}

/// What backends are told of the client, and whose word on it is taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ForwardedSpec {
    /// X-Forwarded-For, -Proto, -Host and -Port are sent.
    pub x_forwarded: bool,
    /// Forwarded (RFC 7239) is sent.
    pub forwarded: bool,
    /// Via (RFC 9110 section 7.6.3) is sent, both ways.
    pub via: bool,
    /// What clients of these networks say in these headers is kept and added to; what others say is replaced.
    pub trust: Vec<IpNet>,
}

impl Default for ForwardedSpec {
    fn default() -> Self {
        Self {
            x_forwarded: true,
            forwarded: false,
            via: false,
            trust: Vec::new(),
        }
    }
}

/// When a request is tried again on another backend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetrySpec {
    /// How often a request is tried again; 0: never. A pooled connection that the backend had closed does not count.
    pub attempts: u16,
    /// What is worth another try.
    pub on: Vec<RetryOn>,
    /// Retries may be at most this share of the requests of the service, over about ten seconds.
    pub budget: Share,
    /// Retries also requests whose method is not idempotent (RFC 9110 section 9.2.2). A failure to connect is
    /// always safe to retry and does not need this.
    pub non_idempotent: bool,
    /// A body up to this size is kept, so that its request can be sent again.
    pub body: Bytes,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            attempts: 2,
            on: vec![RetryOn::Connect, RetryOn::Closed],
            budget: Share::percent(20),
            non_idempotent: false,
            body: Bytes(16 << 10),
        }
    }
}

/// What is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    /// `connect`: the connection was refused, or took too long.
    Connect,
    /// `closed`: the connection was lost before the response began.
    Closed,
    /// `timeout`: the response did not begin in time.
    Timeout,
    /// `500`, `502`, `503`, `504` …: the backend answered with this status.
    Status(u16),
}

/// One route of an HTTP service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteSpec {
    /// The route's name in logs and metrics; none: its place in the list.
    pub name: Option<Name>,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// What becomes of them.
    pub action: RouteAction,
    /// What is done to the request's headers before the backend sees them.
    pub request_headers: Vec<HeaderEdit>,
    /// What is done to the response's headers before the client sees them.
    pub response_headers: Vec<HeaderEdit>,
    /// Replaces the part of the path that `matches.path` names as a prefix.
    pub replace_prefix: Option<String>,
    /// Replaces the host that the backend is asked for.
    pub replace_host: Option<String>,
    /// Tried again otherwise than the service's requests are.
    pub retry: Option<RetrySpec>,
    /// Another bound on the response's first byte than the service's.
    #[serde(serialize_with = "value::opt_duration")]
    pub response_timeout: Option<Duration>,
}

impl RouteSpec {
    /// A route that takes everything to `pool`.
    #[must_use]
    pub fn to_pool(pool: Name) -> Self {
        Self {
            name: None,
            matches: RouteMatch::default(),
            action: RouteAction::Pool(pool),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            replace_prefix: None,
            replace_host: None,
            retry: None,
            response_timeout: None,
        }
    }
}

/// Which requests a route takes: all that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RouteMatch {
    /// The host, any of these; empty: any host.
    pub hosts: Vec<HostMatch>,
    /// The path; none: any path.
    pub path: Option<PathMatch>,
    /// The method, any of these; empty: any method.
    pub methods: Vec<String>,
    /// Headers, all of these; names in lower case.
    pub headers: Vec<(String, TextMatch)>,
    /// Query parameters, all of these.
    pub query: Vec<(String, TextMatch)>,
}

/// Which host a route takes; in lower case, without port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostMatch {
    /// `shop.example`
    Exact(String),
    /// `*.example`, kept as `example`: any name below it, however deep, not the name itself.
    Below(String),
}

/// Which path a route takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathMatch {
    /// `/about`: this path and no other.
    Exact(String),
    /// `/api/` or `/api*`, kept without the star: what begins with it. `/api/` takes `/api` too.
    Prefix(String),
    /// `~^/v[0-9]+/`, kept without the tilde: a regular expression, checked at admission.
    Regex(String),
}

/// Which value of a header or a query parameter a route takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextMatch {
    /// `*`: any value.
    Present,
    /// This value.
    Exact(String),
    /// `~…`: a regular expression, checked at admission.
    Regex(String),
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteAction {
    /// It goes to a backend of this pool.
    Pool(Name),
    /// It is sent elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to, with variables as in [`HeaderEdit`].
        to: String,
    },
    /// It is answered.
    Respond {
        /// The status, 200 to 599.
        status: u16,
        /// Its Content-Type; none for an empty body.
        content_type: Option<String>,
        /// The body.
        body: String,
    },
}

impl RouteAction {
    /// The pool that the request goes to, if it does.
    #[must_use]
    pub fn pool(&self) -> Option<&Name> {
        match self {
            Self::Pool(pool) => Some(pool),
            Self::Redirect { .. } | Self::Respond { .. } => None,
        }
    }
}

/// A change to headers. Values may hold `{client}` (its address), `{client_port}`, `{host}`, `{path}`,
/// `{query}`, `{uri}`, `{scheme}`, `{method}`, `{service}`, `{backend}`, `{request_id}`; `{{` is a brace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderEdit {
    /// One more line.
    Add(String, String),
    /// This line in place of all of its name.
    Set(String, String),
    /// None of this name.
    Remove(String),
}
