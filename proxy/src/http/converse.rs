//! Talking to a backend: the request goes out, and its answer's head comes back, maybe before the request is over.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use control::spec::http::RetryOn;

use super::{
    client::Client,
    failure::Failure,
    forward::Trouble,
    h1::{self, Asked, ConnectionWord, Framing, Method, ResponseParser, Version},
    io::Stream,
    lane::{Broken, Waits},
    rules::Route,
    turn::Turn,
    upstream::Upstream,
    watch::Late,
};
use crate::worker::{Lease, clock};

/// Interim responses (1xx) that are passed on for one request; a backend that sends more makes fun of us.
const MOST_INTERIM: usize = 16;

/// How far the request has got.
#[derive(Default)]
struct Progress {
    /// All of it is sent, or no more of it can be.
    sent: bool,
    /// The backend took no more: it may have answered before.
    refused: bool,
    /// What [`super::lane::Lane::moves`] was when the phase began.
    moves: Option<u64>,
}

/// Sends the request whose head is in `turn.up.out`, and reads the head of the final response.
pub(crate) async fn converse<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
    route: &Route,
    lease: &Lease,
    upstream: &mut Upstream,
) -> Result<(), Trouble> {
    let mut progress = Progress::default();
    let mut parser = ResponseParser::default();
    let began = clock::now();
    for _ in 0..=MOST_INTERIM {
        poll_fn(|cx| {
            if !progress.sent
                && let Err(trouble) = send(cx, client, turn, route, upstream, &mut progress)
            {
                return Poll::Ready(Err(trouble));
            }
            match receive(cx, turn, upstream, &mut parser, &progress) {
                Poll::Ready(result) => return Poll::Ready(result),
                Poll::Pending => {}
            }
            client
                .watch
                .poll(cx, Some(lease.backend()))
                .map(|late| Err(lateness(late, turn, &progress)))
        })
        .await?;
        if !turn.response.is_interim() {
            note_answer(client, turn, route, lease, began);
            return Ok(());
        }
        pass_interim(client, turn).await.map_err(Trouble::ours)?;
        progress.moves = None;
        client.watch.begin(route.response_timeout);
    }
    Err(Trouble::ours(
        h1::Reject::backend(h1::Reason::BadStatus).into(),
    ))
}

/// Sends what can be sent, and keeps the time.
fn send<S: Stream>(
    cx: &mut Context<'_>,
    client: &mut Client<S>,
    turn: &mut Turn,
    route: &Route,
    upstream: &mut Upstream,
    progress: &mut Progress,
) -> Result<(), Trouble> {
    let Client {
        stream,
        watch,
        site,
        ..
    } = client;
    match turn.up.poll(cx, stream, upstream.stream()) {
        Poll::Ready(Ok(())) => progress.sent = true,
        Poll::Ready(Err(Broken::Sink)) => (progress.sent, progress.refused) = (true, true),
        Poll::Ready(Err(broken)) => return Err(Trouble::ours(client_fault(&broken))),
        Poll::Pending if progress.moves == Some(turn.up.moves) => return Ok(()),
        Poll::Pending => {
            progress.moves = Some(turn.up.moves);
            watch.begin(match turn.up.waits {
                Waits::Source => site.rules.timeouts.body,
                Waits::Sink => route.response_timeout,
            });
            return Ok(());
        }
    }
    watch.begin(route.response_timeout);
    Ok(())
}

/// What is wrong with a request whose body broke off.
pub(crate) fn client_fault(broken: &Broken) -> Failure {
    match broken {
        Broken::Malformed(reason) => h1::Reject::client(*reason).into(),
        Broken::TooLarge => Failure::BODY_TOO_LARGE,
        Broken::Truncated => Failure::CLIENT_TRUNCATED,
        Broken::Source | Broken::Sink => Failure::CLIENT_GONE,
    }
}

/// Reads a head, ready when it is whole.
fn receive(
    cx: &mut Context<'_>,
    turn: &mut Turn,
    upstream: &mut Upstream,
    parser: &mut ResponseParser,
    progress: &Progress,
) -> Poll<Result<(), Trouble>> {
    let asked = Asked {
        head: turn.request.method == Method::Head,
        upgrade: turn.request.upgrade.is_some(),
    };
    loop {
        let data = turn.down.buf.data();
        if !data.is_empty() {
            match parser.parse(data, &RESPONSE_LIMITS, asked, &mut turn.response) {
                Ok(false) => {}
                Ok(true) => {
                    turn.down.buf.keep_head(turn.response.len);
                    return Poll::Ready(Ok(()));
                }
                Err(reject) => return Poll::Ready(Err(Trouble::ours(reject.into()))),
            }
        }
        match turn.down.buf.poll_fill(cx, upstream.stream()) {
            Poll::Ready(Ok(n)) if n > 0 => {}
            Poll::Ready(_) => return Poll::Ready(Err(closed(turn, progress))),
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Backends are not strangers: they may set large cookies.
const RESPONSE_LIMITS: h1::Limits = h1::Limits::of(64 * 1024, h1::limits::MAX_FIELDS);

fn closed(turn: &Turn, progress: &Progress) -> Trouble {
    Trouble {
        failure: Failure::BACKEND_CLOSED,
        kind: Some(RetryOn::Closed),
        harmless: progress.refused,
        silent: turn.down.buf.data().is_empty(),
    }
}

/// What it means that the time is over.
fn lateness(late: Late, turn: &Turn, progress: &Progress) -> Trouble {
    if !progress.sent && turn.up.waits == Waits::Source && late == Late::Timeout {
        return Trouble::ours(Failure::BODY_TIMEOUT);
    }
    late.into_trouble(Failure::RESPONSE_TIMEOUT, RetryOn::Timeout)
}

impl Late {
    /// The trouble that this is, where the phase's own timeout is `failure`.
    pub(crate) fn into_trouble(self, failure: Failure, kind: RetryOn) -> Trouble {
        match self {
            Self::Timeout => Trouble {
                failure,
                kind: Some(kind),
                harmless: false,
                silent: false,
            },
            Self::Cut => Trouble::ours(Failure::CUT),
        }
    }
}

/// Notes how long the backend took, and what it said of itself.
fn note_answer<S>(
    client: &Client<S>,
    turn: &mut Turn,
    route: &Route,
    lease: &Lease,
    began: control::time::Instant,
) {
    let now = clock::now();
    let took = now.saturating_since(began);
    let worker = &client.watch.entry.worker;
    turn.note.first_byte = Some(now.saturating_since(turn.note.started));
    let counters = lease.backend().counters();
    counters.response_time.observe(took);
    counters.responses[super::exchange::class(turn.response.status)].one();
    match turn.response.status {
        // The backend says that it, or what is behind it, cannot serve. Other errors are of the application.
        // Counts as the timeout: a backend that says so quickly must not look quick.
        502..=504 => lease.failed(worker, route.response_timeout),
        _ => lease.passed(worker, took),
    }
}

/// Passes an interim response on (RFC 9110 §15.2); HTTP/1.0 knows none.
async fn pass_interim<S: Stream>(client: &mut Client<S>, turn: &mut Turn) -> Result<(), Failure> {
    if turn.request.version == Version::Http11 {
        let down = &mut turn.down;
        h1::write_response(
            &mut down.out,
            down.buf.head(),
            &turn.response,
            Framing::None,
            ConnectionWord::None,
            |_| false,
            |_| {},
        );
        super::exchange::send(client, turn).await?;
    }
    turn.down.buf.drop_head();
    Ok(())
}
