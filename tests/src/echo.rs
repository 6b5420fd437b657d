//! An echo server over TCP and UDP on one port of 127.0.0.1.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Sends back what it gets: over TCP until the client has finished, when it says `bye` and finishes too; over
/// UDP each datagram with its name before it.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
}

impl Echo {
    /// Starts one that calls itself `name`.
    #[must_use]
    pub fn start(name: &'static str) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let echo = Self {
            address,
            stop: Arc::default(),
            accepted: Arc::default(),
        };
        let (stop, accepted) = (echo.stop.clone(), echo.accepted.clone());
        let _ = std::thread::spawn(move || {
            for stream in tcp.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let _ = accepted.fetch_add(1, Ordering::Relaxed);
                let _ = std::thread::spawn(move || serve(stream.unwrap()));
            }
        });
        let stop = echo.stop.clone();
        let _ = std::thread::spawn(move || datagrams(name, &udp, &stop));
        echo
    }

    /// Where it listens, TCP and UDP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
    let _ = stream.write_all(b"bye");
    let _ = stream.shutdown(Shutdown::Write);
}

fn datagrams(name: &str, socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let mut answer = format!("{name}:").into_bytes();
            answer.extend_from_slice(&buffer[..count]);
            let _ = socket.send_to(&answer, from);
        }
    }
}
