//! Packets changed: whatever was done, every checksum must be what it would be if it were computed anew.
#![allow(clippy::unwrap_used, reason = "tests")]

mod answer;
mod nat;
mod splice;
mod tunnel;

use std::net::{IpAddr, SocketAddr};

use super::Room;
use crate::{
    abi::{Addr6, Family, Tuple, V4, V6},
    packet::{Packet, Parsed, parse},
    testing::{Buffer, Builder},
};

/// A family whose packets can be told apart after parsing.
trait Read: Family + PartialEq + core::fmt::Debug {
    fn of(parsed: Parsed) -> Option<Packet<Self>>;
}

impl Read for V4 {
    fn of(parsed: Parsed) -> Option<Packet<Self>> {
        match parsed {
            Parsed::V4(packet) => Some(packet),
            _ => None,
        }
    }
}

impl Read for V6 {
    fn of(parsed: Parsed) -> Option<Packet<Self>> {
        match parsed {
            Parsed::V6(packet) => Some(packet),
            _ => None,
        }
    }
}

fn read<F: Read>(buffer: &Buffer) -> Packet<F> {
    F::of(parse(buffer.frame())).unwrap()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn words(address: IpAddr) -> Addr6 {
    match address {
        IpAddr::V4(a) => V4::widen(u32::from_ne_bytes(a.octets())),
        IpAddr::V6(a) => {
            let words = a.octets();
            let word =
                |at| u32::from_ne_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
            Addr6 {
                a: word(0),
                b: word(4),
                c: word(8),
                d: word(12),
            }
        }
    }
}

fn address<F: Family>(text: &str) -> F::Addr {
    F::narrow(words(text.parse().unwrap()))
}

fn tuple<F: Family>(src: &str, dst: &str, proto: u8) -> Tuple<F> {
    let (src, dst) = (addr(src), addr(dst));
    let narrow = |a: SocketAddr| F::narrow(words(a.ip()));
    Tuple::new(
        narrow(src),
        narrow(dst),
        src.port().to_be(),
        dst.port().to_be(),
        proto,
    )
}

fn four() -> Builder {
    Builder::new(addr("10.1.2.3:1000"), addr("192.168.5.6:80"))
}

fn six() -> Builder {
    Builder::new(addr("[2001:db8::1]:1000"), addr("[2001:db8::2]:80"))
}
