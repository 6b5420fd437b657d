//! A backend in this process: says its name, and holds requests to `/hold` until it is told to let go.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

/// A backend; its threads end with the test.
pub struct Backend {
    pub address: SocketAddr,
    release: Arc<AtomicBool>,
    held: Arc<AtomicU32>,
}

impl Backend {
    /// One that answers with `name`.
    pub fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap(),
            release: Arc::default(),
            held: Arc::default(),
        };
        let (release, held) = (Arc::clone(&backend.release), Arc::clone(&backend.held));
        let _ = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (release, held) = (Arc::clone(&release), Arc::clone(&held));
                let _ = thread::spawn(move || serve(stream, name, &release, &held));
            }
        });
        backend
    }

    /// How many requests to `/hold` have come.
    pub fn held(&self) -> u32 {
        self.held.load(Ordering::SeqCst)
    }

    /// Answers what is held.
    pub fn release(&self) {
        self.release.store(true, Ordering::SeqCst);
    }
}

fn serve(mut stream: TcpStream, name: &str, release: &AtomicBool, held: &AtomicU32) {
    let mut pending = Vec::new();
    loop {
        while !pending.windows(4).any(|w| w == b"\r\n\r\n") {
            let mut piece = [0; 4096];
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(n) => pending.extend_from_slice(&piece[..n]),
            }
        }
        let head = String::from_utf8_lossy(&pending).into_owned();
        pending.clear();
        if head.contains(" /hold ") {
            let _ = held.fetch_add(1, Ordering::SeqCst);
            while !release.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}",
            name.len()
        );
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}
