//! Probes against real servers on loopback: polite ones, wrong ones and hostile ones.

#![allow(clippy::unwrap_used, reason = "tests")]

mod agent;
mod dns;
mod exec;
mod http;
mod load;
mod tcp;
mod tls;
mod udp;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use control::{
    engine::{Event, Failure, ProbeFailure},
    health::State,
    name::BackendKey,
    spec::{CheckSpec, ProbeKind, Share},
};
use tokio::sync::mpsc;

use super::{Job, Prober};

/// Long enough for a loaded machine; a test that passes never waits for it.
const PATIENCE: Duration = Duration::from_secs(20);
/// For what must time out.
const SHORT: Duration = Duration::from_millis(60);

/// An address at which nobody listens: a port that was just free.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A TCP server that treats each connection so, one after the other.
fn serve(treat: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(thread::spawn(move || {
        listener
            .incoming()
            .for_each(|stream| treat(stream.unwrap()))
    }));
    address
}

/// A server that reads a little and sends these bytes, then closes.
fn answer(bytes: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(bytes);
    })
}

/// Sends bytes one by one for ever.
fn drip(mut stream: TcpStream, first: &[u8], then: u8) {
    let _ = stream.set_nodelay(true);
    let mut sent = stream.write_all(first);
    while sent.is_ok() {
        sent = stream.write_all(&[then]);
        thread::sleep(Duration::from_micros(200));
    }
}

fn backend(address: SocketAddr) -> BackendKey {
    BackendKey {
        pool: "test".parse().unwrap(),
        address,
    }
}

fn spec(probe: ProbeKind, timeout: Duration) -> CheckSpec {
    CheckSpec {
        probe,
        interval: Duration::from_secs(1),
        interval_down: Duration::from_secs(1),
        jitter: Share::NONE,
        timeout,
        rise: 1,
        fall: 1,
        port: None,
        source: None,
        damping: None,
    }
}

/// What comes of one probe of `target`.
fn check(probe: ProbeKind, target: SocketAddr, timeout: Duration) -> Result<(), ProbeFailure> {
    run(spec(probe, timeout), target)
}

fn run(spec: CheckSpec, target: SocketAddr) -> Result<(), ProbeFailure> {
    let job = Job::Check {
        backend: backend(target),
        check: 0,
        id: 7,
        spec: Arc::new(spec),
        target,
        state: State::Down,
    };
    match ask(job) {
        Event::Probed { id: 7, result, .. } => result.outcome,
        other => panic!("{other:?}"),
    }
}

/// The event that a job ends in.
fn ask(job: Job) -> Event {
    let (events, mut arriving) = mpsc::channel(1);
    let prober = Prober::start(events, 8).unwrap();
    prober.queue(job);
    arriving.blocking_recv().unwrap()
}

/// The failure's kind, and its text.
fn failure(outcome: Result<(), ProbeFailure>) -> (Failure, String) {
    let failure = outcome.unwrap_err();
    (failure.kind, failure.detail)
}
