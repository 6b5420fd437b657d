//! Many datagrams with one system call: recvmmsg(2) and sendmmsg(2), and the address that a datagram was sent to.

use std::{
    io, mem,
    net::{IpAddr, SocketAddr},
    ops::Range,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use socket2::{SockAddr, SockAddrStorage};

/// Datagrams in a batch.
pub(crate) const BATCH: usize = 32;
/// The longest datagram there is.
const LONGEST: usize = 65_536;
/// Room for one control message of either family.
const CONTROL: usize = 64;

/// Room for a batch of datagrams. Pages that datagrams do not reach are never touched.
pub(crate) struct Batch {
    data: Vec<u8>,
    names: [SockAddrStorage; BATCH],
    controls: [Control; BATCH],
    /// What the last receive filled in.
    received: [Received; BATCH],
}

#[derive(Clone, Copy, Default)]
struct Received {
    length: usize,
    name: libc::socklen_t,
    control: usize,
    truncated: bool,
}

/// Aligned as control messages must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

impl Default for Batch {
    fn default() -> Self {
        Self {
            data: vec![0; BATCH * LONGEST],
            names: std::array::from_fn(|_| SockAddrStorage::zeroed()),
            controls: [Control([0; CONTROL]); BATCH],
            received: [Received::default(); BATCH],
        }
    }
}

impl Batch {
    /// Receives what is there, up to a batch, and says how many datagrams.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut vectors = [const { iovec(ptr::null_mut(), 0) }; BATCH];
        // SAFETY: zero is a valid value of the struct: null pointers and zero lengths.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let slots = self.data.chunks_exact_mut(LONGEST);
        let slots = slots.zip(&mut self.names).zip(&mut self.controls);
        for (((data, name), control), (vector, header)) in
            slots.zip(vectors.iter_mut().zip(&mut headers))
        {
            *vector = iovec(data.as_mut_ptr().cast(), data.len());
            let header = &mut header.msg_hdr;
            (header.msg_iov, header.msg_iovlen) = (vector, 1);
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_namelen = name.size_of();
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL;
        }
        // SAFETY: every header points to memory of the lengths it states, which outlives the call and is not
        // otherwise used during it; there are as many headers as stated.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (received, header) in self.received.iter_mut().zip(&headers[..count]) {
            *received = Received {
                length: header.msg_len as usize,
                name: header.msg_hdr.msg_namelen,
                control: header.msg_hdr.msg_controllen,
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            };
        }
        Ok(count)
    }

    /// The `index`th datagram received. None if it did not fit, which no datagram of UDP can.
    pub(crate) fn datagram(&self, index: usize) -> Option<&[u8]> {
        let received = self.received.get(index).filter(|r| !r.truncated)?;
        let start = index * LONGEST;
        self.data.get(start..start + received.length)
    }

    /// Who sent the `index`th datagram.
    pub(crate) fn sender(&self, index: usize) -> Option<SocketAddr> {
        let (storage, length) = (self.names.get(index)?, self.received[index].name);
        // SAFETY: the storage is of plain integers, so a copy of it is as good.
        let storage = unsafe { ptr::read(storage) };
        // SAFETY: the kernel wrote an address of this length there, or zeroes were there before.
        unsafe { SockAddr::new(storage, length) }.as_socket()
    }

    /// The address that the `index`th datagram was sent to, if the socket was told to say so.
    pub(crate) fn destination(&self, index: usize) -> Option<IpAddr> {
        let (control, received) = (self.controls.get(index)?, self.received[index]);
        let control = &control.0[..received.control.min(CONTROL)];
        let header = control.first_chunk::<HEADER>()?;
        // SAFETY: any bytes are a valid header, which is of plain integers; read without need of alignment.
        let header: libc::cmsghdr = unsafe { ptr::read_unaligned(header.as_ptr().cast()) };
        let body = &control[HEADER..];
        match (header.cmsg_level, header.cmsg_type) {
            // struct in_pktinfo: interface, our address, the datagram's address.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let ours: [u8; 4] = body.get(4..8)?.try_into().ok()?;
                Some(ours.into())
            }
            // struct in6_pktinfo: the datagram's address, interface.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let ours: [u8; 16] = body.get(..16)?.try_into().ok()?;
                Some(ours.into())
            }
            _ => None,
        }
    }

    /// Sends datagrams that were received, as far as the socket takes them: to `to`, or where the socket is connected
    /// to; and from `from`, or the socket's own address. Says how many were sent; fewer than all means that the
    /// next one failed, and sending it again tells why.
    ///
    /// # Errors
    /// The first one could not be sent.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        which: Range<usize>,
        to: Option<SocketAddr>,
        from: Option<IpAddr>,
    ) -> io::Result<usize> {
        let mut name = to.map(SockAddr::from);
        let mut control = from.map(source);
        let mut vectors = [const { iovec(ptr::null_mut(), 0) }; BATCH];
        // SAFETY: as in `receive`.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let mut count = 0;
        for index in which {
            let length = self.datagram(index).map_or(0, <[u8]>::len);
            let Some(data) = self.data.get_mut(index * LONGEST..) else {
                break;
            };
            vectors[count] = iovec(data.as_mut_ptr().cast(), length);
            let header = &mut headers[count].msg_hdr;
            (header.msg_iov, header.msg_iovlen) = (&raw mut vectors[count], 1);
            if let Some(name) = &mut name {
                header.msg_name = name.as_ptr().cast_mut().cast();
                header.msg_namelen = name.len();
            }
            if let Some((control, length)) = &mut control {
                header.msg_control = control.0.as_mut_ptr().cast();
                header.msg_controllen = *length;
            }
            count += 1;
        }
        // SAFETY: as in `receive`; what is sent from is only read.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Where a control message's content begins (CMSG_LEN(0)).
const HEADER: usize = mem::size_of::<libc::cmsghdr>();

/// The control message that has a datagram leave from an address, and its length.
fn source(from: IpAddr) -> (Control, usize) {
    let mut control = Control([0; CONTROL]);
    let (level, kind, length) = match from {
        IpAddr::V4(ip) => {
            control.0[HEADER + 4..HEADER + 8].copy_from_slice(&ip.octets());
            (
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                size_of::<libc::in_pktinfo>(),
            )
        }
        IpAddr::V6(ip) => {
            control.0[HEADER..HEADER + 16].copy_from_slice(&ip.octets());
            (
                libc::IPPROTO_IPV6,
                libc::IPV6_PKTINFO,
                size_of::<libc::in6_pktinfo>(),
            )
        }
    };
    // SAFETY: zero is a valid value of the struct, which is of plain integers.
    let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
    header.cmsg_len = HEADER + length;
    (header.cmsg_level, header.cmsg_type) = (level, kind);
    // SAFETY: the control message has room for a header and is aligned for one.
    unsafe { ptr::write(control.0.as_mut_ptr().cast(), header) };
    (
        control,
        (HEADER + length).next_multiple_of(size_of::<usize>()),
    )
}

const fn iovec(base: *mut libc::c_void, length: usize) -> libc::iovec {
    libc::iovec {
        iov_base: base,
        iov_len: length,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{net::UdpSocket, os::fd::AsFd};

    use super::*;

    /// Receives until `count` datagrams have come.
    fn receive(batch: &mut Batch, socket: &UdpSocket, count: usize) {
        for _ in 0..2000 {
            match batch.receive(socket.as_fd()) {
                Ok(n) => return assert_eq!(n, count),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            std::thread::yield_now();
        }
        panic!("nothing came");
    }

    #[test]
    fn a_batch_knows_content_sender_and_destination() {
        for (wildcard, destination) in [("0.0.0.0:0", "127.0.0.7"), ("[::]:0", "::1")] {
            let ours = UdpSocket::bind(wildcard).unwrap();
            let address = ours.local_addr().unwrap();
            super::super::configure(&socket2::Socket::from(ours.try_clone().unwrap()), address)
                .unwrap();
            let destination: IpAddr = destination.parse().unwrap();
            let client = UdpSocket::bind((destination, 0)).unwrap();
            client.connect((destination, address.port())).unwrap();
            let long = vec![7; 60_000];
            client.send(b"one").unwrap();
            client.send(b"").unwrap();
            client.send(&long).unwrap();
            let mut batch = Batch::default();
            receive(&mut batch, &ours, 3);
            assert_eq!(batch.datagram(0), Some(&b"one"[..]));
            assert_eq!(batch.datagram(1), Some(&b""[..]));
            assert_eq!(batch.datagram(2), Some(&long[..]));
            assert_eq!(batch.sender(2), Some(client.local_addr().unwrap()));
            assert_eq!(batch.destination(0), Some(destination));
            // The client is connected: it takes only what comes from the address it sent to.
            let to = batch.sender(0);
            assert_eq!(
                batch
                    .send(ours.as_fd(), 0..3, to, Some(destination))
                    .unwrap(),
                3
            );
            receive(&mut batch, &client, 3);
            assert_eq!(batch.datagram(2), Some(&long[..]));
        }
    }
}
