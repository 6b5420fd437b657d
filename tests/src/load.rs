//! Load that keeps the score: every request that was not answered as it should be is named.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use crate::{Client, Response};

/// How a client of the load behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Many requests over one connection, until the server closes it.
    KeepAlive,
    /// A connection for each request.
    Once,
    /// 256 KiB answers over one connection.
    Large,
    /// POSTs, which nobody may send twice.
    Post,
}

/// A request that failed.
#[derive(Debug)]
pub struct Failed {
    /// Who sent it.
    pub mix: Mix,
    /// When it was sent.
    pub sent: Instant,
    /// When it failed.
    pub failed: Instant,
    /// How.
    pub how: String,
}

/// What the load saw.
#[derive(Debug)]
pub struct Score {
    /// Requests answered as they should be.
    pub passed: u64,
    /// The others.
    pub failed: Vec<Failed>,
}

/// Clients that go on until told to stop.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<Failed>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts one client for each entry of `clients` against `address`.
    #[must_use]
    pub fn start(address: SocketAddr, clients: &[Mix]) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            passed: Arc::default(),
            failed: Arc::default(),
            threads: Vec::new(),
        };
        for &mix in clients {
            let (stop, passed, failed) =
                (load.stop.clone(), load.passed.clone(), load.failed.clone());
            load.threads.push(std::thread::spawn(move || {
                run(address, mix, &stop, &passed, &failed)
            }));
        }
        load
    }

    /// Requests answered so far.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Ends the load and gives the score.
    #[must_use]
    pub fn stop(mut self) -> Score {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        Score {
            passed: self.passed(),
            failed: std::mem::take(&mut self.failed.lock().unwrap()),
        }
    }
}

fn run(
    address: SocketAddr,
    mix: Mix,
    stop: &AtomicBool,
    passed: &AtomicU64,
    failed: &Mutex<Vec<Failed>>,
) {
    let mut client = None;
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        match request(address, mix, &mut client) {
            Ok(()) => _ = passed.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                client = None;
                failed.lock().unwrap().push(Failed {
                    mix,
                    sent,
                    failed: Instant::now(),
                    how: error.to_string(),
                });
            }
        }
    }
}

/// One request. A kept connection may be closed by the server between two answers, though not without
/// saying so if it can: RFC 9112 section 9.5 has the client try again, once, on a new one.
fn request(address: SocketAddr, mix: Mix, client: &mut Option<Client>) -> io::Result<()> {
    let kept = client.is_some();
    let result = attempt(address, mix, client);
    match result {
        Err(error) if kept && mix != Mix::Post && is_close(&error) => {
            *client = None;
            attempt(address, mix, client)
        }
        other => other,
    }
}

/// Whether the connection ended before anything of the answer came (a torn answer is `Other`).
fn is_close(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
    )
}

fn attempt(address: SocketAddr, mix: Mix, client: &mut Option<Client>) -> io::Result<()> {
    let mut connection = match client.take() {
        Some(connection) => connection,
        None => Client::connect(address).map_err(|e| io::Error::other(format!("connect: {e}")))?,
    };
    let response = match mix {
        Mix::KeepAlive => connection.get("/")?,
        Mix::Large => connection.get("/large")?,
        Mix::Once => {
            connection
                .send(b"GET / HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n")?;
            connection.receive(false)?
        }
        Mix::Post => {
            connection.send(
                b"POST /post HTTP/1.1\r\nHost: test.example\r\nContent-Length: 5\r\n\r\nhello",
            )?;
            connection.receive(false)?
        }
    };
    judge(mix, &response)?;
    if mix != Mix::Once && !response.closes() {
        *client = Some(connection);
    }
    Ok(())
}

fn judge(mix: Mix, response: &Response) -> io::Result<()> {
    if response.status != 200 {
        return Err(io::Error::other(format!(
            "status {}: {}",
            response.status,
            response.text().trim()
        )));
    }
    if mix == Mix::Large && response.body.len() != 256 << 10 {
        return Err(io::Error::other(format!("{} bytes", response.body.len())));
    }
    Ok(())
}
