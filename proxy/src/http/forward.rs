//! A request on its way to a backend: choose one, talk to it, try another if that is allowed, deliver the answer.

use std::rc::Rc;

use control::spec::{http::RetryOn, pool::ProxyProtocol};

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
use crate::{
    proxy_protocol,
    worker::{Denied, Lease, Pool, clock},
};

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
    /// An answer of this status, where that is trouble.
    const fn answered(status: u16) -> Self {
        let kind = Some(RetryOn::Status(status));
        Self {
            kind,
            ..Self::ours(Failure::BACKEND_CLOSED)
        }
    }

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
    let mut lease = lease(client, turn, &pool).await?;
    loop {
        lease = match attempt(client, turn, route, &lease).await {
            Ok(upstream) => match instead(client, turn, route, &lease) {
                // The answer is dropped with its connection: draining it would cost more than a new one.
                Some(other) => other,
                None => {
                    let delivered = deliver(client, turn, route, &lease, upstream).await;
                    if let Err(failure) = &delivered {
                        blame(client, turn, route, &lease, failure);
                    }
                    return delivered;
                }
            },
            Err(trouble) => {
                lease.backend().counters().responses[5].one();
                blame(client, turn, route, &lease, &trouble.failure);
                Box::pin(elsewhere(client, turn, route, lease, &trouble)).await?
            }
        };
        turn.note.backend = Some(Rc::clone(lease.backend()));
        turn.note.retries += 1;
        client.watch.entry.service.counters().retries.one();
    }
}

/// A place on another backend after trouble with one, if the request may be tried again.
///
/// # Errors
/// It may not, or there is none: the trouble stands.
async fn elsewhere<S>(
    client: &Client<S>,
    turn: &mut Turn,
    route: &Route,
    lease: Lease,
    trouble: &Trouble,
) -> Result<Lease, Failure> {
    if !may_retry(turn, route, trouble) {
        return Err(trouble.failure);
    }
    let pool = Rc::clone(lease.pool());
    turn.tried.push(lease.id());
    drop(lease);
    let other = self::lease(client, turn, &pool)
        .await
        .map_err(|denied| match denied {
            Denied::Tried | Denied::Empty => trouble.failure,
            Denied::QueueFull | Denied::QueueTimeout => denied.into(),
        })?;
    // What was refused did no work: the next try is the first that does, and adds no load.
    if trouble.harmless || is_within_budget(client, route) {
        Ok(other)
    } else {
        Err(trouble.failure)
    }
}

/// A place on another backend in place of an answer that is worth another try; none if there is none right now, for
/// then the answer is better than nothing.
fn instead<S>(client: &Client<S>, turn: &mut Turn, route: &Route, lease: &Lease) -> Option<Lease> {
    let status = turn.response.status;
    if status < 500 || !may_retry(turn, route, &Trouble::answered(status)) {
        return None;
    }
    turn.tried.push(lease.id());
    let other = lease.pool().lease_now(turn.key, &turn.tried)?.ok()?;
    is_within_budget(client, route).then_some(other)
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
        write_head(client, turn, route, None);
        match converse(client, turn, route, lease, &mut upstream).await {
            Ok(()) => return Ok(upstream),
            Err(trouble) if !is_stale(&trouble, turn, route) => return Err(trouble),
            Err(_) => {}
        }
    }
    let mut upstream = Box::pin(upstream::connect(client, turn, lease)).await?;
    let announced = lease.pool().with_connect(|connect| connect.proxy_protocol);
    write_head(client, turn, route, announced);
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

/// Puts the request's head in front of the body that was sent so far, if any; and before all, on a new connection
/// to a backend that wants it, the PROXY protocol's header.
fn write_head<S>(
    client: &Client<S>,
    turn: &mut Turn,
    route: &Route,
    announced: Option<ProxyProtocol>,
) {
    turn.down.reset();
    let mut out = std::mem::take(&mut turn.up.out);
    out.clear();
    if let Some(version) = announced {
        proxy_protocol::announce(&mut out, version, client.address, client.local);
    }
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

fn may_retry(turn: &Turn, route: &Route, trouble: &Trouble) -> bool {
    trouble.kind.is_some_and(|kind| route.retries_on(kind))
        && turn.note.retries < route.retry.attempts
        && turn.up.can_replay()
        && (trouble.harmless || is_idempotent(turn, route))
}

fn is_within_budget<S>(client: &Client<S>, route: &Route) -> bool {
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
