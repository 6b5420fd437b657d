//! Many connections that have made one request each and now wait.

use crate::Result;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens `count` connections to 127.0.0.1:`port`, one after the other, each with one request.
///
/// # Errors
/// When one of them is not answered with 200.
pub(crate) fn open(port: u16, count: usize) -> Result<Vec<TcpStream>> {
    let one = |n: usize| one(port).map_err(|e| format!("idle connection {n} of {count}: {e}"));
    (0..count).map(one).collect()
}

fn one(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    read_answer(&mut stream)?;
    Ok(stream)
}

/// Reads a response with a body of 100 bytes.
fn read_answer(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut answer = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let count = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..count]);
        let head = answer.windows(4).position(|w| w == b"\r\n\r\n");
        let whole = head.is_some_and(|end| answer.len() >= end + 4 + 100);
        if !answer.starts_with(b"HTTP/1.1 200"[..answer.len().min(12)].as_ref()) || count == 0 {
            return Err(std::io::Error::other(String::from_utf8_lossy(&answer)));
        }
        if whole {
            return Ok(());
        }
    }
}

/// Raises the number of files this process and its children may open, as far as it may; how many.
pub(crate) fn raise_file_limit() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    const WANTED: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    for target in [Some(WANTED.max(limit.maximum.unwrap_or(0))), limit.maximum] {
        let raised = rustix::process::Rlimit {
            current: target,
            maximum: target,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            break;
        }
    }
    usize::try_from(getrlimit(Resource::Nofile).current.unwrap_or(WANTED)).unwrap_or(usize::MAX)
}
