//! What is done to TCP alone: clamping the MSS, and answering a SYN with a cookie.

use super::{
    Room,
    answer::{ip_header, swapped},
    checksum::Delta,
    nat::TCP_CHECKSUM,
    sum::Sum,
};
use crate::{
    abi::Family,
    packet::{
        Frame, Kind, Packet,
        header::{Ethernet, Ports, Tcp, proto, tcp_flags},
    },
    verifier::below,
};

/// Options (RFC 9293, 3.1).
mod option {
    pub(super) const END: u8 = 0;
    pub(super) const NOTHING: u8 = 1;
    pub(super) const MSS: u8 = 2;
    /// Length of `MSS`.
    pub(super) const MSS_LENGTH: usize = 4;
}

/// The most options that fit a header: single bytes.
const MOST: usize = 40;

/// Lowers the MSS that a SYN (or SYN-ACK) offers to `mss`, if it offers more. Options that make no sense are left alone.
#[inline(always)]
pub fn clamp_mss<F: Family>(frame: Frame, packet: &Packet<F>, mss: u16) -> Option<()> {
    if packet.tuple.proto != proto::TCP
        || packet.tcp_flags & tcp_flags::SYN == 0
        || packet.kind != Kind::Whole
    {
        return Some(());
    }
    let found = find_mss(frame, packet.l4)?;
    if found == 0 {
        return Some(());
    }
    lower(frame, packet.l4, found, mss)
}

/// The MSS that a SYN offers; 0: it says none. None: the frame is too short.
#[inline(always)]
pub fn offered_mss<F: Family>(frame: Frame, packet: &Packet<F>) -> Option<u16> {
    let found = find_mss(frame, packet.l4)?;
    if found == 0 {
        return Some(0);
    }
    Some(u16::from_be(frame.read(packet.l4 + found)?))
}

/// Where the MSS lies that the options of the TCP header at `l4` say, from there on; 0: they say none.
#[inline(always)]
fn find_mss(frame: Frame, l4: usize) -> Option<usize> {
    let tcp: Tcp = frame.read(l4)?;
    let end = usize::from(tcp.offset >> 4) * 4;
    let mut at = size_of::<Tcp>();
    let mut found = 0;
    for _ in 0..MOST {
        if at + option::MSS_LENGTH > end {
            break;
        }
        // Less than 60 already; said anew, so that to the verifier each turn begins as the one before.
        at = below(at, 0x3f);
        let [kind, length] = frame.read::<u16>(l4 + at)?.to_ne_bytes();
        let length = match kind {
            option::NOTHING => 1,
            _ => usize::from(length),
        };
        if kind == option::MSS && length == option::MSS_LENGTH {
            found = at + 2;
        }
        if kind == option::MSS || kind == option::END || (length < 2 && kind != option::NOTHING) {
            break;
        }
        at += length;
    }
    Some(found)
}

/// Lowers the MSS that lies `at` bytes into the TCP header.
#[inline(always)]
fn lower(frame: Frame, l4: usize, at: usize, mss: u16) -> Option<()> {
    let old: u16 = frame.read(l4 + at)?;
    if u16::from_be(old) <= mss {
        return Some(());
    }
    let new = mss.to_be();
    frame.write(l4 + at, new)?;
    let mut delta = Delta::new();
    if at & 1 == 0 {
        delta.word(old, new);
    } else {
        // Its bytes are in two words of the checksum, each at the other place.
        delta.word(old.swap_bytes(), new.swap_bytes());
    }
    let at = l4 + TCP_CHECKSUM;
    frame.write(at, delta.mend(frame.read(at)?))
}

/// The option that says an MSS, as it lies in the packet.
#[inline(always)]
pub(super) fn mss_option(mss: u16) -> u32 {
    let kind = u32::from(option::MSS) << 24 | (option::MSS_LENGTH as u32) << 16;
    (kind | u32::from(mss)).to_be()
}

/// Turns a SYN into the SYN-ACK that answers it, with a cookie as its sequence number (machine's order) and `mss` as
/// the only option. Its window is closed: the client sends nothing until a backend has one to offer. The frame is to
/// leave by the device it came in by.
///
/// None if it is no SYN, or there was no room.
#[inline(always)]
pub fn syn_ack<F: Family, R: Room>(
    room: &mut R,
    packet: &Packet<F>,
    seq: u32,
    mss: u16,
) -> Option<()> {
    let flags = tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST;
    let (l3, l4) = (packet.l3, packet.l3 + F::HEADER);
    let tuple = packet.tuple.reversed();
    if tuple.proto != proto::TCP
        || packet.tcp_flags & flags != tcp_flags::SYN
        || packet.kind != Kind::Whole
    {
        return None;
    }
    let syn: Tcp = room.frame().read(packet.l4)?;
    let header = size_of::<Tcp>() + option::MSS_LENGTH;
    if !room.frame().ends_at(l4 + header) {
        room.cut(l4 + header)?;
    }
    let frame = room.frame();
    let ethernet: Ethernet = frame.read(0)?;
    frame.write(0, swapped(ethernet))?;
    ip_header::<F>(
        frame,
        l3,
        tuple.src,
        tuple.dst,
        F::HEADER + header,
        0,
        proto::TCP,
    )?;
    let mut tcp = Tcp {
        ports: Ports {
            src: tuple.sport,
            dst: tuple.dport,
        },
        seq: seq.to_be(),
        ack: u32::from_be(syn.seq).wrapping_add(1).to_be(),
        offset: (header as u8 / 4) << 4,
        flags: tcp_flags::SYN | tcp_flags::ACK,
        window: 0,
        checksum: 0,
        urgent: 0,
    };
    let options = mss_option(mss);
    frame.write(l4 + size_of::<Tcp>(), options)?;
    let mut sum = Sum::default();
    sum.pseudo::<F>(tuple.src, tuple.dst, proto::TCP, header as u32);
    sum.tcp(&tcp);
    sum.words(options);
    tcp.checksum = sum.checksum();
    frame.write(l4, tcp)
}
