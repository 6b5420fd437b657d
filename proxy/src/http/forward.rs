//! A request on its way to a backend: choose one, talk to it, try another if that is allowed, deliver the answer.

use std::rc::Rc;

use control::spec::http::RetryOn;

use super::{
    client::{Client, Next},
    converse::converse,
    deliver::deliver,
    exchange::values,
    failure::Failure,
    h1::{self, Framing, RequestEdit},
    io::Stream,
    rules::Route,
    told::Told,
    turn::Turn,
    upstream::{self, Upstream},
};
use crate::worker::{Denied, Lease, Pool, clock};

/// Why a try came to nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    pub(crate) failure: Failure,
    /// The kind of trouble, if another backend might do better.
    pub(crate) kind: Option<RetryOn>,
    /// Whether the backend cannot have acted on the request.
    pub(crate) harmless: bool,
    /// Whether nothing at all came back: on a kept connection, that is how a backend's idle timeout shows.
    pub(crate) silent: bool,
}

impl Trouble {
    /// Trouble that no other backend could avoid.
    pub(crate) const fn ours(failure: Failure) -> Self {
        Self {
            failure,
            kind: None,
            harmless: false,
            silent: false,
        }
    }
}

/// Sends a request to a backend of the route's pool and its answer to the client.
///
/// # Errors
/// What the client is to be told.
pub(crate) async fn forward<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
    route: &Route,
    pool: usize,
) -> Result<Next, Failure> {
    let pool = client
        .watch
        .entry
        .service
        .pools
        .get(pool)
        .map(Rc::clone)
        .ok_or(Failure::NO_BACKEND)?;
    begin_body(client, turn, route)?;
    turn.tried.clear();
    let mut last = None;
    loop {
        let lease = lease(client, turn, &pool)
            .await
            .map_err(|denied| match (denied, last) {
                (Denied::Tried, Some(failure)) => failure,
                (denied, _) => denied.into(),
            })?;
        let trouble = match attempt(client, turn, route, &lease).await {
            Ok(upstream) if !is_worth_retrying(client, turn, route) => {
                let delivered = deliver(client, turn, route, &lease, upstream).await;
                if let Err(failure) = &delivered {
                    blame(client, turn, route, &lease, failure);
                }
                return delivered;
            }
            // The answer is dropped with its connection: draining it would cost more than a new one.
            Ok(_) => Failure::BACKEND_CLOSED,
            Err(trouble) => {
                lease.backend().counters().responses[5].one();
                blame(client, turn, route, &lease, &trouble.failure);
                if !may_retry(client, turn, route, &trouble) {
                    return Err(trouble.failure);
                }
                trouble.failure
            }
        };
        last = Some(trouble);
        turn.tried.push(lease.id());
        turn.note.retries += 1;
        client.watch.entry.service.counters().retries.one();
    }
}

/// Makes the body ready to stream, and to stream again.
fn begin_body<S>(client: &Client<S>, turn: &mut Turn, route: &Route) -> Result<(), Failure> {
    let framing = turn.request.framing;
    let limit = client.site.rules.body_limit;
    if matches!(framing, Framing::Length(n) if n > limit) {
        return Err(Failure::BODY_TOO_LARGE);
    }
    turn.up.start(framing, framing);
    turn.up.limit(limit);
    let room = usize::try_from(route.retry.body.0).unwrap_or(usize::MAX);
    let too_long = matches!(framing, Framing::Length(n) if n > route.retry.body.0);
    turn.up.keep_for_replay(if too_long { 0 } else { room });
    Ok(())
}

/// A place on a backend, after a wait if it must be.
async fn lease<S>(client: &Client<S>, turn: &mut Turn, pool: &Rc<Pool>) -> Result<Lease, Denied> {
    let worker = &client.watch.entry.worker;
    let lease = match pool.lease_now(turn.key, &turn.tried) {
        Some(lease) => lease?,
        None => {
            let since = clock::now();
            let lease = pool.lease(worker, turn.key, &turn.tried).await;
            turn.note.queued = Some(clock::now().saturating_since(since));
            lease?
        }
    };
    turn.note.backend = Some(Rc::clone(lease.backend()));
    Ok(lease)
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Empty | Denied::Tried => Self::NO_BACKEND,
            Denied::QueueFull => Self::QUEUE_FULL,
            Denied::QueueTimeout => Self::QUEUE_TIMEOUT,
        }
    }
}

/// Talks to one backend until its answer's head is here.
async fn attempt<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
    route: &Route,
    lease: &Lease,
) -> Result<Upstream, Trouble> {
    let counters = lease.backend().counters();
    counters.requests.one();
    if turn.note.retries > 0 {
        counters.retries.one();
    }
    if let Some(mut upstream) = upstream::kept(lease, !is_idempotent(turn, route)) {
        counters.connections_reused.one();
        write_head(client, turn, route);
        match converse(client, turn, route, lease, &mut upstream).await {
            Ok(()) => return Ok(upstream),
            Err(trouble) if !is_stale(&trouble, turn, route) => return Err(trouble),
            Err(_) => {}
        }
    }
    let mut upstream = upstream::connect(client, turn, lease).await?;
    write_head(client, turn, route);
    converse(client, turn, route, lease, &mut upstream).await?;
    Ok(upstream)
}

fn is_idempotent(turn: &Turn, route: &Route) -> bool {
    turn.request.method.is_idempotent() || route.retry.non_idempotent
}

/// Whether the backend had closed the connection before it saw the request, so far as can be told.
fn is_stale(trouble: &Trouble, turn: &Turn, route: &Route) -> bool {
    trouble.silent && turn.up.can_replay() && (trouble.harmless || is_idempotent(turn, route))
}

/// Puts the request's head in front of the body that was sent so far, if any.
fn write_head<S>(client: &Client<S>, turn: &mut Turn, route: &Route) {
    turn.down.reset();
    let mut out = std::mem::take(&mut turn.up.out);
    out.clear();
    let told = Told {
        spec: &client.site.rules.forwarded,
        client: client.address.ip(),
        local: client.local,
        scheme: client.site.rules.scheme,
        trusted: client.trusted,
    };
    let (buf, head) = (turn.up.buf.head(), &turn.request);
    let edit = RequestEdit {
        target: (!turn.target.is_empty()).then_some(&*turn.target),
        host: route.replace_host.as_deref(),
        upgrade: true,
    };
    let id_name = client.site.rules.request_id.as_deref();
    let edits = &route.request;
    h1::write_request(
        &mut out,
        buf,
        head,
        edit,
        |field| {
            told.drops(field.known)
                || id_name.is_some_and(|id| field.name.of(buf).eq_ignore_ascii_case(id))
                || (!edits.is_empty() && edits.drops(buf, field))
        },
        |out| {
            told.write(out, buf, head);
            if let Some(name) = id_name {
                h1::write_line(out, name, &turn.note.id);
            }
            if !edits.is_empty() {
                edits.write(out, &values(client, turn));
            }
        },
    );
    turn.up.out = out;
    turn.up.rewind();
}

/// Whether the answer that came is to be dropped for another try.
fn is_worth_retrying<S>(client: &Client<S>, turn: &Turn, route: &Route) -> bool {
    if turn.response.status < 500 {
        return false;
    }
    let trouble = Trouble {
        failure: Failure::BACKEND_CLOSED,
        kind: Some(RetryOn::Status(turn.response.status)),
        harmless: false,
        silent: false,
    };
    may_retry(client, turn, route, &trouble)
}

fn may_retry<S>(client: &Client<S>, turn: &Turn, route: &Route, trouble: &Trouble) -> bool {
    let Some(kind) = trouble.kind else {
        return false;
    };
    let allowed = turn.note.retries < route.retry.attempts
        && route.retries_on(kind)
        && turn.up.can_replay()
        && (trouble.harmless || is_idempotent(turn, route));
    if !allowed {
        return false;
    }
    let within = client
        .site
        .budget
        .take_retry(clock::coarse(), route.retry.budget);
    if !within {
        client
            .watch
            .entry
            .service
            .counters()
            .retries_over_budget
            .one();
    }
    within
}

/// Tells the balancer and passive health of a backend that failed, or that had no chance to.
fn blame<S>(client: &Client<S>, turn: &Turn, route: &Route, lease: &Lease, failure: &Failure) {
    let worker = &client.watch.entry.worker;
    if failure.fault.side == crate::stats::Side::Backend {
        lease.backend().counters().errors[failure.fault.index()].one();
        lease.failed(worker, route.response_timeout);
    } else {
        lease.abandoned(clock::now().saturating_since(turn.note.started));
    }
}
