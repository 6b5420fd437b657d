//! The way to the group of directors, as Linux's own sync threads have it: a socket that sends by one interface, and one that
//! hears by it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd,
};

use control::spec::IpvsSyncSpec;
use rustix::{fd::BorrowedFd, net::sockopt};
use socket2::{InterfaceIndexOrAddress, SockAddr, Socket};

use crate::sync::socket::{index_of, receive, scoped, socket};

/// The way to the group.
#[derive(Debug)]
pub(in crate::sync) struct Way {
    telling: Option<Socket>,
    hearing: Option<Socket>,
    group: SockAddr,
    index: u32,
}

impl Way {
    /// Opens what the roles need.
    ///
    /// # Errors
    /// There is no such interface, or it has no address.
    pub(super) fn open(spec: &IpvsSyncSpec) -> io::Result<Self> {
        let index = index_of(&spec.interface)?;
        let group = scoped(SocketAddr::new(spec.group, spec.port), Some(index));
        Ok(Self {
            telling: spec.master.then(|| tell(spec, index)).transpose()?,
            hearing: spec.backup.then(|| hear(group, spec, index)).transpose()?,
            group: group.into(),
            index,
        })
    }

    /// Whether the interface of that name is still the one that it was opened by.
    pub(super) fn is_by(&self, interface: &str) -> bool {
        index_of(interface).is_ok_and(|index| index == self.index)
    }

    /// Sends a message; whether it could be.
    pub(super) fn send(&self, message: &[u8]) -> bool {
        let sent = self.telling.as_ref();
        sent.is_some_and(|socket| socket.send_to(message, &self.group).is_ok())
    }

    /// The next message, if one waits: its length.
    pub(super) fn receive(&self, into: &mut [u8]) -> Option<usize> {
        let (length, _) = receive(self.hearing.as_ref()?, into)?;
        Some(length)
    }

    /// What is to be waited for.
    pub(in crate::sync) fn polled(&self) -> Option<BorrowedFd<'_>> {
        self.hearing.as_ref().map(AsFd::as_fd)
    }
}

fn tell(spec: &IpvsSyncSpec, index: u32) -> io::Result<Socket> {
    let any: IpAddr = match spec.group {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let own = socket(SocketAddr::new(any, 0))?;
    own.bind(&SocketAddr::new(any, 0).into())?;
    let ttl = u32::from(spec.ttl);
    match spec.group {
        IpAddr::V4(_) => {
            let any = Ipv4Addr::UNSPECIFIED;
            sockopt::set_ip_multicast_if_with_ifindex(&own, &any, &any, index)?;
            own.set_multicast_loop_v4(false)?;
            own.set_multicast_ttl_v4(ttl)?;
        }
        IpAddr::V6(_) => {
            own.set_multicast_if_v6(index)?;
            own.set_multicast_loop_v6(false)?;
            own.set_multicast_hops_v6(ttl)?;
        }
    }
    Ok(own)
}

fn hear(group: SocketAddr, spec: &IpvsSyncSpec, index: u32) -> io::Result<Socket> {
    let arriving = socket(group)?;
    arriving.set_reuse_address(true)?;
    // What comes to the group by another interface is nobody's who was named.
    arriving.bind_device(Some(spec.interface.as_bytes()))?;
    arriving.bind(&group.into())?;
    match spec.group {
        IpAddr::V4(group) => {
            arriving.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))?;
        }
        IpAddr::V6(group) => arriving.join_multicast_v6(&group, index)?,
    }
    Ok(arriving)
}
