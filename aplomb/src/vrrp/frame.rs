//! Whole Ethernet frames: announcements, and adverts from a virtual MAC address.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsRawFd, OwnedFd},
};

use proto::vrrp::{garp::MacAddr, limits::PROTOCOL};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

const TOS: u8 = 0xc0;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Sends frames as they are.
#[derive(Debug)]
pub(super) struct Frames(OwnedFd);

impl Frames {
    /// Opens a socket that receives nothing.
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        Ok(Self(socket))
    }

    /// Sends a frame out of the interface of that index.
    pub(super) fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: all zeros are a valid `sockaddr_ll`.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = index.cast_signed();
        to.sll_halen = 6;
        if let Some(mac) = frame.get(..6) {
            to.sll_addr[..6].copy_from_slice(mac);
        }
        // SAFETY: frame and address live for the call, and are as long as it is told.
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// An advert by multicast to `group`, from a MAC address of its own; none for addresses of two families.
pub(super) fn advert(
    mac: MacAddr,
    source: IpAddr,
    group: IpAddr,
    message: &[u8],
) -> Option<Vec<u8>> {
    let mut frame = MacAddr::of_group(group).0.to_vec();
    frame.extend(mac.0);
    match (source, group) {
        (IpAddr::V4(source), IpAddr::V4(group)) => {
            frame.extend(IPV4.to_be_bytes());
            let length = u16::try_from(20 + message.len()).ok()?;
            let mut header = [0; 20];
            header[..2].copy_from_slice(&[0x45, TOS]);
            header[2..4].copy_from_slice(&length.to_be_bytes());
            // Not to be fragmented, hop limit, protocol.
            header[6] = 0x40;
            header[8..10].copy_from_slice(&[255, PROTOCOL]);
            header[12..16].copy_from_slice(&source.octets());
            header[16..].copy_from_slice(&group.octets());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            frame.extend(header);
        }
        (IpAddr::V6(source), IpAddr::V6(group)) => {
            frame.extend(IPV6.to_be_bytes());
            let length = u16::try_from(message.len()).ok()?;
            let [high, low] = length.to_be_bytes();
            frame.extend([0x60 | TOS >> 4, 0, 0, 0, high, low, PROTOCOL, 255]);
            frame.extend(source.octets());
            frame.extend(group.octets());
        }
        _ => return None,
    }
    frame.extend(message);
    Some(frame)
}

/// RFC 1071, over an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks_exact(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proto::vrrp::codec::Packet;

    use super::*;

    #[test]
    fn a_frame_is_read_back_as_the_packet_it_carries() {
        let mac = MacAddr([0, 0, 0x5e, 0, 1, 51]);
        let (source, group) = ("10.0.0.1".parse().unwrap(), "224.0.0.18".parse().unwrap());
        let frame = advert(mac, source, group, &[0x31; 12]).unwrap();
        assert_eq!(frame[..6], [0x01, 0, 0x5e, 0, 0, 0x12]);
        assert_eq!(frame[6..12], mac.0);
        let packet = Packet::from_ipv4(&frame[14..]).unwrap();
        assert_eq!((packet.source, packet.destination), (source, group));
        assert_eq!((packet.hop_limit, packet.message), (255, &[0x31; 12][..]));
        // A header with its checksum in it sums up to nothing.
        assert_eq!(checksum(&frame[14..34]), 0);
        assert_eq!(advert(mac, source, "ff02::12".parse().unwrap(), &[]), None);
    }
}
