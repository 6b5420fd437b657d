//! Decisions as a stream of lines: what goes over the wire while somebody listens.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use l4::trace::{Decision as Theirs, Listener};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::super::super::model::Decision;

/// From one look for decisions to the next.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks without a decision until an empty line shows that all is well, and finds out whether somebody still reads.
const QUIET: u32 = 20;
/// The most decisions of one look: what comes faster waits.
const AT_ONCE: usize = 500;

/// A body that goes on until its reader, or the plane, is gone.
pub(super) struct Lines {
    listener: Listener,
    looks: Interval,
    quiet: u32,
    over: bool,
}

impl Lines {
    /// What `listener` hears.
    pub(super) fn of(listener: Listener) -> Self {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            listener,
            looks,
            quiet: 0,
            over: false,
        }
    }

    /// What there is now.
    fn look(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..AT_ONCE {
            match self.listener.next_now() {
                Ok(Some(decision)) => {
                    // Plain values always have a JSON form.
                    let _ = serde_json::to_writer(&mut text, &line(decision));
                    text.push(b'\n');
                }
                Ok(None) => break,
                Err(_) => {
                    self.over = true;
                    break;
                }
            }
        }
        self.quiet = if text.is_empty() { self.quiet + 1 } else { 0 };
        if self.quiet >= QUIET {
            self.quiet = 0;
            text.push(b'\n');
        }
        text
    }
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            if self.looks.poll_tick(context).is_pending() {
                return Poll::Pending;
            }
            let text = self.look();
            if !text.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(text.into()))));
            }
        }
    }
}

fn line(theirs: Theirs) -> Decision {
    Decision {
        nanos: theirs.nanos,
        source: theirs.source.to_string(),
        destination: theirs.destination.to_string(),
        protocol: theirs.protocol.into_owned(),
        verdict: theirs.verdict.into_owned(),
        reason: theirs.reason.map(std::borrow::Cow::into_owned),
        service: theirs.service,
        backend: theirs.backend.map(|backend| backend.to_string()),
        interface: theirs.interface,
        length: theirs.length,
        one_in: theirs.one_in,
        missed: theirs.missed,
    }
}
