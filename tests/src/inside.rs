//! Work of a test's own on a host of a [`Site`]: sockets that are opened there belong to that host.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Site, wait_for};

/// How long anything may take that is not expected to.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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
        let (listener, socket) = self.inside(host, move || {
            (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap())
        });
        echo_on(listener, host);
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

/// The part of [`Site::echo`] that is about TCP, on a listener of whichever host.
pub fn echo_on(listener: TcpListener, host: &str) {
    let who = format!("{host}\n");
    drop(thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let who = who.clone();
            drop(thread::spawn(move || echo(stream, &who)));
        }
    }));
}

pub(crate) fn connect(to: SocketAddr) -> io::Result<TcpStream> {
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

impl AsFd for Talk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
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

    /// Over a connection that a test made itself.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn on(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Self::over(stream)
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
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
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
