//! Segments of flows that a SYN cookie opened, as [`Turn`] says. The packet's addresses and ports stay as they are, and all
//! checksums right: translation comes afterwards, as with any other flow.

use super::{
    Room,
    checksum::Delta,
    nat::{IPV4_CHECKSUM, TCP_CHECKSUM},
    sum::Sum,
    tcp::mss_option,
};
use crate::{
    abi::Family,
    cookie,
    decide::Turn,
    packet::{
        Frame, Kind, Packet,
        header::{
            Icmp, Tcp, proto,
            tcp_flags::{ACK, RST, SYN},
        },
    },
};

/// Where numbers lie in TCP's header.
const SEQ: usize = 4;
const ACKNOWLEDGES: usize = 8;

/// Does what a verdict says of a segment; `reply` if it comes from the backend. An ICMP error is for [`fn@splice_icmp_error`].
#[inline(always)]
pub fn splice<F: Family, R: Room>(
    room: &mut R,
    packet: &Packet<F>,
    (turn, number): (Turn, u32),
    reply: bool,
) -> Option<()> {
    match turn {
        Turn::None => Some(()),
        Turn::Open => open(room, packet, number),
        Turn::Offer => offer(room, packet, number),
        _ if packet.kind == Kind::LaterFragment => Some(()),
        Turn::Refuse => renumber(room.frame(), packet, |tcp| tcp.seq = number.to_be()),
        Turn::Abort => renumber(room.frame(), packet, |tcp| {
            tcp.ack = 0;
            tcp.flags = RST;
        }),
        Turn::Shift => renumber(room.frame(), packet, |tcp| {
            if reply {
                tcp.seq = moved(tcp.seq, number);
            } else if tcp.flags & ACK != 0 {
                tcp.ack = moved(tcp.ack, number.wrapping_neg());
            }
        }),
    }
}

/// A number in network byte order, moved on.
#[inline(always)]
fn moved(number: u32, by: u32) -> u32 {
    u32::from_be(number).wrapping_add(by).to_be()
}

/// Changes numbers and flags, and mends the checksum.
#[inline(always)]
fn renumber<F: Family>(
    frame: Frame,
    packet: &Packet<F>,
    change: impl FnOnce(&mut Tcp),
) -> Option<()> {
    let old: Tcp = frame.read(packet.l4)?;
    let mut new = old;
    change(&mut new);
    let mut delta = Delta::new();
    delta.words(old.seq, new.seq);
    delta.words(old.ack, new.ack);
    delta.word(u16::from(old.flags).to_be(), u16::from(new.flags).to_be());
    new.checksum = delta.mend(old.checksum);
    frame.write(packet.l4, new)
}

/// The client's acknowledgement becomes the SYN that it answered for, with the MSS of the cookie that it brings back.
#[inline(always)]
fn open<F: Family, R: Room>(room: &mut R, packet: &Packet<F>, isn: u32) -> Option<()> {
    let old: Tcp = room.frame().read(packet.l4)?;
    let mss = cookie::mss::<F>(u32::from_be(old.ack).wrapping_sub(1));
    let option = mss_option(mss);
    let length = size_of::<Tcp>() + size_of::<u32>();
    let new = Tcp {
        ports: old.ports,
        seq: isn.to_be(),
        ack: 0,
        offset: (length as u8 / 4) << 4,
        flags: SYN,
        window: old.window,
        checksum: 0,
        urgent: 0,
    };
    resize(room, packet, length)?;
    let frame = room.frame();
    frame.write(packet.l4 + size_of::<Tcp>(), option)?;
    let mut sum = Sum::default();
    sum.words(option);
    put::<F>(frame, packet, new, sum, length)
}

/// The backend's SYN-ACK becomes a segment of one byte, a zero, in the place of the SYN that the client had from us. The
/// client has that already, so it takes nothing of it but the window, and answers at once (RFC 9293, 3.10.7.4).
#[inline(always)]
fn offer<F: Family, R: Room>(room: &mut R, packet: &Packet<F>, delta: u32) -> Option<()> {
    let old: Tcp = room.frame().read(packet.l4)?;
    let length = size_of::<Tcp>() + 1;
    let new = Tcp {
        ports: old.ports,
        seq: moved(old.seq, delta),
        ack: old.ack,
        offset: (size_of::<Tcp>() as u8 / 4) << 4,
        flags: ACK,
        window: old.window,
        checksum: 0,
        urgent: 0,
    };
    resize(room, packet, length)?;
    let frame = room.frame();
    frame.write(packet.l4 + size_of::<Tcp>(), 0_u8)?;
    put::<F>(frame, packet, new, Sum::default(), length)
}

/// Makes a packet one of `length` bytes from its TCP header on.
#[inline(always)]
fn resize<F: Family, R: Room>(room: &mut R, packet: &Packet<F>, length: usize) -> Option<()> {
    let (l3, l4) = (packet.l3, packet.l4);
    if !room.frame().ends_at(l4 + length) {
        room.cut(l4 + length)?;
    }
    let frame = room.frame();
    let whole = l4.wrapping_sub(l3) + length;
    if F::IS_V6 {
        return frame.write(l3 + 4, (whole.wrapping_sub(F::HEADER) as u16).to_be());
    }
    let old: u16 = frame.read(l3 + 2)?;
    let new = (whole as u16).to_be();
    frame.write(l3 + 2, new)?;
    let mut delta = Delta::new();
    delta.word(old, new);
    let at = l3 + IPV4_CHECKSUM;
    frame.write(at, delta.mend(frame.read(at)?))
}

/// Writes a TCP header; `sum` has what follows it, `length` is that of both.
#[inline(always)]
fn put<F: Family>(
    frame: Frame,
    packet: &Packet<F>,
    mut tcp: Tcp,
    mut sum: Sum,
    length: usize,
) -> Option<()> {
    sum.pseudo::<F>(
        packet.tuple.src,
        packet.tuple.dst,
        proto::TCP,
        length as u32,
    );
    sum.tcp(&tcp);
    tcp.checksum = sum.checksum();
    frame.write(packet.l4, tcp)
}

/// An ICMP error about a packet of a spliced flow gets the numbers that its receiver knows; `reply` if it comes from the
/// backend's side, and so speaks of a packet of the client. Not all of the inner header needs to be there.
#[inline(always)]
pub fn splice_icmp_error<F: Family>(
    frame: Frame,
    packet: &Packet<F>,
    delta: u32,
    reply: bool,
) -> Option<()> {
    let (place, by) = if reply {
        (ACKNOWLEDGES, delta)
    } else {
        (SEQ, delta.wrapping_neg())
    };
    let end = packet.l3 + packet.length as usize;
    let at = packet.inner_l4 + place;
    if at + 4 > end {
        return Some(());
    }
    let old: u32 = frame.read(at)?;
    let new = moved(old, by);
    frame.write(at, new)?;
    let mut inner = Delta::new();
    inner.words(old, new);
    let mut message = inner;
    let at = packet.inner_l4 + TCP_CHECKSUM;
    if at + 2 <= end {
        let old = frame.read(at)?;
        let new = inner.mend(old);
        message.word(old, new);
        frame.write(at, new)?;
    }
    let mut icmp: Icmp = frame.read(packet.l4)?;
    icmp.checksum = message.mend(icmp.checksum);
    frame.write(packet.l4, icmp)
}
