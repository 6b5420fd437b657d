//! The backend of all benchmarks: one thread that answers from memory and costs little, so that what
//! is measured is what stands before it. It runs as a process of its own (`cargo xtask upstream`).
//!
//! It knows requests without a body, and the paths of [`Answer::of`]; anything else gets 100 bytes.

use crate::Result;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Key of the listening socket among the connections.
const LISTENER: u64 = 0;

/// Most bytes of a request head.
const HEAD_MAX: usize = 16 * 1024;

/// Serves on a free port of loopback, written to stdout as one line, until it is killed.
pub(crate) fn run() -> Result {
    serve().map_err(|e| format!("upstream: {e}"))
}

fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &poll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;

    let answers = Answers::new();
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next_key = LISTENER;
    let mut events = Vec::with_capacity(256);
    loop {
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for Event { data, .. } in events.drain(..) {
            let key = data.u64();
            if key != LISTENER {
                let done = connections
                    .get_mut(&key)
                    .is_none_or(|c| c.drive(&answers).is_err());
                if done {
                    drop(connections.remove(&key));
                }
                continue;
            }
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                next_key += 1;
                // Edge-triggered: each event is driven until the socket has no more.
                let wanted = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&poll, &stream, EventData::new_u64(next_key), wanted)?;
                let _ = connections.insert(next_key, Connection::new(stream));
            }
        }
    }
}

/// The sizes there are, in bytes of body.
#[derive(Clone, Copy)]
enum Answer {
    Small = 100,
    Medium = 10 * 1024,
    Large = 1024 * 1024,
}

impl Answer {
    fn of(head: &[u8]) -> Answer {
        match head {
            [b'G', b'E', b'T', b' ', b'/', b'1', b'0', b'k', ..] => Answer::Medium,
            [b'G', b'E', b'T', b' ', b'/', b'1', b'm', ..] => Answer::Large,
            _ => Answer::Small,
        }
    }
}

/// Whole responses, ready to be written.
struct Answers {
    keep: HashMap<usize, Vec<u8>>,
    close: HashMap<usize, Vec<u8>>,
}

impl Answers {
    fn new() -> Answers {
        let sizes = [Answer::Small, Answer::Medium, Answer::Large].map(|size| size as usize);
        let all = |field: &str| sizes.map(|size| (size, response(size, field))).into();
        Answers {
            keep: all(""),
            close: all("Connection: close\r\n"),
        }
    }

    fn get(&self, size: usize, close: bool) -> &[u8] {
        let of = if close { &self.close } else { &self.keep };
        of.get(&size).map_or(&[], Vec::as_slice)
    }
}

fn response(size: usize, field: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n{field}\r\n"
    );
    [head.into_bytes(), vec![b'x'; size]].concat()
}

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    /// What is being written: size of the body, whether to close after it, bytes written so far.
    writing: Option<(usize, bool, usize)>,
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            head: Vec::new(),
            writing: None,
        }
    }

    /// Reads, answers and writes until the socket has no more; an error means it is over.
    fn drive(&mut self, answers: &Answers) -> std::io::Result<()> {
        loop {
            if let Some((size, close, written)) = self.writing {
                let rest = answers.get(size, close).get(written..).unwrap_or_default();
                if !rest.is_empty() {
                    match self.stream.write(rest) {
                        Ok(count) => self.writing = Some((size, close, written + count)),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                        Err(e) => return Err(e),
                    }
                    continue;
                }
                self.writing = None;
                if close {
                    return Err(ErrorKind::ConnectionAborted.into());
                }
            }
            if !self.begin_answer() && !self.read()? {
                return Ok(());
            }
        }
    }

    /// Takes the next request from what was read, if it is there in full.
    fn begin_answer(&mut self) -> bool {
        let Some(end) = self.head.windows(4).position(|w| w == b"\r\n\r\n") else {
            return false;
        };
        let head = &self.head[..end];
        let close = head
            .windows(17)
            .any(|w| w.eq_ignore_ascii_case(b"connection: close"));
        self.writing = Some((Answer::of(head) as usize, close, 0));
        let _ = self.head.drain(..end + 4);
        true
    }

    /// Whether something new was read.
    fn read(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) if self.head.len() > HEAD_MAX => Err(ErrorKind::InvalidData.into()),
            Ok(count) => {
                self.head.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A connection to drive by hand, and its other end.
    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        (Connection::new(stream), client)
    }

    #[test]
    fn a_request_is_answered_and_the_connection_kept() {
        let (mut connection, mut client) = pair();
        let answers = Answers::new();
        for (path, size) in [("/", 100), ("/10k", 10 * 1024)] {
            client
                .write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
                .unwrap();
            connection.drive(&answers).unwrap();
            let mut response = vec![0; answers.get(size, false).len()];
            client.read_exact(&mut response).unwrap();
            assert!(response.ends_with(&vec![b'x'; size]), "{path}");
        }
    }

    #[test]
    fn a_client_that_asks_is_closed() {
        let (mut connection, mut client) = pair();
        client
            .write_all(b"GET / HTTP/1.1\r\nconnection: Close\r\n\r\n")
            .unwrap();
        assert!(connection.drive(&Answers::new()).is_err());
        drop(connection);
        let mut response = Vec::new();
        let _ = client.read_to_end(&mut response).unwrap();
        assert!(response.starts_with(b"HTTP/1.1 200 OK"));
    }
}
