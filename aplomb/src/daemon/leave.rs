//! The end: nothing more is accepted, what goes on may finish, and everything is put away.

use std::{sync::Arc, thread, time::Duration};

use proxy::plane::Stop;

use super::{
    conductor::{Conductor, End},
    engine::Ask,
    handle::{Phase, Rejected, Request, Shutdown},
    signals::Wish,
};

/// However long an address took to go: what came by others has this long to finish.
const LEAST: Duration = Duration::from_secs(2);

impl Conductor {
    /// Ends for this reason. `engine` is the engine's thread.
    pub(super) async fn leave(mut self, end: End, engine: thread::JoinHandle<()>) {
        self.about.enter(Phase::Draining);
        if end == End::HandedOver {
            self.server.retire();
        } else {
            self.systemd.stopping(self.spec.proxy.drain);
        }
        drop(self.door.take());
        let limit = self.spec.proxy.drain;
        let until = tokio::time::Instant::now() + limit;
        // Kept out to the end: nothing more is accepted after this.
        let _leaving = match end {
            End::HandedOver => {
                self.vips.rest();
                None
            }
            End::Shutdown(Shutdown::Now) => {
                self.vips.stop().await;
                None
            }
            // What came by an address ends before that goes. The rest need not wait for it: another node is to have the
            // addresses as soon as it may.
            End::Shutdown(Shutdown::Graceful) => {
                let vips = Arc::clone(&self.vips);
                let leaving = self.unless_cut(async { vips.drain(None).await }).await;
                self.vips.stop().await;
                leaving
            }
        };
        if end != End::Shutdown(Shutdown::Now) {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            self.drain(end, left.max(LEAST.min(limit))).await;
        }
        self.put_away(engine).await;
        tracing::info!("ended");
    }

    /// Lets what goes on finish, unless somebody cannot wait.
    async fn drain(&mut self, end: End, limit: Duration) {
        let stop = match end {
            End::HandedOver => Stop::HandedOver,
            End::Shutdown(_) => Stop::Final,
        };
        tracing::info!(?limit, "nothing more is accepted; what goes on may finish");
        self.plane.stop_accepting(stop).wait().await;
        let done = self.plane.drain(limit).wait();
        let _ = self.unless_cut(done).await;
    }

    /// Waits for this, unless somebody cannot wait.
    async fn unless_cut<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                wish = self.signals.next() => match wish {
                    Wish::End => {
                        tracing::warn!("told again to end: what goes on is cut");
                        return None;
                    }
                    Wish::ReopenLogs => self.reopen_logs(),
                    Wish::Reload | Wish::Upgrade => {}
                },
                Some(request) = self.requests.recv() => match request {
                    Request::Shutdown(Shutdown::Now) => return None,
                    Request::Shutdown(Shutdown::Graceful) => {}
                    Request::ReopenLogs => self.reopen_logs(),
                    other => turn_away(other),
                },
            }
        }
    }

    async fn put_away(self, engine: thread::JoinHandle<()>) {
        let Self {
            plane,
            server,
            engine: asks,
            ..
        } = self;
        let cut = plane.stats().workers.cut;
        if cut > 0 {
            tracing::warn!(cut, "connections were cut");
        }
        // The last answers go out before what they speak of goes.
        drop(server);
        let _ = asks.send(Ask::Stop).await;
        let _ = engine.join();
        // Nobody else has the plane any more; if somebody had, the process would end all the same.
        if let Some(plane) = Arc::into_inner(plane) {
            plane.stop();
        }
    }
}

fn turn_away(request: Request) {
    match request {
        Request::Apply { reply, .. } | Request::Reload(reply) => {
            let _ = reply.send(Err(Rejected::Stopping));
        }
        Request::Upgrade { reply, .. } => {
            let _ = reply.send(Err(Rejected::Stopping.to_string()));
        }
        Request::IpvsEdit { reply, .. } => {
            let _ = reply.send(Err(Rejected::Stopping));
        }
        // Its reply goes with it, which says that the daemon has ended.
        Request::IpvsTable(_) | Request::ReopenLogs | Request::Shutdown(_) => {}
    }
}
