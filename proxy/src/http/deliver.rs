//! The answer on its way to the client, while the rest of the request may still go to the backend.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use super::{
    client::{Client, Next},
    converse::client_fault,
    exchange::values,
    failure::Failure,
    h1::{self, ConnectionWord, Framing, Version},
    io::Stream,
    lane::{Broken, Waits},
    rules::Route,
    told::VIA,
    tunnel::tunnel,
    turn::Turn,
    upstream::Upstream,
    watch::Late,
};
use crate::worker::Lease;

/// Sends the response whose head is in `turn.response` on to the client.
///
/// # Errors
/// It broke off, or the client is gone: nothing more can be said.
pub(crate) async fn deliver<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
    route: &Route,
    lease: &Lease,
    mut upstream: Upstream,
) -> Result<Next, Failure> {
    let framing = client_framing(turn);
    let next = next(client, turn, framing);
    write_head(client, turn, route, framing, next);
    turn.note.status = turn.response.status;
    if turn.response.status == 101 {
        // Boxed, as all that is rare: what every request carries stays small.
        return Box::pin(tunnel(client, turn, lease, upstream)).await;
    }
    turn.down.start(turn.response.framing, framing);
    stream(client, turn, lease, &mut upstream).await?;
    let counters = lease.backend().counters();
    counters.bytes_out.add(turn.up.sent);
    counters
        .bytes_in
        .add(turn.down.carried + turn.response.len as u64);
    // Bytes behind the response, or a request not taken whole, would be read as part of the next exchange.
    if turn.response.keep_alive && turn.up.is_done() && turn.down.buf.data().is_empty() {
        upstream.keep(lease);
    }
    Ok(next)
}

/// How the body goes out: as it came if the client knows that, else as the client does.
fn client_framing(turn: &Turn) -> Framing {
    match (turn.response.framing, turn.request.version) {
        (framing @ (Framing::None | Framing::Length(_)), _) => framing,
        (_, Version::Http11) => Framing::Chunked,
        (_, Version::Http10) => Framing::UntilClose,
    }
}

/// What becomes of the client's connection. A request that is answered before it is over leaves it unusable.
fn next<S>(client: &Client<S>, turn: &Turn, framing: Framing) -> Next {
    if !turn.up.is_done() {
        return Next::Linger;
    }
    let keep = turn.request.keep_alive()
        && framing != Framing::UntilClose
        && !client.watch.entry.is_closing();
    if keep { Next::Keep } else { Next::Close }
}

fn write_head<S>(client: &Client<S>, turn: &mut Turn, route: &Route, framing: Framing, next: Next) {
    let word = match (turn.response.status, next, turn.request.version) {
        (101, ..) => ConnectionWord::Upgrade,
        (_, Next::Close | Next::Linger, _) => ConnectionWord::Close,
        (_, Next::Keep, Version::Http10) => ConnectionWord::KeepAlive,
        (_, Next::Keep, Version::Http11) => ConnectionWord::None,
    };
    let mut out = std::mem::take(&mut turn.down.out);
    let buf = turn.down.buf.head();
    let edits = &route.response;
    h1::write_response(
        &mut out,
        buf,
        &turn.response,
        framing,
        word,
        |field| !edits.is_empty() && edits.drops(buf, field),
        |out| {
            if client.site.rules.forwarded.via {
                out.extend_from_slice(VIA);
            }
            if !edits.is_empty() {
                edits.write(out, &values(client, turn));
            }
        },
    );
    turn.down.out = out;
}

/// Streams the response's body, and what is left of the request's.
async fn stream<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
    lease: &Lease,
    upstream: &mut Upstream,
) -> Result<(), Failure> {
    let mut asking = !turn.up.is_done();
    let mut moves = None;
    poll_fn(|cx| {
        if asking {
            asking = ask_on(cx, client, turn, upstream)?;
        }
        let Client {
            stream,
            watch,
            site,
            ..
        } = &mut *client;
        match turn.down.poll(cx, upstream.stream(), stream) {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(broken)) => return Poll::Ready(Err(broke_off(&broken))),
            Poll::Pending => {}
        }
        let moved = turn.down.moves + turn.up.moves;
        if moves.replace(moved) != Some(moved) {
            watch.begin(match turn.down.waits {
                Waits::Source => site.rules.timeouts.response_body,
                Waits::Sink => site.rules.timeouts.send,
            });
        }
        watch.poll(cx, Some(lease.backend())).map(|late| {
            Err(match (late, turn.down.waits) {
                (Late::Cut, _) => Failure::CUT_WITHIN,
                (Late::Timeout, Waits::Source) => Failure::RESPONSE_BODY_TIMEOUT,
                (Late::Timeout, Waits::Sink) => Failure::SEND_TIMEOUT,
            })
        })
    })
    .await
}

/// Goes on sending the request while its answer arrives; whether there is more to send. A backend that takes no
/// more of it has answered without: that is its right.
fn ask_on<S: Stream>(
    cx: &mut Context<'_>,
    client: &mut Client<S>,
    turn: &mut Turn,
    upstream: &mut Upstream,
) -> Result<bool, Failure> {
    match turn.up.poll(cx, &mut client.stream, upstream.stream()) {
        Poll::Pending => Ok(true),
        Poll::Ready(Ok(()) | Err(Broken::Sink)) => Ok(false),
        Poll::Ready(Err(broken)) => Err(client_fault(&broken).too_late()),
    }
}

fn broke_off(broken: &Broken) -> Failure {
    match broken {
        Broken::Sink => Failure::CLIENT_GONE,
        Broken::Malformed(reason) => Failure::from(h1::Reject::backend(*reason)).too_late(),
        Broken::Source | Broken::Truncated | Broken::TooLarge => Failure::RESPONSE_TRUNCATED,
    }
}
