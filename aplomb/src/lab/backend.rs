//! A small HTTP server that says who it is, and that can be switched off and on.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, Response, header},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    task::JoinSet,
};

/// The most connections of one backend. The lab's own load and a few `curl`s stay far below.
const CONNECTIONS: usize = 512;

/// The most bytes that `/bytes/LENGTH` answers with.
const BYTES: usize = 64 << 20;

/// One backend of a lab.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    /// Its number, as it says in its answers and as the key that switches it.
    pub(super) number: usize,
    /// Where it listens while it is on.
    pub(super) address: SocketAddr,
    /// What it binds: `address`, or all addresses of its port.
    listens: SocketAddr,
    is_on: Arc<AtomicBool>,
    switched: Arc<Notify>,
}

impl Backend {
    /// Starts one on a free port of loopback; it runs on the current tokio runtime.
    ///
    /// # Errors
    /// There is no free port.
    pub(super) fn start(number: usize) -> io::Result<Self> {
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let backend = Self::new(number, address, address);
        drop(tokio::spawn(backend.clone().run(Some(listener))));
        Ok(backend)
    }

    /// Starts one that is known by `address` and takes what comes to its port by any address of the host that the
    /// current tokio runtime is on.
    pub(super) fn start_on(number: usize, address: SocketAddr) -> Self {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
        let backend = Self::new(number, address, any);
        drop(tokio::spawn(backend.clone().run(None)));
        backend
    }

    fn new(number: usize, address: SocketAddr, listens: SocketAddr) -> Self {
        Self {
            number,
            address,
            listens,
            is_on: Arc::new(AtomicBool::new(true)),
            switched: Arc::default(),
        }
    }

    /// Whether it takes connections.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Switches it off, with all its connections cut and new ones refused as of a server that died, or on again.
    pub(super) fn switch(&self) {
        let _ = self.is_on.fetch_not(Ordering::Relaxed);
        self.switched.notify_one();
    }

    async fn run(self, mut listener: Option<TcpListener>) {
        loop {
            if self.is_on() {
                let present = match listener.take() {
                    Some(listener) => Ok(listener),
                    None => listen(self.listens),
                };
                let Ok(present) = present else {
                    // Somebody took the port meanwhile; perhaps not for long.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                };
                self.serve(present).await;
            } else {
                self.switched.notified().await;
            }
        }
    }

    /// Serves until it is switched.
    async fn serve(&self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.switched.notified() => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        let _ = connections.spawn(connection(stream, self.number, self.address));
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // The port is ours again at once, whatever connections it had.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(128)
}

async fn connection(stream: TcpStream, number: usize, address: SocketAddr) {
    let service =
        service_fn(
            move |request| async move { Ok::<_, Infallible>(answer(&request, number, address)) },
        );
    // How a connection ends is the client's business.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60))
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(request: &Request<Incoming>, number: usize, address: SocketAddr) -> Response<Body> {
    let body = match request.uri().path() {
        "/healthz" => "ok\n".into(),
        path => match path.strip_prefix("/bytes/").map(str::parse::<usize>) {
            Some(Ok(length)) if length <= BYTES => pattern(length).into(),
            _ => format!("backend {number} ({address}) answers {path}\n").into(),
        },
    };
    let mut response: Response<Body> = Response::new(body);
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    let _ = response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// What `/bytes/LENGTH` answers with: bytes that tell where they belong, so that a reader sees what is lost or twice.
fn pattern(length: usize) -> Vec<u8> {
    let word = |index: u32| index.wrapping_mul(0x9e37_79b1).to_le_bytes();
    (0..).flat_map(word).take(length).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        let request = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Asks until `wanted` holds of what comes.
    async fn until(address: SocketAddr, wanted: impl Fn(&io::Result<String>) -> bool) {
        let patience = tokio::time::Instant::now() + Duration::from_secs(10);
        while !wanted(&ask(address).await) {
            assert!(tokio::time::Instant::now() < patience, "it stays as it is");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn it_says_who_it_is_and_can_be_off() {
        let backend = Backend::start(2).unwrap();
        let answer = ask(backend.address).await.unwrap();
        assert!(
            answer.contains("backend 2 ") && answer.ends_with("/x\n"),
            "{answer}"
        );

        let mut held = TcpStream::connect(backend.address).await.unwrap();
        backend.switch();
        assert_eq!(held.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is cut");
        until(backend.address, Result::is_err).await;

        backend.switch();
        until(backend.address, Result::is_ok).await;
    }
}
