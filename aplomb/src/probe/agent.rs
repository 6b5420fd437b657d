//! Agents: a backend's own word on its state, one line of HAProxy's text protocol.

use control::{
    engine::{Failure, ProbeFailure},
    spec::AgentSpec,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{attempt::Attempt, failure::fail};

/// The longest line, in bytes.
const LINE: usize = 1024;

/// Connects, sends what there is to send, and reads one line: up to a line feed, or to the end of what comes.
pub(super) async fn ask(attempt: &Attempt, spec: &AgentSpec) -> Result<String, ProbeFailure> {
    let mut stream = attempt.connect(true).await?;
    if let Some(text) = &spec.send {
        attempt.now("sending");
        stream
            .write_all(text.as_bytes())
            .await
            .map_err(|e| attempt.broken(&e))?;
    }
    attempt.now("waiting for the agent's line");
    let mut line = Vec::new();
    loop {
        let room = (LINE + 1 - line.len()) as u64;
        let read = (&mut stream)
            .take(room)
            .read_buf(&mut line)
            .await
            .map_err(|e| attempt.broken(&e))?;
        if let Some(end) = memchr::memchr(b'\n', &line) {
            line.truncate(end);
            break;
        }
        if line.len() > LINE {
            return Err(fail(
                Failure::Protocol,
                "the agent's line is longer than 1 KiB",
            ));
        }
        if read == 0 {
            break;
        }
    }
    let text = String::from_utf8(line)
        .map_err(|_| fail(Failure::Protocol, "the agent's line is not text"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(fail(Failure::Protocol, "the agent said nothing"));
    }
    Ok(text.to_owned())
}
