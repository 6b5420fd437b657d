//! Clients and backends that speak just enough HTTP, and a plane between them.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use control::spec::{HttpSpec, PoolSpec, ServiceKind, ServiceSpec};

use crate::rig::{self, Kind, Rig};

/// A plane of one worker, with an HTTP service before these backends.
pub fn site(backends: &[SocketAddr], edit: impl FnOnce(&mut HttpSpec, &mut PoolSpec)) -> Rig {
    let mut rig = Rig::new(1);
    let mut pool = rig::pool_spec(backends);
    rig.service(Kind::Http, |service| edit(http(service), &mut pool));
    rig.members(
        pool,
        backends
            .iter()
            .map(|&address| rig::member(address))
            .collect(),
    );
    rig.apply();
    rig
}

pub fn plain(backends: &[SocketAddr]) -> Rig {
    site(backends, |_, _| {})
}

pub fn http(service: &mut ServiceSpec) -> &mut HttpSpec {
    match &mut service.kind {
        ServiceKind::Http(http) => http,
        _ => panic!("not an HTTP service"),
    }
}

/// One end of a connection, with what was received and not looked at yet.
pub struct Peer {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

/// A request or response, taken off a connection.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The value of a header, if there is exactly one line of it.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.head.lines().skip(1).filter_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        found.next().filter(|_| found.next().is_none())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Peer {
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub fn to(rig: &Rig) -> Self {
        Self::new(rig::connect(rig.address(Kind::Http)))
    }

    pub fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).unwrap();
    }

    /// Sends a request and takes its response.
    pub fn ask(&mut self, text: impl AsRef<[u8]>) -> Message {
        self.send(text);
        self.response()
    }

    /// A response to anything but HEAD.
    pub fn response(&mut self) -> Message {
        self.message(true).expect("a response")
    }

    /// A request; none if the connection ends first.
    pub fn request(&mut self) -> Option<Message> {
        self.message(false)
    }

    pub fn head(&mut self) -> Option<Message> {
        let head = self.until(b"\r\n\r\n")?;
        Some(Message {
            head: String::from_utf8(head).unwrap(),
            ..Message::default()
        })
    }

    fn message(&mut self, is_response: bool) -> Option<Message> {
        let mut message = self.head()?;
        if message.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = String::from_utf8(self.until(b"\r\n")?).unwrap();
                match usize::from_str_radix(line.trim(), 16).unwrap() {
                    0 => break,
                    n => {
                        message.body.extend(self.exactly(n)?);
                        assert_eq!(self.exactly(2)?, b"\r\n");
                    }
                }
            }
            loop {
                let line = String::from_utf8(self.until(b"\r\n")?).unwrap();
                if line == "\r\n" {
                    break;
                }
                message.trailers += &line;
            }
        } else if let Some(n) = message.header("content-length") {
            message.body = self.exactly(n.parse().unwrap())?;
        } else if is_response && !matches!(message.status(), 100..=199 | 204 | 304) {
            message.body = self.rest();
        }
        Some(message)
    }

    pub fn rest(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.unread);
        let _ = self.stream.read_to_end(&mut all).unwrap();
        all
    }

    /// Whether the other side ends the connection, without sending anything more.
    pub fn ends(&mut self) -> bool {
        self.unread.is_empty() && matches!(self.stream.read(&mut [0; 1]), Ok(0))
    }

    /// Whether nothing more comes for a while.
    pub fn is_open(&mut self) -> bool {
        self.stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let quiet = self
            .stream
            .read(&mut [0; 1])
            .is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock);
        self.stream.set_read_timeout(Some(rig::PATIENCE)).unwrap();
        quiet
    }

    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    pub fn exactly(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.unread.len() < n {
            self.more()?;
        }
        Some(self.unread.drain(..n).collect())
    }

    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|w| w == end) {
                return Some(self.unread.drain(..at + end.len()).collect());
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16384];
        let n = self.stream.read(&mut buffer).ok()?;
        self.unread.extend(&buffer[..n]);
        (n > 0).then_some(())
    }
}

/// What a backend was asked.
pub type Asked = Arc<Mutex<Vec<Message>>>;

/// A backend that answers every request as `answer` says, on connections that stay.
pub fn backend(
    answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let address = rig::backend(move |stream| {
        let mut peer = Peer::new(stream);
        while let Some(request) = peer.request() {
            let answer = answer(&request);
            seen.lock().unwrap().push(request);
            if peer.stream.write_all(&answer).is_err() {
                return;
            }
        }
    });
    (address, asked)
}

/// A backend that says `text` to everything.
pub fn saying(text: &'static str) -> SocketAddr {
    backend(move |_| ok(text)).0
}

/// A backend that answers with what it was sent.
pub fn mirror() -> (SocketAddr, Asked) {
    backend(|request| ok(&request.body))
}

/// A backend that talks as `talk` says, once for each connection.
pub fn scripted(talk: impl Fn(&mut Peer) + Send + Sync + 'static) -> SocketAddr {
    rig::backend(move |stream| talk(&mut Peer::new(stream)))
}

pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub const GET: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

pub fn post(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Bytes that do not repeat soon.
pub fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251 * 13) as u8).collect()
}
