//! systemd: what this process tells it, and the sockets that it keeps for us.
//!
//! Without systemd (no `NOTIFY_SOCKET`) all of it does nothing. Sockets are stored under the name of what they
//! listen on, so that a process started in our place finds them again; sockets of a `.socket` unit are known
//! by their address.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    os::fd::{AsFd, FromRawFd, OwnedFd},
    time::Duration,
};

use control::spec::{Listen, Scheme};
use rustix::net::{SocketType, sockopt};
use sd_notify::NotifyState;

use crate::handoff::listen_of;

/// Begins the names of sockets that we stored.
const OURS: &str = "aplomb+";

/// The service manager.
#[derive(Debug, Default)]
pub struct Systemd {
    stored: BTreeSet<String>,
}

impl Systemd {
    /// The sockets that were passed to this process, by what they listen on.
    #[must_use]
    pub fn sockets() -> Vec<(Listen, OwnedFd)> {
        let Ok(passed) = sd_notify::listen_fds_with_names() else {
            return Vec::new();
        };
        passed
            .filter_map(|(fd, name)| {
                // SAFETY: the service manager passed this descriptor to us, and this is the only place that asks.
                let socket = unsafe { OwnedFd::from_raw_fd(fd) };
                rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).ok()?;
                // Those of a `.socket` unit block unless it says otherwise, and would block a worker.
                rustix::io::ioctl_fionbio(&socket, true).ok()?;
                let listen = name.strip_prefix(OURS).and_then(listen_of_name);
                let listen = listen.or_else(|| listen_of_socket(&socket));
                if listen.is_none() {
                    tracing::warn!(name, "a socket that systemd passed is of no use");
                }
                Some((listen?, socket))
            })
            .collect()
    }

    /// What it serves with is in place.
    pub fn ready(&self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A configuration is being applied; [`Self::ready`] follows.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// What to show as the service's status.
    pub fn status(&self, status: &str) {
        tell(&[NotifyState::Status(status)]);
    }

    /// It ends, within `limit`.
    pub fn stopping(&self, limit: Duration) {
        let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(limit),
            NotifyState::Status("finishing what goes on"),
        ]);
    }

    /// From here on `pid` is the service.
    pub fn main_pid(&self, pid: u32) {
        tell(&[NotifyState::MainPid(pid)]);
    }

    /// It lives.
    pub fn alive(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// How often [`Self::alive`] is to be said; none: never.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        // Twice as often as it must be, as sd_watchdog_enabled(3) advises.
        sd_notify::watchdog_enabled().map(|limit| limit / 2)
    }

    /// Has these sockets kept, and no others. They outlive a restart of the service, not its stop.
    pub fn keep(&mut self, sockets: &[(Listen, OwnedFd)]) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return;
        }
        let named: Vec<_> = sockets
            .iter()
            .map(|(listen, socket)| (name_of(listen), socket))
            .collect();
        let wanted: BTreeSet<_> = named.iter().map(|(name, _)| name.clone()).collect();
        for gone in self.stored.difference(&wanted) {
            tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(gone)]);
        }
        for (name, socket) in named.iter().filter(|(name, _)| !self.stored.contains(name)) {
            let state = [NotifyState::FdStore, NotifyState::FdName(name)];
            if let Err(error) = sd_notify::notify_with_fds(&state, &[socket.as_fd()]) {
                tracing::debug!(%error, name, "systemd does not keep this socket");
            }
        }
        self.stored = wanted;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, ?state, "systemd was not told");
    }
}

/// A name may not have colons in it (sd_notify(3)), and no address has semicolons.
fn name_of(listen: &Listen) -> String {
    format!("{OURS}{}", listen.to_string().replace(':', ";"))
}

fn listen_of_name(name: &str) -> Option<Listen> {
    listen_of(&name.replace(';', ":"))
}

fn listen_of_socket(socket: &OwnedFd) -> Option<Listen> {
    let scheme = match sockopt::socket_type(socket).ok()? {
        SocketType::STREAM => Scheme::Tcp,
        SocketType::DGRAM => Scheme::Udp,
        _ => return None,
    };
    let address = rustix::net::getsockname(socket).ok()?;
    let address: io::Result<SocketAddr> = address.try_into().map_err(Into::into);
    Some(Listen::new(scheme, address.ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_of_sockets_round_trip() {
        for (scheme, address) in [
            (Scheme::Https, "[2001:db8::1]:443"),
            (Scheme::Udp, "0.0.0.0:53"),
        ] {
            let listen = Listen::new(scheme, address.parse().unwrap());
            let name = name_of(&listen);
            assert!(!name.contains(':') && name.is_ascii() && name.len() < 255);
            let back = name.strip_prefix(OURS).and_then(listen_of_name);
            assert_eq!(back, Some(listen));
        }
    }

    #[test]
    fn sockets_of_a_unit_are_known_by_their_address() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = Listen::new(Scheme::Tcp, tcp.local_addr().unwrap());
        assert_eq!(listen_of_socket(&tcp.into()), Some(listen));
        let unix = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert_eq!(listen_of_socket(&unix.into()), None);
    }
}
