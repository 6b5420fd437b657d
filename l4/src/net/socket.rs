//! The two sockets to the kernel: [`Requests`] asks and waits for the answer, [`Events`] hears what changes.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
    netlink::{self, SocketAddrNetlink},
    recvfrom, sendto, socket_with, sockopt,
};

use super::wire::{Message, Messages, NLMSG_DONE, NLMSG_ERROR, Request, flags};

/// A datagram of the kernel is at most this long (dumps fill up to 32 KiB).
const DATAGRAM: usize = 64 * 1024;
/// Messages between the question and its answer that are read before giving up: a socket of our own carries few.
const PATIENCE: usize = 1 << 20;
/// How often a dump that was interrupted is begun anew.
const DUMPS: usize = 5;
/// Room for events while this process does not get to read: a link that goes down takes all its routes with it.
const EVENT_ROOM: usize = 4 << 20;

/// The multicast groups listened to, as bits (`RTNLGRP_*`, one less).
const GROUPS: u32 = bit(1) // links
    | bit(3) // neighbours
    | bit(5) | bit(9) // addresses
    | bit(7) | bit(11) // routes
    | bit(8) | bit(19) // rules
    | bit(32); // next hops

/// Devices and addresses.
const LINKS: u32 = bit(1) | bit(5) | bit(9);

/// Devices, addresses, routes, rules and next hops.
const ROUTES: u32 = LINKS | bit(7) | bit(11) | bit(8) | bit(19) | bit(32);

const fn bit(group: u32) -> u32 {
    1 << (group - 1)
}

fn open(protocol: Option<Protocol>, groups: u32, more: SocketFlags) -> io::Result<OwnedFd> {
    let kind = SocketType::RAW;
    let more = more | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, kind, more, protocol)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// Receives one datagram of the kernel's; 0 bytes for one of somebody else.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (length, _, sender) = recvfrom(socket, &mut *buffer, RecvFlags::empty())?;
    let sender = sender.and_then(|any| SocketAddrNetlink::try_from(any).ok());
    let is_kernel = sender.is_some_and(|sender| sender.pid() == 0);
    Ok(if is_kernel { length } else { 0 })
}

/// Asks the kernel.
#[derive(Debug)]
pub struct Requests {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    /// Opens a socket of its own.
    ///
    /// # Errors
    /// There are no netlink sockets.
    pub fn open() -> io::Result<Self> {
        Self::of(None) // NETLINK_ROUTE is 0
    }

    /// Opens one to the packet filter (netfilter).
    ///
    /// # Errors
    /// There are no netlink sockets, or none of that.
    pub fn of_netfilter() -> io::Result<Self> {
        Self::of(Some(netlink::NETFILTER))
    }

    /// Opens one whose dumps the kernel filters by what their header says (`NETLINK_GET_STRICT_CHK`).
    ///
    /// # Errors
    /// There are no netlink sockets.
    pub fn filtered() -> io::Result<Self> {
        let requests = Self::open()?;
        let on: libc::c_int = 1;
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the option is an int, which lives for the call.
        let done = unsafe {
            libc::setsockopt(
                requests.socket.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_GET_STRICT_CHK,
                (&raw const on).cast(),
                length,
            )
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(requests)
    }

    fn of(protocol: Option<Protocol>) -> io::Result<Self> {
        let socket = open(protocol, 0, SocketFlags::empty())?;
        // The kernel answers at once; one that does not must not hold a thread for ever.
        let limit = Some(std::time::Duration::from_secs(5));
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, limit)?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Has something done.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn perform(&mut self, request: Request) -> io::Result<()> {
        self.ask(request, &mut |_| {})
    }

    /// Has several things done in one go: they are sent together, and the answer is the first failure, or that the last one was
    /// done. Each of them must be acknowledged, but for a netfilter batch's first and last.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn perform_all(&mut self, requests: Vec<Request>) -> io::Result<()> {
        let first = self.sequence.wrapping_add(1).max(1);
        let (mut bytes, mut last) = (Vec::new(), None);
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1).max(1);
            if request.is_acknowledged() {
                last = Some(self.sequence);
            }
            bytes.extend(request.finish(self.sequence));
        }
        let Some(last) = last else { return Ok(()) };
        let kernel = SocketAddrNetlink::new(0, 0);
        let _ = sendto(&self.socket, &bytes, SendFlags::empty(), &kernel)?;
        for _ in 0..PATIENCE {
            let length = receive(&self.socket, &mut self.buffer)?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                // Answers to what was asked before were not waited for after a failure.
                let ours = (first..=self.sequence).contains(&message.sequence);
                if !ours || message.kind != NLMSG_ERROR {
                    continue;
                }
                outcome(&message)?;
                if message.sequence == last {
                    return Ok(());
                }
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Asks for everything of a kind, and gives each message to `each`. If things change meanwhile it begins anew,
    /// so `each` may see the same thing more than once.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dump(
        &mut self,
        kind: u16,
        fixed: &[u8],
        each: &mut dyn FnMut(&Message<'_>),
    ) -> io::Result<()> {
        for _ in 0..DUMPS {
            let mut interrupted = false;
            let request = Request::new(kind, flags::DUMP, fixed);
            self.ask(request, &mut |message| {
                interrupted |= message.flags & flags::DUMP_INTERRUPTED != 0;
                each(message);
            })?;
            if !interrupted {
                break;
            }
        }
        Ok(())
    }

    /// Asks, gives all but the last message of the answer to `each`, and says how it ended. The request must be one
    /// that is acknowledged or a dump.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn ask(&mut self, request: Request, each: &mut dyn FnMut(&Message<'_>)) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let bytes = request.finish(self.sequence);
        let kernel = SocketAddrNetlink::new(0, 0);
        let _ = sendto(&self.socket, &bytes, SendFlags::empty(), &kernel)?;
        for _ in 0..PATIENCE {
            let length = receive(&self.socket, &mut self.buffer)?;
            for message in Messages(self.buffer.get(..length).unwrap_or_default()) {
                if message.sequence != self.sequence {
                    continue;
                }
                match message.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return outcome(&message),
                    _ => each(&message),
                }
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

fn outcome(message: &Message<'_>) -> io::Result<()> {
    match message.error() {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Hears what changes.
#[derive(Debug)]
pub struct Events {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Events {
    /// Begins to listen to all that matters to the program.
    ///
    /// # Errors
    /// There are no netlink sockets.
    pub fn open() -> io::Result<Self> {
        Self::of(GROUPS)
    }

    /// Begins to listen to devices and addresses alone.
    ///
    /// # Errors
    /// There are no netlink sockets.
    pub fn of_links() -> io::Result<Self> {
        Self::of(LINKS)
    }

    /// Begins to listen to all that makes routes and rules what they are.
    ///
    /// # Errors
    /// There are no netlink sockets.
    pub fn of_routes() -> io::Result<Self> {
        Self::of(ROUTES)
    }

    fn of(groups: u32) -> io::Result<Self> {
        let socket = open(None, groups, SocketFlags::NONBLOCK)?;
        // Without the privilege it stays as large as it is; what is lost is read anew.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, EVENT_ROOM);
        Ok(Self {
            socket,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Reads what has come, at most `datagrams` of it, and gives it to `each`.
    ///
    /// # Errors
    /// `ENOBUFS` when events were lost: all must be read anew.
    pub fn read(&mut self, datagrams: usize, each: &mut dyn FnMut(&Message<'_>)) -> io::Result<()> {
        for _ in 0..datagrams {
            let length = match receive(&self.socket, &mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            Messages(self.buffer.get(..length).unwrap_or_default()).for_each(|m| each(&m));
        }
        Ok(())
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
