//! Adverts that would take the address over if they were obeyed, each with something wrong (RFC 9568 section 7.1).

use super::super::place::VIP;
use rustix::net::sockopt::set_ip_multicast_if;
use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, sendto, socket_with,
};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;

/// Who they come from: the client.
const FROM: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);
/// Where all VRRP goes.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const VRRP: u8 = 112;
/// The virtual router of directors.
const ID: u8 = 51;
/// More than directors have.
const PRIORITY: u8 = 254;
/// How many kinds there are.
const KINDS: u64 = 6;

/// A socket that sends packets whole.
pub(super) fn socket() -> io::Result<OwnedFd> {
    let raw = NonZeroU32::new(255).map(Protocol::from_raw);
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        raw,
    )?;
    // There is no route to a group.
    set_ip_multicast_if(&socket, &FROM)?;
    Ok(socket)
}

/// Sends one of [`advert`].
pub(super) fn send(socket: &OwnedFd, packet: &[u8]) -> io::Result<()> {
    let to = SocketAddrV4::new(GROUP, 0);
    let _ = sendto(socket, packet, SendFlags::empty(), &to)?;
    Ok(())
}

/// The `number`th: all kinds in turn.
pub(super) fn advert(number: u64) -> Vec<u8> {
    let (mut hops, mut message) = (255, message(3, ID, VIP));
    match number % KINDS {
        0 => hops = 64,
        1 => message[6] ^= 0x55,
        2 => message = self::message(7, ID, VIP),
        3 => message = self::message(3, ID, Ipv4Addr::new(10, 77, 0, 101)),
        4 => message.truncate(7),
        // Another virtual router's.
        _ => message = self::message(3, ID + 1, VIP),
    }
    packet(hops, &message)
}

/// A message of VRRP with one address, and the checksum of version 3 (RFC 9568 section 5.2.8).
fn message(version: u8, id: u8, address: Ipv4Addr) -> Vec<u8> {
    // One centisecond.
    let mut message = vec![version << 4 | 1, id, PRIORITY, 1, 0, 1, 0, 0];
    message.extend(address.octets());
    let mut summed = [FROM.octets(), GROUP.octets()].concat();
    summed.extend([0, VRRP, 0, message.len() as u8]);
    summed.extend(&message);
    let sum = checksum(&summed);
    message[6..8].copy_from_slice(&sum.to_be_bytes());
    message
}

/// The kernel fills in the header's checksum.
fn packet(hops: u8, message: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0xc0, 0, 20 + message.len() as u8, 0, 0, 0, 0];
    packet.extend([hops, VRRP, 0, 0]);
    packet.extend(FROM.octets());
    packet.extend(GROUP.octets());
    packet.extend(message);
    packet
}

/// The Internet's (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_wrong_in_one_thing() {
        let all: Vec<Vec<u8>> = (0..KINDS).map(advert).collect();
        let right = packet(255, &message(3, ID, VIP));
        for (at, one) in all.iter().enumerate() {
            assert_ne!(*one, right, "{at}");
            assert!(all[..at].iter().all(|other| other != one), "{at}");
            assert_eq!(usize::from(one[3]), one.len(), "{at}");
        }
        assert_eq!(all[0][8], 64);
        // What is right sums up to nothing left over.
        let mut summed = [FROM.octets(), GROUP.octets()].concat();
        summed.extend([0, VRRP, 0, 12]);
        summed.extend(&right[20..]);
        assert_eq!(checksum(&summed), 0);
    }
}
