//! What follows a switch of protocols (101): bytes both ways, until both sides have ended.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    client::{Client, Next},
    failure::Failure,
    h1::Framing,
    io::Stream,
    lane::{Broken, Lane},
    turn::Turn,
    upstream::Upstream,
    watch::Late,
};
use crate::worker::Lease;

/// Carries bytes both ways; the head of the 101 is in `turn.down.out`, and either side may have sent on already.
///
/// # Errors
/// One side failed, or neither sent anything for too long.
pub(crate) async fn tunnel<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
    lease: &Lease,
    mut upstream: Upstream,
) -> Result<Next, Failure> {
    turn.up.start(Framing::UntilClose, Framing::UntilClose);
    turn.down.start(Framing::UntilClose, Framing::UntilClose);
    let Client {
        stream,
        watch,
        site,
        ..
    } = client;
    let (mut asked, mut answered) = (false, false);
    let mut moves = None;
    let result = poll_fn(|cx| {
        if !asked {
            asked =
                carry(cx, &mut turn.up, stream, upstream.stream()).map_err(|b| client_ended(&b))?;
        }
        if !answered {
            answered = carry(cx, &mut turn.down, upstream.stream(), stream)
                .map_err(|b| backend_ended(&b))?;
        }
        if asked && answered {
            return Poll::Ready(Ok(Next::Close));
        }
        let moved = turn.up.moves + turn.down.moves;
        if moves.replace(moved) != Some(moved) {
            watch.begin(site.rules.timeouts.tunnel);
        }
        watch.poll(cx, Some(lease.backend())).map(|late| {
            Err(match late {
                Late::Timeout => Failure::TUNNEL_TIMEOUT,
                Late::Cut => Failure::CUT_WITHIN,
            })
        })
    })
    .await;
    let counters = lease.backend().counters();
    counters.bytes_out.add(turn.up.sent);
    counters.bytes_in.add(turn.down.carried);
    result
}

/// Carries one direction, and passes its end on (half-close); whether it is over.
fn carry<R, W>(
    cx: &mut Context<'_>,
    lane: &mut Lane,
    source: &mut R,
    sink: &mut W,
) -> Result<bool, Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut both = || -> Poll<Result<(), Broken>> {
        ready!(lane.poll(cx, source, sink))?;
        Pin::new(&mut *sink)
            .poll_shutdown(cx)
            .map_err(|_| Broken::Sink)
    };
    match both() {
        Poll::Pending => Ok(false),
        Poll::Ready(result) => result.map(|()| true),
    }
}

fn client_ended(broken: &Broken) -> Failure {
    match broken {
        Broken::Sink => Failure::RESPONSE_TRUNCATED,
        _ => Failure::CLIENT_GONE,
    }
}

fn backend_ended(broken: &Broken) -> Failure {
    match broken {
        Broken::Sink => Failure::CLIENT_GONE,
        _ => Failure::RESPONSE_TRUNCATED,
    }
}
