//! A little traffic, so that there is something to see.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Answers by who gave them.
    answered: BTreeMap<String, u64>,
    /// Requests without an answer, or with one that is not 200.
    pub(super) failed: u64,
}

impl Tally {
    /// `120 answered (backend 1: 40, …), 0 failed`.
    pub(super) fn line(&self) -> String {
        let total: u64 = self.answered.values().sum();
        let each: Vec<String> = self
            .answered
            .iter()
            .map(|(who, count)| format!("{who}: {count}"))
            .collect();
        format!(
            "{total} answered ({}), {} failed",
            each.join(", "),
            self.failed
        )
    }
}

/// Requests to one address, evenly spread over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    tally: Arc<Mutex<Tally>>,
}

impl Load {
    /// Begins to send `per_second` requests to `address`, on the current tokio runtime: over one connection, or each
    /// over one of its own.
    pub(super) fn start(address: SocketAddr, per_second: u32, keep: bool) -> Self {
        let load = Self::default();
        if per_second > 0 {
            drop(tokio::spawn(load.clone().run(address, per_second, keep)));
        }
        load
    }

    /// What became of them so far.
    pub(super) fn tally(&self) -> Tally {
        // Nobody panics while holding it.
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.clone()
    }

    async fn run(self, address: SocketAddr, per_second: u32, keep: bool) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut connection = None;
        loop {
            let _ = ticks.tick().await;
            let answer = timeout(PATIENCE, ask(&mut connection, address)).await;
            let answer = answer.ok().flatten();
            if answer.is_none() || !keep {
                connection = None;
            }
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Some(who) => *tally.answered.entry(who).or_default() += 1,
                None => tally.failed += 1,
            }
        }
    }
}

type Connection = SendRequest<Empty<Bytes>>;

/// Asks once, over the connection there is or over a new one; says who answered, if all went well.
async fn ask(connection: &mut Option<Connection>, address: SocketAddr) -> Option<String> {
    if connection.as_ref().is_none_or(SendRequest::is_closed) {
        *connection = Some(connect(address).await?);
    }
    let sender = connection.as_mut()?;
    sender.ready().await.ok()?;
    let request = Request::get("/")
        .header("host", address.to_string())
        .body(Empty::new())
        .ok()?;
    let response = sender.send_request(request).await.ok()?;
    let is_good = response.status().is_success();
    let body = Limited::new(response.into_body(), 4096).collect().await;
    let text = body.ok()?.to_bytes();
    let text = String::from_utf8_lossy(&text);
    let who = text.split(" (").next()?.to_owned();
    is_good.then_some(who)
}

async fn connect(address: SocketAddr) -> Option<Connection> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    drop(tokio::spawn(connection));
    Some(sender)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{super::backend::Backend, *};

    #[tokio::test]
    async fn it_counts_who_answers_and_who_does_not() {
        let backend = Backend::start(1).unwrap();
        let load = Load::start(backend.address, 500, true);
        let patience = tokio::time::Instant::now() + Duration::from_secs(10);
        let wait = async |until: fn(&Tally) -> bool| {
            while !until(&load.tally()) {
                assert!(tokio::time::Instant::now() < patience, "{:?}", load.tally());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        wait(|tally| tally.answered.get("backend 1").is_some_and(|n| *n >= 3)).await;
        assert_eq!(load.tally().failed, 0);
        backend.switch();
        wait(|tally| tally.failed >= 3).await;
        assert!(load.tally().line().contains("answered (backend 1: "));
    }
}
