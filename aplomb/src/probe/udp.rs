//! UDP: a datagram, and what must come back.

use control::{engine::ProbeFailure, spec::check::Expect};
use rustix::{buffer::spare_capacity, net::RecvFlags};
use tokio::{io::Interest, net::UdpSocket};

use super::{
    KEPT, Verdict,
    attempt::{Attempt, PASSED},
    expect,
};

/// Sends a datagram and expects something of the one that comes back, or anything.
pub(super) async fn probe(attempt: &Attempt, send: &[u8], expected: Option<&Expect>) -> Verdict {
    let socket = ask(attempt, send).await?;
    let answer = receive(attempt, &socket).await?;
    let Some(expected) = expected else {
        return PASSED;
    };
    let mut search = expect::Search::new(expected, &attempt.tools)?;
    if search.found(&answer, true) {
        return Ok(());
    }
    Err(expect::missing("the answer", &answer))
}

/// Sends a datagram and fails only if the network says that nobody is there: without an answer to expect,
/// silence passes, but only the whole timeout tells it from a refusal still under way.
pub(super) async fn probe_for_refusal(
    attempt: &Attempt,
    send: &[u8],
    timeout: std::time::Duration,
) -> Verdict {
    tokio::time::timeout(timeout, probe(attempt, send, None))
        .await
        .unwrap_or(PASSED)
}

/// A connected socket over which `bytes` were sent.
pub(super) async fn ask(attempt: &Attempt, bytes: &[u8]) -> Result<UdpSocket, ProbeFailure> {
    let socket = attempt.udp().await?;
    attempt.now("sending");
    socket.send(bytes).await.map_err(|e| attempt.broken(&e))?;
    Ok(socket)
}

/// The next datagram.
pub(super) async fn receive(
    attempt: &Attempt,
    socket: &UdpSocket,
) -> Result<Vec<u8>, ProbeFailure> {
    attempt.now("waiting for the answer");
    let mut answer = Vec::new();
    // A refusal is an error of the socket, which tokio's own receive does not wake for.
    let received = socket.async_io(Interest::READABLE | Interest::ERROR, || {
        // Room is taken only now that there is something: a thousand waiting probes hold none.
        answer.reserve(KEPT);
        rustix::net::recv(socket, spare_capacity(&mut answer), RecvFlags::empty())?;
        Ok(())
    });
    received.await.map_err(|e| attempt.broken(&e))?;
    Ok(answer)
}
