//! Why a request was not served: whose fault, what the client is told, what the log says.

use super::h1;
use crate::stats::{Fault, Reason, Side};

/// A request that came to a bad end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Whose fault it was and of what kind, as metrics count it.
    pub(crate) fault: Fault,
    /// What the client is answered; none: it is gone, or has part of an answer already.
    pub(crate) status: Option<u16>,
    /// A few words for people.
    pub(crate) detail: &'static str,
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident: $status:literal $side:ident $reason:ident $detail:literal;)*) => {
        impl Failure {
            $($(#[$doc])* pub(crate) const $name: Self = Self {
                fault: Fault::new(Side::$side, Reason::$reason),
                status: if $status == 0 { None } else { Some($status) },
                detail: $detail,
            };)*
        }
    };
}

failures! {
    /// The head did not come in time.
    HEADER_TIMEOUT: 408 Client Timeout "the request's head did not arrive in time";
    /// The body did not come in time.
    BODY_TIMEOUT: 408 Client Timeout "the request's body did not arrive in time";
    /// The client did not take its answer.
    SEND_TIMEOUT: 0 Client Timeout "the client did not take the response in time";
    /// The client is gone.
    CLIENT_GONE: 0 Client Closed "the client closed the connection";
    /// The client closed in the middle of its request.
    CLIENT_TRUNCATED: 400 Client Closed "the request ended too early";
    /// The body is too large.
    BODY_TOO_LARGE: 413 Client TooLarge "the request's body is too large";
    /// Nobody serves this.
    NO_ROUTE: 404 Client NoRoute "no route matches the request";
    /// A path that means two things.
    BAD_PATH: 400 Client Malformed "the request's path is malformed";
    /// No backend.
    NO_BACKEND: 503 Proxy NoBackend "no backend is available";
    /// No place in the queue.
    QUEUE_FULL: 503 Proxy QueueFull "all backends are busy and the queue is full";
    /// Too long in the queue.
    QUEUE_TIMEOUT: 503 Proxy QueueTimeout "all backends stayed busy for too long";
    /// No connection.
    CONNECT: 502 Backend Connect "the backend refused the connection";
    /// No connection in time.
    CONNECT_TIMEOUT: 504 Backend ConnectTimeout "the backend did not accept the connection in time";
    /// We have nothing left to connect with.
    RESOURCE: 503 Proxy Resource "the balancer is out of resources";
    /// Closed without a response.
    BACKEND_CLOSED: 502 Backend Closed "the backend closed the connection without a response";
    /// No response in time.
    RESPONSE_TIMEOUT: 504 Backend Timeout "the backend did not respond in time";
    /// The body broke off.
    RESPONSE_TRUNCATED: 0 Backend Closed "the backend closed the connection within the response";
    /// The body stopped.
    RESPONSE_BODY_TIMEOUT: 0 Backend Timeout "the response's body stopped arriving";
    /// A tunnel that nobody used.
    TUNNEL_TIMEOUT: 0 Proxy Timeout "the tunnel was idle for too long";
    /// A drain ended before an answer began.
    CUT: 503 Proxy Cut "the balancer ended the connection: a drain is over";
    /// A drain ended within the answer.
    CUT_WITHIN: 0 Proxy Cut "the balancer ended the connection: a drain is over";
}

impl From<h1::Reject> for Failure {
    fn from(reject: h1::Reject) -> Self {
        use h1::Reason as R;
        let reason = match reject.reason {
            R::TargetTooLong | R::HeadTooLarge | R::TooManyFields | R::TrailersTooLarge => {
                Reason::TooLarge
            }
            R::Truncated => Reason::Closed,
            _ => Reason::Malformed,
        };
        Self {
            fault: Fault::new(reject.side, reason),
            status: Some(reject.status()),
            detail: reject.reason.as_str(),
        }
    }
}

impl Failure {
    /// The same, after the answer has begun: nothing more can be said.
    pub(crate) const fn too_late(self) -> Self {
        Self {
            status: None,
            ..self
        }
    }
}
