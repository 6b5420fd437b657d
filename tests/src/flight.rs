//! What is in flight while something happens to the daemon: downloads that must come whole, connections of which none
//! may fail.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    Site,
    inside::{PATIENCE, connect},
};

/// A download in flight: it goes on slowly until it is told to finish, and every byte is compared.
#[derive(Debug)]
pub struct Download {
    state: Arc<State>,
    length: usize,
    thread: JoinHandle<Result<(), String>>,
}

#[derive(Debug, Default)]
struct State {
    got: AtomicUsize,
    hurry: AtomicBool,
}

impl Download {
    /// Begins one of `length` bytes (of the labs' own servers) from the service.
    #[must_use]
    pub fn begin(site: &Site, length: usize) -> Self {
        Self::begin_from(site, site.service_address(), length)
    }

    /// The same from another address.
    #[must_use]
    pub fn begin_from(site: &Site, from: SocketAddr, length: usize) -> Self {
        let stream = site.connect(from).unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || download(stream, length, &shared));
        let download = Self {
            state,
            length,
            thread,
        };
        download.goes_on("it begins");
        download
    }

    /// Waits until more has come than buffers can have held.
    pub fn goes_on(&self, when: &str) {
        let before = self.state.got.load(Relaxed);
        let end = Instant::now() + PATIENCE;
        while self.state.got.load(Relaxed) < (before + (1 << 20)).min(self.length) {
            assert!(
                Instant::now() < end && !self.thread.is_finished(),
                "a download stands still at {} bytes when {when}",
                self.state.got.load(Relaxed)
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether nothing comes for a while.
    #[must_use]
    pub fn stands_still(&self) -> bool {
        // What is in buffers first.
        thread::sleep(Duration::from_millis(500));
        let before = self.state.got.load(Relaxed);
        thread::sleep(Duration::from_millis(500));
        self.state.got.load(Relaxed) == before
    }

    /// Gets the rest.
    pub fn finish(self) {
        self.state.hurry.store(true, Relaxed);
        let outcome = self.thread.join().unwrap();
        assert_eq!(
            outcome,
            Ok(()),
            "after {} bytes",
            self.state.got.load(Relaxed)
        );
    }
}

fn download(stream: TcpStream, length: usize, state: &State) -> Result<(), String> {
    let outcome = receive(stream, length, state);
    if let Err(why) = &outcome {
        // Whoever waits for it to go on does not ask for this.
        eprintln!("a download failed: {why}");
    }
    outcome
}

fn receive(mut stream: TcpStream, length: usize, state: &State) -> Result<(), String> {
    let words = |error: io::Error| error.to_string();
    // Little room, so that bytes that come have come over the wire just now.
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 64 << 10)
        .map_err(|e| words(e.into()))?;
    write!(
        stream,
        "GET /bytes/{length} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    .map_err(words)?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).map_err(words)?;
        head.push(byte[0]);
    }
    let mut buffer = [0; 32 << 10];
    let mut at = 0;
    while at < length {
        let got = stream.read(&mut buffer).map_err(words)?;
        if got == 0 {
            return Err("it was cut".into());
        }
        for (offset, byte) in buffer[..got].iter().enumerate() {
            let index = u32::try_from((at + offset) / 4).unwrap();
            let word = index.wrapping_mul(0x9e37_79b1).to_le_bytes();
            if word[(at + offset) % 4] != *byte {
                return Err(format!("byte {} is wrong", at + offset));
            }
        }
        at += got;
        state.got.store(at, Relaxed);
        if !state.hurry.load(Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

/// How many knock at a time: what one that waits would have met, another meets.
const KNOCKERS: usize = 4;

/// New connections to the service, some at a time, until they are told to end: none may fail.
#[derive(Debug)]
pub struct Knocks {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Knocks {
    /// Begins.
    #[must_use]
    pub fn begin(site: &Site) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let begin = |_| {
            let (until, to) = (Arc::clone(&over), site.service_address());
            site.spawn("client", move || knock_on(to, &until))
        };
        let threads = (0..KNOCKERS).map(begin).collect();
        Self { over, threads }
    }

    /// Ends; all must have been answered. How many there were.
    pub fn end(self) -> usize {
        self.over.store(true, Relaxed);
        let (mut count, mut failed) = (0, Vec::new());
        for thread in self.threads {
            let (its, also) = thread.join().unwrap();
            count += its;
            failed.extend(also);
        }
        assert!(
            failed.is_empty(),
            "of {count} connections failed {failed:?}"
        );
        count
    }
}

/// One after the other; how many, and what became of those that failed.
fn knock_on(to: SocketAddr, until: &AtomicBool) -> (usize, Vec<String>) {
    let (mut count, mut failed) = (0, Vec::new());
    // Bounded: one takes about a millisecond, and there are some ports.
    while !until.load(Relaxed) && count < 20_000 {
        if let Err(error) = knock(to) {
            failed.push(format!("{count}: {error}"));
        }
        count += 1;
        thread::sleep(Duration::from_millis(2));
    }
    (count, failed)
}

fn knock(to: SocketAddr) -> io::Result<()> {
    let stream = connect(to)?;
    let from = stream.local_addr()?;
    // Whoever looks for its packets knows it by its port.
    ask(stream).map_err(|error| io::Error::other(format!("from {from}: {error}")))
}

fn ask(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer)?;
    if answer.contains("backend ") {
        return Ok(());
    }
    Err(io::Error::other(format!("an answer of {answer:?}")))
}
