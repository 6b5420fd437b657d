//! What stresses a machine, each in a process of its own: `cargo xtask stress KIND`, until it is ended.

use super::bogus;
use crate::Result;
use clap::{Args, Subcommand};
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is sent at once; the rest of a second is slept through.
const BATCH: usize = 64;
/// Source ports of datagrams, so flows in a balancer's tables.
const PORTS: usize = 64;
/// Bytes that memory is filled with, over and over: more than caches hold.
const MEMORY: usize = 96 << 20;
/// Bytes of a file that is written, synced and written again.
const FILE: usize = 4 << 20;

/// `cargo xtask stress`.
#[derive(Args)]
pub(crate) struct Source {
    #[command(subcommand)]
    kind: Kind,
    /// How nice it is to others
    #[arg(long, default_value_t = 0)]
    nice: i32,
    /// A file that tells how much was done, and how much of it failed
    #[arg(long)]
    count: PathBuf,
}

#[derive(Subcommand)]
enum Kind {
    /// A core kept busy
    Compute,
    /// Memory written over and over
    Memory,
    /// A file below a folder written and synced over and over
    Disk { folder: PathBuf },
    /// Small datagrams
    Datagrams { to: SocketAddrV4, per_second: u32 },
    /// Adverts that nobody may obey
    Adverts { per_second: u32 },
    /// Requests over kept connections
    Requests { to: SocketAddrV4, per_second: u32 },
}

/// How much was done, told once a second.
struct Count<'a> {
    file: &'a Path,
    done: u64,
    failed: u64,
    told: Instant,
}

impl Count<'_> {
    fn add(&mut self, done: u64, failed: u64) -> Result {
        self.done += done;
        self.failed += failed;
        if self.told.elapsed() < Duration::from_secs(1) {
            return Ok(());
        }
        self.told = Instant::now();
        let fresh = self.file.with_extension("new");
        let fail = |e: std::io::Error| format!("{}: {e}", fresh.display());
        fs::write(&fresh, format!("{} {}", self.done, self.failed)).map_err(fail)?;
        fs::rename(&fresh, self.file).map_err(fail)
    }
}

/// What a source has told there: how much was done, and how much failed.
pub(super) fn counted(file: &Path) -> (u64, u64) {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut numbers = text.split(' ').map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Goes on until it is ended.
pub(crate) fn run(source: &Source) -> Result {
    rustix::process::nice(source.nice).map_err(|e| format!("nice: {e}"))?;
    let mut count = Count {
        file: &source.count,
        done: 0,
        failed: 0,
        told: Instant::now(),
    };
    match &source.kind {
        Kind::Compute => compute(&mut count),
        Kind::Memory => memory(&mut count),
        Kind::Disk { folder } => disk(folder, &mut count),
        Kind::Datagrams { to, per_second } => datagrams(*to, *per_second, &mut count),
        Kind::Adverts { per_second } => adverts(*per_second, &mut count),
        Kind::Requests { to, per_second } => requests(*to, *per_second, &mut count),
    }
}

fn compute(count: &mut Count) -> Result {
    let mut state = 1u64;
    loop {
        for _ in 0..10_000_000 {
            state = black_box(state.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 1);
        }
        count.add(1, 0)?;
    }
}

fn memory(count: &mut Count) -> Result {
    loop {
        // Given back and asked for again: pages are faulted in each time.
        for value in 0..4 {
            black_box(vec![value; MEMORY]);
        }
        count.add(1, 0)?;
    }
}

fn disk(folder: &Path, count: &mut Count) -> Result {
    let path = folder.join("stress");
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    let block = vec![0x5a; FILE];
    loop {
        let mut file = File::create(&path).map_err(fail)?;
        file.write_all(&block).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        count.add(1, 0)?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Calls `send` as often as is due. What it is late by it makes up for at once, up to a quarter of a second.
fn paced(
    per_second: u32,
    batch: usize,
    count: &mut Count,
    mut send: impl FnMut(u64) -> (u64, u64),
) -> Result {
    let each = Duration::from_secs(1) * batch as u32 / per_second.max(1);
    let mut due = Instant::now();
    for number in 0.. {
        let (done, failed) = send(number);
        count.add(done, failed)?;
        due += each;
        let now = Instant::now();
        match due.checked_duration_since(now) {
            Some(wait) => std::thread::sleep(wait),
            None => due = due.max(now.checked_sub(Duration::from_millis(250)).unwrap_or(now)),
        }
    }
    Ok(())
}

fn datagrams(to: SocketAddrV4, per_second: u32, count: &mut Count) -> Result {
    let socket = || -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(to)?;
        Ok(socket)
    };
    let sockets: std::io::Result<Vec<_>> = (0..PORTS).map(|_| socket()).collect();
    let sockets = sockets.map_err(|e| format!("{to}: {e}"))?;
    paced(per_second, BATCH, count, |number| {
        let socket = &sockets[number as usize % PORTS];
        let sent = send_many(socket);
        (sent, BATCH as u64 - sent)
    })
}

/// Sends a batch of datagrams of 18 bytes, which make the smallest frames there are; how many left.
fn send_many(socket: &UdpSocket) -> u64 {
    let mut payload = [0u8; 18];
    let mut part = libc::iovec {
        iov_base: payload.as_mut_ptr().cast(),
        iov_len: payload.len(),
    };
    // SAFETY: zeroes are messages without address, parts and control.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    for message in &mut messages {
        message.msg_hdr.msg_iov = &raw mut part;
        message.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: there are as many messages as it is told, all point to the one part, and that to the payload of its length;
    // all of them outlive the call, which only reads them but for the lengths sent.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            BATCH as libc::c_uint,
            0,
        )
    };
    // A port that nobody listens on is told by the next call's error; it counts as sent then.
    u64::try_from(sent).unwrap_or(0)
}

fn adverts(per_second: u32, count: &mut Count) -> Result {
    let raw = bogus::socket().map_err(|e| format!("a raw socket: {e}"))?;
    paced(per_second, 1, count, |number| {
        let packet = bogus::advert(number);
        match bogus::send(&raw, &packet) {
            Ok(()) => (1, 0),
            Err(_) => (0, 1),
        }
    })
}

fn requests(to: SocketAddrV4, per_second: u32, count: &mut Count) -> Result {
    let mut kept = None;
    paced(per_second, 1, count, |_| match ask(&mut kept, to) {
        Ok(()) => (1, 0),
        Err(_) => {
            kept = None;
            (0, 1)
        }
    })
}

/// A request over the kept connection, or a new one.
fn ask(kept: &mut Option<TcpStream>, to: SocketAddrV4) -> std::io::Result<()> {
    let limit = Duration::from_secs(2);
    let stream = match kept {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&to.into(), limit)?;
            stream.set_read_timeout(Some(limit))?;
            kept.insert(stream)
        }
    };
    stream.write_all(b"GET / HTTP/1.1\r\nHost: stress\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    // The answer is a page of a few bytes, which ends with the word.
    while !answer.ends_with(b"here") {
        match stream.read(&mut part)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => answer.extend_from_slice(&part[..length]),
        }
        if answer.len() > part.len() {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}
