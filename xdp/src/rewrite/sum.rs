//! The Internet checksum computed anew, for headers that were not there before.

use super::{Room, checksum::fold};
use crate::{
    abi::Family,
    packet::{
        Frame,
        header::{Ipv4, Tcp},
        merge,
    },
    verifier::opaque,
};

/// The longest range that is summed, bytes: an ICMPv6 error.
const LONGEST: usize = 1280;

/// A sum of 16-bit words in one's complement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// Two adjoining words, as they lie in the packet.
    #[inline(always)]
    pub(super) fn words(&mut self, words: u32) {
        self.0 += u64::from(words);
    }

    /// A word, as it lies in the packet.
    #[inline(always)]
    pub(super) fn word(&mut self, word: u16) {
        self.0 += u64::from(word);
    }

    /// An address.
    #[inline(always)]
    pub(super) fn address<F: Family>(&mut self, address: F::Addr) {
        let address = F::widen(address);
        self.words(address.a);
        if F::IS_V6 {
            self.words(address.b);
            self.words(address.c);
            self.words(address.d);
        }
    }

    /// The pseudo header (RFC 768, RFC 9293, RFC 8200): both addresses, the protocol and the length from the transport
    /// header on.
    #[inline(always)]
    pub(super) fn pseudo<F: Family>(&mut self, src: F::Addr, dst: F::Addr, proto: u8, length: u32) {
        self.address::<F>(src);
        self.address::<F>(dst);
        self.words(length.to_be());
        self.words(u32::from(proto).to_be());
    }

    /// A TCP header without options whose checksum field is 0.
    #[inline(always)]
    pub(super) fn tcp(&mut self, tcp: &Tcp) {
        self.words(u32::from(tcp.ports.src) | u32::from(tcp.ports.dst) << 16);
        self.words(tcp.seq);
        self.words(tcp.ack);
        self.word((u16::from(tcp.offset) << 8 | u16::from(tcp.flags)).to_be());
        self.word(tcp.window);
        self.word(tcp.urgent);
    }

    /// All bytes of a range that begins at an even offset of what the checksum covers.
    #[inline(always)]
    pub(super) fn range<R: Room>(&mut self, room: &R, at: usize, length: usize) -> Option<()> {
        let sum = room.sum(at, length);
        if sum == u64::MAX {
            return None;
        }
        self.0 += sum;
        Some(())
    }

    /// The checksum.
    #[inline(always)]
    pub(super) fn checksum(self) -> u16 {
        !fold(self.0)
    }
}

/// Sum of a range; `u64::MAX` if it does not lie in the frame or is too long. A number, since a subprogram of the
/// kernel returns nothing larger.
#[inline(always)]
pub fn sum_of(frame: Frame, at: usize, length: usize) -> u64 {
    // What the verifier learns of the length in the loop must not make each round's end a case of its own.
    let (at, rest) = (merge(at), merge(length));
    let mut sum = 0;
    let mut done = 0;
    let mut turn = 0;
    while turn < LONGEST / 8 {
        if done + 8 > length {
            break;
        }
        // The compiler would count by the length alone, in which the verifier of older kernels sees no end.
        turn = opaque(turn + 1);
        let Some(words) = frame.read::<u64>(at + done) else {
            return u64::MAX;
        };
        sum += (words & 0xffff_ffff) + (words >> 32);
        done += 8;
    }
    if rest > LONGEST {
        return u64::MAX;
    }
    let mut at = at + (rest & !7);
    if rest & 4 != 0 {
        let Some(words) = frame.read::<u32>(at) else {
            return u64::MAX;
        };
        sum += u64::from(words);
        at += 4;
    }
    if rest & 2 != 0 {
        let Some(word) = frame.read::<u16>(at) else {
            return u64::MAX;
        };
        sum += u64::from(word);
        at += 2;
    }
    if rest & 1 != 0 {
        let Some(byte) = frame.read::<u8>(at) else {
            return u64::MAX;
        };
        // The missing second byte of the word counts as 0.
        sum += u64::from((u16::from(byte) << 8).to_be());
    }
    sum
}

/// The checksum of an IPv4 header without options whose checksum field is 0.
#[inline(always)]
pub(super) fn ipv4_header(ip: &Ipv4) -> u16 {
    let mut sum = Sum::default();
    sum.word((u16::from(ip.version_ihl) << 8 | u16::from(ip.tos)).to_be());
    sum.word(ip.length);
    sum.word(ip.id);
    sum.word(ip.fragment);
    sum.word((u16::from(ip.ttl) << 8 | u16::from(ip.proto)).to_be());
    sum.words(ip.src);
    sum.words(ip.dst);
    sum.checksum()
}
