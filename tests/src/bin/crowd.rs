//! A server for more connections than one process may have beside its clients': says who it is by a line to each, and gives
//! back what comes. `crowd NAME ADDRESS`; it is ready when it has written a line, and ends with its standard input.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd},
    process::ExitCode,
};

use rustix::event::epoll;

/// What stands for the listener and the standard input; others are descriptors.
const LISTENER: u64 = u64::MAX;
const INPUT: u64 = u64::MAX - 1;

fn main() -> ExitCode {
    let _ = e2e::raise_file_limit();
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(address)) = (arguments.next(), arguments.next()) else {
        eprintln!("crowd NAME ADDRESS");
        return ExitCode::from(2);
    };
    match serve(&format!("{name}\n"), &address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crowd: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(who: &str, address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    // As many as come at once.
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let wanted = epoll::EventFlags::IN;
    epoll::add(
        &epoll,
        &listener,
        epoll::EventData::new_u64(LISTENER),
        wanted,
    )?;
    epoll::add(
        &epoll,
        io::stdin(),
        epoll::EventData::new_u64(INPUT),
        wanted,
    )?;
    println!("ready");
    let mut streams: HashMap<u64, TcpStream> = HashMap::new();
    let mut events = Vec::with_capacity(256);
    loop {
        let _ = epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let token = event.data.u64();
            match token {
                INPUT => return Ok(()),
                LISTENER => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        stream.write_all(who.as_bytes())?;
                        stream.set_nonblocking(true)?;
                        stream.set_nodelay(true)?;
                        let token = u64::from(stream.as_raw_fd().unsigned_abs());
                        let data = epoll::EventData::new_u64(token);
                        epoll::add(&epoll, stream.as_fd(), data, wanted)?;
                        let _ = streams.insert(token, stream);
                    }
                }
                _ => {
                    // A descriptor leaves epoll when it is closed.
                    if !streams.get_mut(&token).is_some_and(echo) {
                        let _ = streams.remove(&token);
                    }
                }
            }
        }
    }
}

/// Gives back what has come. Whether it goes on.
fn echo(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        // What is said is short: the socket's buffer takes it.
        Ok(length) => length > 0 && stream.write_all(&buffer[..length]).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
