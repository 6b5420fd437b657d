//! Work of a test's own on a host of a [`Site`]: sockets that are opened there belong to that host.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Site, wait_for};

/// How long anything may take that is not expected to.
const PATIENCE: Duration = Duration::from_secs(30);

impl Site {
    /// Runs `work` on a host, on a thread of its own.
    pub fn spawn<T: Send + 'static>(
        &self,
        host: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let file = File::open(self.namespace(host)).unwrap();
        thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        })
    }

    /// Runs `work` on a host, and waits for what comes of it.
    pub fn inside<T: Send + 'static>(
        &self,
        host: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.spawn(host, work).join().unwrap()
    }

    /// A connection of the client's.
    ///
    /// # Errors
    /// There is none within a few seconds.
    pub fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.inside("client", move || connect(to))
    }

    /// The service's address.
    #[must_use]
    pub fn service_address(&self) -> SocketAddr {
        self.service().parse().unwrap()
    }

    /// A server on a host that sends back what comes by TCP, after a line that says who it is, and gives back
    /// datagrams. It lasts as long as the test's process.
    pub fn echo(&self, host: &str, at: SocketAddr) {
        let who = format!("{host}\n");
        let (listener, socket) = self.inside(host, move || {
            (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap())
        });
        drop(thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let who = who.clone();
                drop(thread::spawn(move || echo(stream, &who)));
            }
        }));
        drop(thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            // A port that refuses what is sent to it is told here; it is no end.
            loop {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
        }));
    }
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn echo(mut stream: TcpStream, who: &str) -> Option<()> {
    stream.write_all(who.as_bytes()).ok()?;
    let mut buffer = [0; 65_536];
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        stream.write_all(buffer.get(..length)?).ok()?;
    }
}

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
        let stream = site.connect(site.service_address()).unwrap();
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

fn download(mut stream: TcpStream, length: usize, state: &State) -> Result<(), String> {
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

/// New connections to the service, one after the other, until they are told to end: none may fail.
#[derive(Debug)]
pub struct Knocks {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Knocks {
    /// Begins.
    #[must_use]
    pub fn begin(site: &Site) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (until, to) = (Arc::clone(&over), site.service_address());
        let thread = site.spawn("client", move || {
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
        });
        Self { over, thread }
    }

    /// Ends; all must have been answered. How many there were.
    pub fn end(self) -> usize {
        self.over.store(true, Relaxed);
        let (count, failed) = self.thread.join().unwrap();
        assert!(
            failed.is_empty(),
            "of {count} connections failed {failed:?}"
        );
        count
    }
}

fn knock(to: SocketAddr) -> io::Result<()> {
    let mut stream = connect(to)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer)?;
    if answer.contains("backend ") {
        return Ok(());
    }
    Err(io::Error::other(format!("an answer of {answer:?}")))
}

/// Waits until the daemon has `count` backends that are up, in all pools together.
pub fn wait_for_up(daemon: &crate::Daemon, count: usize) {
    wait_for(&format!("{count} backends to be up"), || {
        states(daemon).iter().filter(|s| *s == "up").count() == count
    });
}

/// The states of all backends.
#[must_use]
pub fn states(daemon: &crate::Daemon) -> Vec<String> {
    let Some(status) = daemon.status() else {
        return Vec::new();
    };
    let pools = status["pools"].as_array().unwrap();
    let backends = pools.iter().flat_map(|p| p["backends"].as_array().unwrap());
    backends
        .map(|b| b["state"].as_str().unwrap().to_owned())
        .collect()
}

/// A connection to one of [`Site::echo`]'s servers.
#[derive(Debug)]
pub struct Talk {
    stream: TcpStream,
    /// The server that it came to: `server2`.
    pub who: String,
}

impl Talk {
    /// Begins one, of the client's.
    ///
    /// # Errors
    /// Nobody is there within a few seconds.
    pub fn begin(site: &Site, to: SocketAddr) -> io::Result<Self> {
        Self::over(site.connect(to)?)
    }

    /// As many as wanted.
    ///
    /// # Errors
    /// One of them does not come about.
    pub fn begin_many(site: &Site, to: SocketAddr, count: usize) -> io::Result<Vec<Self>> {
        site.inside("client", move || {
            (0..count).map(|_| Self::over(connect(to)?)).collect()
        })
    }

    fn over(mut stream: TcpStream) -> io::Result<Self> {
        // The client speaks first: a server in distress (SYN cookies) knows of it only by what it sends.
        stream.write_all(b"?")?;
        let mut who = Vec::new();
        let mut byte = [0];
        while byte != *b"\n" {
            stream.read_exact(&mut byte)?;
            who.extend(byte);
        }
        let who = String::from_utf8_lossy(&who).trim_end().to_owned();
        let mut talk = Self { stream, who };
        talk.hear(b"?")?;
        Ok(talk)
    }

    /// Says something, and has it said back.
    ///
    /// # Errors
    /// It is not said back within a generous while.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())?;
        self.hear(text.as_bytes())
    }

    /// Says something and does not wait.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits for what is said back.
    ///
    /// # Errors
    /// It does not come, or is something else.
    pub fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut back = vec![0; bytes.len()];
        self.stream.read_exact(&mut back)?;
        if back == bytes {
            return Ok(());
        }
        Err(io::Error::other("something else was said back"))
    }

    /// Whether nothing comes for this long.
    #[must_use]
    pub fn is_silent(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let got = self.stream.read(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        got.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Ends it with a reset: nobody remembers it.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// Uploads `length` bytes while they come back.
    ///
    /// # Errors
    /// They do not all come back.
    pub fn push(&mut self, length: usize) -> io::Result<()> {
        let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let mut writer = self.stream.try_clone()?;
        thread::scope(|scope| {
            let sent = scope.spawn(|| writer.write_all(&bytes));
            self.hear(&bytes)?;
            sent.join().unwrap()
        })
    }
}
