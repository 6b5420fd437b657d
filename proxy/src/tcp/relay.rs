//! Both directions of a connection together: until both have ended, one breaks, or time is up.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use control::{spec::service::TcpSpec, time::Instant};
use rustix::net::{Shutdown, shutdown};
use tokio::net::TcpStream;

use super::lane::{Broken, Lane};
use crate::{
    net::reset_on_close,
    stats::{Fault, Reason, Side},
    worker::{Entry, Lease, Timer, clock, service::earlier},
};

/// What a relayed connection is made of.
pub(super) struct Relay<'a> {
    pub(super) entry: &'a Entry,
    pub(super) lease: &'a Lease,
    pub(super) timer: &'a Timer,
    pub(super) spec: &'a TcpSpec,
    pub(super) client: &'a mut TcpStream,
    pub(super) backend: &'a mut TcpStream,
    pub(super) to_backend: Lane,
    pub(super) to_client: Lane,
}

/// Which directions have ended.
#[derive(Clone, Copy, Default)]
struct Ended {
    to_backend: bool,
    to_client: bool,
}

impl Relay<'_> {
    /// Relays until both sides have finished.
    ///
    /// # Errors
    /// Why it ended before; then the side that still listens is reset, so that it does not take a part for the whole.
    pub(super) async fn run(&mut self) -> Result<(), Fault> {
        let mut ended = Ended::default();
        let mut idle_from = clock::coarse();
        let outcome = poll_fn(|cx| self.poll(cx, &mut ended, &mut idle_from)).await;
        if outcome.is_err() {
            reset_on_close(self.client);
            reset_on_close(self.backend);
        }
        outcome
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ended: &mut Ended,
        idle_from: &mut Instant,
    ) -> Poll<Result<(), Fault>> {
        let before = (self.to_backend.moved, self.to_client.moved);
        let outcome = self.poll_lanes(cx, ended);
        let moved = (
            self.to_backend.moved - before.0,
            self.to_client.moved - before.1,
        );
        if moved != (0, 0) {
            *idle_from = clock::coarse();
            self.count(moved.0, moved.1);
        }
        match outcome {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => self.poll_time(cx, *ended, *idle_from),
        }
    }

    fn poll_lanes(&mut self, cx: &mut Context<'_>, ended: &mut Ended) -> Poll<Result<(), Fault>> {
        let worker = &*self.entry.worker;
        let broken = |side| Poll::Ready(Err(Fault::new(side, Reason::Closed)));
        if !ended.to_backend {
            match self.to_backend.poll(cx, worker, self.client, self.backend) {
                Poll::Ready(Ok(())) => {
                    ended.to_backend = true;
                    pass_end_on(self.backend, ended.to_client);
                }
                Poll::Ready(Err(Broken::Sender)) => return broken(Side::Client),
                Poll::Ready(Err(Broken::Receiver)) => return broken(Side::Backend),
                Poll::Pending => {}
            }
        }
        if !ended.to_client {
            match self.to_client.poll(cx, worker, self.backend, self.client) {
                Poll::Ready(Ok(())) => {
                    ended.to_client = true;
                    pass_end_on(self.client, ended.to_backend);
                }
                Poll::Ready(Err(Broken::Sender)) => return broken(Side::Backend),
                Poll::Ready(Err(Broken::Receiver)) => return broken(Side::Client),
                Poll::Pending => {}
            }
        }
        if ended.to_backend && ended.to_client {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Whether the connection has been idle for too long, or is to be cut.
    fn poll_time(
        &self,
        cx: &mut Context<'_>,
        ended: Ended,
        idle_from: Instant,
    ) -> Poll<Result<(), Fault>> {
        let idle_until = idle_from + self.patience(ended);
        let cut_at = earlier(self.entry.cut_at(), self.lease.backend().cut_at());
        self.timer
            .arm_at(cut_at.map_or(idle_until, |cut_at| cut_at.min(idle_until)));
        if self.timer.poll_expired(cx).is_pending() {
            return Poll::Pending;
        }
        if cut_at.is_some_and(|cut_at| cut_at <= idle_until) {
            self.entry.worker.count_cut();
            return Poll::Ready(Err(Fault::new(Side::Proxy, Reason::Cut)));
        }
        let side = if ended.to_backend {
            Side::Backend
        } else {
            Side::Client
        };
        Poll::Ready(Err(Fault::new(side, Reason::Timeout)))
    }

    fn patience(&self, ended: Ended) -> Duration {
        if ended.to_backend || ended.to_client {
            self.spec.half_close_timeout.min(self.spec.idle_timeout)
        } else {
            self.spec.idle_timeout
        }
    }

    fn count(&self, to_backend: u64, to_client: u64) {
        let (service, backend) = (
            self.entry.service.counters(),
            self.lease.backend().counters(),
        );
        if to_backend > 0 {
            service.bytes_in.add(to_backend);
            backend.bytes_out.add(to_backend);
        }
        if to_client > 0 {
            service.bytes_out.add(to_client);
            backend.bytes_in.add(to_client);
        }
    }
}

/// Tells a side that the other has finished, unless closing is about to tell it.
fn pass_end_on(stream: &TcpStream, closing: bool) {
    if !closing {
        // Fails only if the connection is gone, which the other direction will find out.
        let _ = shutdown(stream, Shutdown::Write);
    }
}
