//! A client's connection: idle, served, idle again, until one of the two sides has had enough.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use tokio::io::ReadBuf;

use super::{exchange::exchange, io::Stream, site::Site, told, turn::Turn, watch::Watch};
use crate::worker::{Ends, Entry, clock};

/// How long an idle connection stays when it is to go: a client that keeps it busy has its next request answered
/// with `Connection: close`, and no request crosses with our closing.
const PARTING: Duration = Duration::from_secs(2);

/// How long, and for how many bytes, we read on after an answer that ends a connection. A connection that is closed
/// with bytes unread is reset, and the answer may be lost on the way (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another request may come.
    Keep,
    /// It ends.
    Close,
    /// It ends, but the client may still be sending.
    Linger,
}

/// A client's connection, as its requests see it.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    pub(crate) watch: Watch,
    pub(crate) site: Rc<Site>,
    /// The client.
    pub(crate) address: SocketAddr,
    /// What it connected to, as far as that is known.
    pub(crate) local: Option<SocketAddr>,
    /// Whether what it says of those before it is believed.
    pub(crate) trusted: bool,
}

/// Serves a client until its connection ends.
///
/// An idle connection is no more than this future: buffers and the future of a request in being are taken when
/// bytes arrive, and given back before the next wait.
pub(crate) async fn serve<S: Stream>(
    entry: Entry,
    stream: S,
    ends: Ends,
    local: Option<SocketAddr>,
) {
    let Some(site) = entry.service.http() else {
        return;
    };
    let mut client = Client {
        stream,
        address: ends.client,
        local,
        trusted: told::is_trusted(&site.rules.forwarded, ends.client.ip()),
        site,
        watch: Watch::new(entry),
    };
    while readable(&mut client).await {
        let worker = Rc::clone(&client.watch.entry.worker);
        let mut turn = worker.http.take();
        let next = Box::pin(serve_ready(&mut client, &mut turn)).await;
        worker.http.give(turn);
        match next {
            Next::Keep => {}
            Next::Close => return,
            Next::Linger => return Box::pin(linger(&mut client)).await,
        }
    }
}

/// Waits for a request to begin; false if none will.
async fn readable<S: Stream>(client: &mut Client<S>) -> bool {
    let Client {
        stream,
        watch,
        site,
        ..
    } = client;
    watch.begin(site.rules.timeouts.keep_alive);
    poll_fn(|cx| {
        if let Poll::Ready(result) = stream.poll_readable(cx) {
            return Poll::Ready(result.is_ok());
        }
        if watch.entry.is_closing() {
            watch.shorten(clock::coarse() + PARTING);
        }
        watch.poll(cx, None).map(|_| false)
    })
    .await
}

/// Serves what is on hand: one request, or as many as were sent without waiting.
async fn serve_ready<S: Stream>(client: &mut Client<S>, turn: &mut Turn) -> Next {
    loop {
        let next = exchange(client, turn).await;
        turn.up.buf.drop_head();
        turn.down.reset();
        if next != Next::Keep || turn.up.buf.data().is_empty() {
            return next;
        }
    }
}

/// Ends our side, and reads on until the client has ended its own.
async fn linger<S: Stream>(client: &mut Client<S>) {
    let Client { stream, watch, .. } = client;
    watch.begin(LINGER);
    let mut left = LINGER_BYTES;
    let mut scratch = vec![0; 4096];
    let mut stream = pin!(stream);
    let mut ended = false;
    poll_fn(|cx| {
        if !ended {
            match Pin::new(&mut **stream).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => ended = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        loop {
            let mut into = ReadBuf::new(&mut scratch);
            match Pin::new(&mut **stream).poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() && into.filled().len() < left => {
                    left -= into.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return watch.poll(cx, None).map(|_| ()),
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    const fn size<A, B, C, D, F>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// What a request takes while it is served comes from the allocator's quick lists (glibc: up to 1032 bytes).
    #[test]
    fn a_request_in_being_is_not_large() {
        fn ready<'a>(client: &'a mut Client<TcpStream>, turn: &'a mut Turn) -> impl Future + 'a {
            serve_ready(client, turn)
        }
        const fn size<A, B, F>(_: fn(A, B) -> F) -> usize {
            size_of::<F>()
        }
        let size = size(ready);
        assert!(size <= 1024, "{size}");
    }

    /// Ten thousand idle clients may cost 2 KiB each; the event loop and the timer need their share of that.
    #[test]
    fn an_idle_connection_is_small() {
        let size = size(serve::<TcpStream>);
        assert!(size <= 768, "{size}");
    }
}
