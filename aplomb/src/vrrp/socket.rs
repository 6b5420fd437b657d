//! Raw sockets for adverts, one for each interface and family: what comes in with its hop limit and destination, what goes
//! out with a hop limit of 255 and from the address that is asked for.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    num::NonZeroU32,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use proto::vrrp::{
    codec::Packet,
    limits::{MAX_MESSAGE, PROTOCOL},
    refusal::Refusal,
    terms::Family,
};
use socket2::{
    Domain, InterfaceIndexOrAddress, MaybeUninitSlice, MsgHdr, MsgHdrMut, Protocol, SockAddr,
    Socket, Type,
};

/// The longest IPv4 header before a message.
const HEADER: usize = 60;
/// Room for a packet; what is longer is no advert.
pub(super) const ROOM: usize = MAX_MESSAGE + HEADER;
/// "Internetwork control", as routing protocols have it.
const TOS: u32 = 0xc0;
/// `TC_PRIO_CONTROL`: the head of the queue.
const PRIORITY: u32 = 7;
const CONTROL: usize = 256;
/// `struct cmsghdr`: a length of `size_t`, two integers.
const CMSG_HEADER: usize = size_of::<usize>() + 8;

/// A socket on one interface.
#[derive(Debug)]
pub(super) struct Channel {
    socket: Socket,
    family: Family,
    pub(super) index: u32,
}

impl Channel {
    /// Opens it on the interface of that index, and joins the group.
    pub(super) fn open(family: Family, index: u32) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let kind = Type::RAW.nonblocking().cloexec();
        let protocol = Protocol::from(i32::from(PROTOCOL));
        let socket = Socket::new_raw(domain, kind, Some(protocol))?;
        let device = NonZeroU32::new(index);
        socket.set_priority(PRIORITY)?;
        match family.group() {
            IpAddr::V4(group) => {
                socket.bind_device_by_index_v4(device)?;
                socket.set_multicast_loop_v4(false)?;
                socket.set_multicast_ttl_v4(255)?;
                socket.set_ttl_v4(255)?;
                socket.set_tos_v4(TOS)?;
                let interface = InterfaceIndexOrAddress::Index(index);
                socket.join_multicast_v4_n(&group, &interface)?;
            }
            IpAddr::V6(group) => {
                socket.bind_device_by_index_v6(device)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_multicast_hops_v6(255)?;
                socket.set_unicast_hops_v6(255)?;
                socket.set_recv_hoplimit_v6(true)?;
                receive_destination(&socket)?;
                socket.join_multicast_v6(&group, index)?;
            }
        }
        Ok(Self {
            socket,
            family,
            index,
        })
    }

    /// Receives one packet and gives it to `take`; false: there is none.
    pub(super) fn receive(
        &self,
        room: &mut [u8],
        take: impl FnOnce(Result<Packet<'_>, Refusal>),
    ) -> bool {
        // As long as the longest that comes.
        let mut source = SockAddr::from(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
        let mut control = [MaybeUninit::<u8>::uninit(); CONTROL];
        let (length, control_length) = {
            let mut buffers = [uninit(room)];
            let mut message = MsgHdrMut::new()
                .with_addr(&mut source)
                .with_buffers(&mut buffers)
                .with_control(&mut control);
            match self.socket.recvmsg(&mut message, 0) {
                Ok(length) => (length, message.control_len()),
                Err(_) => return false,
            }
        };
        let message = room.get(..length).unwrap_or_default();
        if self.family == Family::V4 {
            take(Packet::from_ipv4(message));
            return true;
        }
        let control: Vec<u8> = control
            .iter()
            .take(control_length)
            // SAFETY: the kernel has written so many bytes.
            .map(|byte| unsafe { byte.assume_init() })
            .collect();
        let Some(source) = source.as_socket_ipv6() else {
            return true;
        };
        let (hop_limit, destination) = ancillary(&control);
        if let (Some(hop_limit), Some(destination)) = (hop_limit, destination) {
            take(Ok(Packet {
                source: IpAddr::V6(*source.ip()),
                destination: IpAddr::V6(destination),
                hop_limit,
                message,
            }));
        }
        true
    }

    /// Sends a message from `source`, which the interface has.
    pub(super) fn send(&self, message: &[u8], source: IpAddr, to: IpAddr) -> io::Result<()> {
        let (to, control) = match (source, to) {
            (IpAddr::V4(source), to @ IpAddr::V4(_)) => {
                (SocketAddr::new(to, 0), from_v4(source, self.index))
            }
            (IpAddr::V6(source), IpAddr::V6(to)) => {
                let near = to.is_unicast_link_local() || to.is_multicast();
                let scope = if near { self.index } else { 0 };
                let to = SocketAddrV6::new(to, 0, 0, scope);
                (to.into(), from_v6(source, self.index))
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let (to, buffers) = (SockAddr::from(to), [IoSlice::new(message)]);
        let header = MsgHdr::new()
            .with_addr(&to)
            .with_buffers(&buffers)
            .with_control(&control);
        self.socket.sendmsg(&header, 0).map(drop)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn uninit(room: &mut [u8]) -> MaybeUninitSlice<'_> {
    let (start, length) = (room.as_mut_ptr().cast::<MaybeUninit<u8>>(), room.len());
    // SAFETY: the same bytes, borrowed as long; the kernel writes initialised bytes into them, and nobody else writes.
    MaybeUninitSlice::new(unsafe { std::slice::from_raw_parts_mut(start, length) })
}

/// `IPV6_RECVPKTINFO`.
fn receive_destination(socket: &Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option takes an integer, which lives for the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_RECVPKTINFO,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The hop limit and the destination of a packet, as IPv6 sockets tell them.
fn ancillary(mut control: &[u8]) -> (Option<u8>, Option<Ipv6Addr>) {
    let (mut hop_limit, mut destination) = (None, None);
    while let Some((kind, value, rest)) = next_ancillary(control) {
        match kind {
            libc::IPV6_HOPLIMIT => {
                let limit = value.get(..4).and_then(|v| v.try_into().ok());
                hop_limit = limit.and_then(|v| u8::try_from(i32::from_ne_bytes(v)).ok());
            }
            libc::IPV6_PKTINFO => {
                let bytes = value.get(..16).and_then(|v| <[u8; 16]>::try_from(v).ok());
                destination = bytes.map(Ipv6Addr::from);
            }
            _ => {}
        }
        control = rest;
    }
    (hop_limit, destination)
}

fn next_ancillary(control: &[u8]) -> Option<(i32, &[u8], &[u8])> {
    const WORD: usize = size_of::<usize>();
    let length = usize::from_ne_bytes(control.get(..WORD)?.try_into().ok()?);
    let kind = i32::from_ne_bytes(control.get(WORD + 4..WORD + 8)?.try_into().ok()?);
    let value = control.get(CMSG_HEADER..length)?;
    let next = length.next_multiple_of(WORD);
    Some((kind, value, control.get(next..).unwrap_or_default()))
}

fn from_v4(source: Ipv4Addr, index: u32) -> Vec<u8> {
    let mut info = index.to_ne_bytes().to_vec();
    info.extend(source.octets());
    info.extend([0; 4]);
    control_message(libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
}

fn from_v6(source: Ipv6Addr, index: u32) -> Vec<u8> {
    let mut info = source.octets().to_vec();
    info.extend(index.to_ne_bytes());
    control_message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
}

fn control_message(level: i32, kind: i32, value: &[u8]) -> Vec<u8> {
    let length = CMSG_HEADER + value.len();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(level.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(length.next_multiple_of(size_of::<usize>()), 0);
    bytes
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn ancillary_data_is_read_whatever_else_is_there() {
        let address: Ipv6Addr = "ff02::12".parse().unwrap();
        let mut control = control_message(libc::SOL_SOCKET, 29, &[1; 16]);
        control.extend(control_message(
            libc::IPPROTO_IPV6,
            libc::IPV6_HOPLIMIT,
            &255_i32.to_ne_bytes(),
        ));
        control.extend(from_v6(address, 3));
        assert_eq!(ancillary(&control), (Some(255), Some(address)));
        for cut in 0..control.len() {
            let _ = ancillary(&control[..cut]);
        }
        assert_eq!(ancillary(&[0; 64]), (None, None));
    }
}
