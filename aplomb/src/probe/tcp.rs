//! TCP: a connection, and bytes sent and expected over it.

use control::spec::check::Expect;
use tokio::io::AsyncWriteExt;

use super::{
    Verdict,
    attempt::{Attempt, PASSED},
    expect,
};

/// Connects; sends and expects what there is to send and expect.
pub(super) async fn probe(
    attempt: &Attempt,
    send: Option<&[u8]>,
    expected: Option<&Expect>,
) -> Verdict {
    let mut stream = attempt
        .connect(send.is_some() || expected.is_some())
        .await?;
    if let Some(bytes) = send {
        attempt.now("sending");
        stream
            .write_all(bytes)
            .await
            .map_err(|e| attempt.broken(&e))?;
    }
    match expected {
        Some(expected) => expect::read_until(attempt, &mut stream, expected).await,
        None => PASSED,
    }
}
