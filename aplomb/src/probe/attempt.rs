//! One attempt: where it goes, what it is doing, and the sockets it opens.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use control::{engine::Failure, name::BackendKey, spec::format_duration};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::{
    Verdict,
    failure::{fail, of_io},
    tools::Tools,
};
use control::engine::ProbeFailure;

/// How late a timeout may be noticed. Its timer is exact to a millisecond on an idle machine; this much is a thread
/// that got no processor, or had a thousand other sockets to look at first.
const SLUGGISH: Duration = Duration::from_millis(100);

/// One attempt at a probe.
pub(super) struct Attempt {
    /// The backend it is about.
    pub(super) backend: BackendKey,
    /// Where it goes.
    pub(super) target: SocketAddr,
    /// Where it comes from; none: the kernel chooses.
    pub(super) source: Option<IpAddr>,
    /// What all attempts share.
    pub(super) tools: Rc<Tools>,
    /// What it is doing, so that a timeout can say so.
    doing: Cell<&'static str>,
    /// Whose fault it is if it takes too long.
    late: Cell<Failure>,
}

impl Attempt {
    pub(super) fn new(
        backend: BackendKey,
        target: SocketAddr,
        source: Option<IpAddr>,
        tools: Rc<Tools>,
    ) -> Self {
        Self {
            backend,
            target,
            source,
            tools,
            doing: Cell::new("starting"),
            late: Cell::new(Failure::Timeout),
        }
    }

    /// From here on it is doing this.
    pub(super) fn now(&self, doing: &'static str) {
        self.doing.set(doing);
        self.late.set(Failure::Timeout);
    }

    /// The same, of something that only this node can be late with.
    pub(super) fn now_our_fault(&self, doing: &'static str) {
        self.doing.set(doing);
        self.late.set(Failure::Local);
    }

    /// The failure of a socket in what it is doing.
    pub(super) fn broken(&self, error: &io::Error) -> ProbeFailure {
        of_io(self.doing.get(), error)
    }

    /// Runs `what` for at most `limit`.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        what: impl Future<Output = Result<T, ProbeFailure>>,
    ) -> Result<T, ProbeFailure> {
        let began = Instant::now();
        match tokio::time::timeout(limit, what).await {
            Ok(done) => done,
            Err(_) => Err(self.late(limit, began.elapsed())),
        }
    }

    /// The failure of what took longer than `limit`. If even saying so took much longer, the answer may have been
    /// there: this node is too busy to tell.
    fn late(&self, limit: Duration, took: Duration) -> ProbeFailure {
        if took > limit + SLUGGISH {
            let late = (took - limit).as_millis();
            let detail = format!("this node is too busy: {late} ms late in noticing a timeout");
            return fail(Failure::Local, detail);
        }
        fail(
            self.late.get(),
            format!(
                "{}: nothing right within {}",
                self.doing.get(),
                format_duration(limit)
            ),
        )
    }

    /// A TCP connection to the target. `talk`: something will be sent over it.
    ///
    /// It ends by RST, whoever closes first: probes come every second, and each would leave a TIME_WAIT for a
    /// minute. One that will not talk delays its ACK, so that the RST completes the handshake's three packets and
    /// the backend's program never sees the connection.
    pub(super) async fn connect(&self, talk: bool) -> Result<TcpStream, ProbeFailure> {
        self.now("connecting");
        let socket = self.tcp_socket(talk).map_err(|e| self.broken(&e))?;
        socket
            .connect(self.target)
            .await
            .map_err(|e| self.broken(&e))
    }

    fn tcp_socket(&self, talk: bool) -> io::Result<TcpSocket> {
        let socket = if self.target.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_zero_linger()?;
        if talk {
            socket.set_nodelay(true)?;
        } else {
            SockRef::from(&socket).set_tcp_quickack(false)?;
        }
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        Ok(socket)
    }

    /// A UDP socket connected to the target, so that ICMP errors reach it and strangers' datagrams do not.
    pub(super) async fn udp(&self) -> Result<UdpSocket, ProbeFailure> {
        self.now("opening a socket");
        let any: IpAddr = if self.target.is_ipv4() {
            std::net::Ipv4Addr::UNSPECIFIED.into()
        } else {
            std::net::Ipv6Addr::UNSPECIFIED.into()
        };
        let open = async {
            let socket = UdpSocket::bind(SocketAddr::new(self.source.unwrap_or(any), 0)).await?;
            socket.connect(self.target).await?;
            Ok(socket)
        };
        open.await.map_err(|e| self.broken(&e))
    }
}

/// Passed.
pub(super) const PASSED: Verdict = Ok(());

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_node_too_busy_to_notice_blames_itself() {
        let backend: BackendKey = "web/127.0.0.1:80".parse().unwrap();
        let target = backend.address;
        let attempt = Attempt::new(backend, target, None, Rc::new(Tools::new()));
        attempt.now("connecting");
        let limit = Duration::from_secs(1);
        let late = attempt.late(limit, limit + Duration::from_millis(3));
        assert_eq!(late.kind, Failure::Timeout);
        assert_eq!(late.detail, "connecting: nothing right within 1s");
        let too_late = attempt.late(limit, limit + Duration::from_millis(300));
        assert_eq!(too_late.kind, Failure::Local);
    }
}
