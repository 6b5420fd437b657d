//! What virtual cables need so that XDP may send packets into them; network cards need nothing of it.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
};

/// `ETHTOOL_STXCSUM`: checksums are left to the device.
const TX_CHECKSUM: u32 = 0x17;
/// `ETHTOOL_SGRO`: received packets are gathered, which makes a veth take in what is redirected to it.
const GATHER: u32 = 0x2c;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ifreq` with a pointer in it.
#[repr(C)]
struct Question {
    name: [u8; libc::IFNAMSIZ],
    value: *mut Value,
    rest: [u8; 16],
}

/// Has the device's sender compute checksums: those left to the device would stay out, for a virtual cable only notes
/// that they are due, and XDP loses the note.
pub(super) fn checksums_in_software(device: &str) -> io::Result<()> {
    set(device, TX_CHECKSUM, 0)
}

/// Makes a device the far end of what XDP sends: it has a program of its own, which passes everything. It keeps it
/// while what is returned is open.
pub(super) fn take_in(device: &str) -> io::Result<OwnedFd> {
    set(device, GATHER, 1)?;
    l4::pass::let_pass(rustix::net::netdevice::name_to_index(any()?, device)?)
}

fn any() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
}

fn set(device: &str, command: u32, data: u32) -> io::Result<()> {
    let socket = any()?;
    let mut value = Value { command, data };
    let mut question = Question {
        name: [0; libc::IFNAMSIZ],
        value: &raw mut value,
        rest: [0; 16],
    };
    let name = question.name.iter_mut().zip(device.bytes());
    // The last byte stays zero.
    name.take(libc::IFNAMSIZ - 1)
        .for_each(|(to, from)| *to = from);
    // SAFETY: the request reads a name and follows the pointer to a `struct ethtool_value`, which lives until it is done.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut question) };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(io::Error::new(error.kind(), format!("{device}: {error}")))
}
