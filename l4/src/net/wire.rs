//! Netlink messages as bytes: writing requests, reading what comes (netlink(7), rtnetlink(7)).
//!
//! What comes is read by slices that may turn out too short, never by casts: a message that is not what it says gives
//! `None` where a field was expected. What the fields mean is in [`super::link`], [`super::neighbour`] and
//! [`super::route`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of a message's header, bytes.
pub const HEADER: usize = 16;

/// The kernel's answer with an error number, or 0 for "done as asked".
pub const NLMSG_ERROR: u16 = 2;
/// The end of a dump.
pub const NLMSG_DONE: u16 = 3;

/// Flags of a message's header.
pub mod flags {
    /// A request: every message that user space sends.
    pub const REQUEST: u16 = 0x1;
    /// Answer with [`super::NLMSG_ERROR`] even if all went well.
    pub const ACK: u16 = 0x4;
    /// What is being dumped changed meanwhile.
    pub const DUMP_INTERRUPTED: u16 = 0x10;
    /// All of them.
    pub const DUMP: u16 = 0x300;
    /// Change what is there.
    pub const REPLACE: u16 = 0x100;
    /// Fail if it is there.
    pub const EXCLUSIVE: u16 = 0x200;
    /// Make what is not there.
    pub const CREATE: u16 = 0x400;
}

/// A request being written.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// Begins one of type `kind`; `fixed` is the structure that all messages of this type begin with.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | self::flags::REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        Self { bytes }
    }

    /// Adds an attribute.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (value.len() + 4) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        let padded = aligned(self.bytes.len());
        self.bytes.resize(padded, 0);
        self
    }

    /// Adds an attribute that is an address.
    pub fn address(self, kind: u16, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.attribute(kind, &address.octets()),
            IpAddr::V6(address) => self.attribute(kind, &address.octets()),
        }
    }

    /// Whether the kernel is asked to say that it was done.
    pub(super) fn is_acknowledged(&self) -> bool {
        let flags = u16_at(&self.bytes, 6).unwrap_or_default();
        flags & self::flags::ACK != 0
    }

    /// The whole, with its length and this sequence number.
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// A message that came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its type.
    pub kind: u16,
    /// Of [`flags`].
    pub flags: u16,
    /// Which request it answers; 0: none.
    pub sequence: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The error number of an [`NLMSG_ERROR`]: 0 for success.
    pub fn error(&self) -> Option<i32> {
        let number = i32::from_ne_bytes(self.body.get(..4)?.try_into().ok()?);
        // From the kernel it is negative; nothing else comes here.
        number.checked_neg()
    }

    /// The attributes after a fixed structure of so many bytes.
    pub fn attributes(&self, fixed: usize) -> Attributes<'a> {
        Attributes(self.body.get(aligned(fixed)..).unwrap_or_default())
    }
}

/// The messages in what was received.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let bytes = self.0;
        let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let body = bytes.get(HEADER..length)?;
        self.0 = bytes.get(aligned(length)..).unwrap_or_default();
        Some(Message {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            body,
        })
    }
}

/// Attributes one after the other: their types (without the flags in the upper bits) and values.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let bytes = self.0;
        let length = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(4..length)?;
        self.0 = bytes.get(aligned(length)..).unwrap_or_default();
        Some((u16_at(bytes, 2)? & 0x3fff, value))
    }
}

impl<'a> Attributes<'a> {
    /// The value of the first of this type.
    pub fn find_kind(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find(|(k, _)| *k == kind).map(|(_, value)| value)
    }
}

/// Two bytes at a place, in the machine's order.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Four bytes at a place, in the machine's order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// An address by its length.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}

/// The number of an address's family.
pub fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

/// A length with its padding: everything in netlink begins at a multiple of four.
const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let request = Request::new(24, flags::ACK, &[9; 12])
            .attribute(1, &[1, 2, 3])
            .address(2, IpAddr::from([10, 0, 0, 1]));
        let bytes = request.finish(77);
        let messages: Vec<Message<'_>> = Messages(&bytes).collect();
        assert_eq!(messages.len(), 1);
        let message = messages[0];
        assert_eq!((message.kind, message.sequence), (24, 77));
        assert_eq!(message.flags, flags::ACK | flags::REQUEST);
        let attributes: Vec<_> = message.attributes(12).collect();
        assert_eq!(attributes, [(1, &[1, 2, 3][..]), (2, &[10, 0, 0, 1][..])]);
        assert_eq!(address(&[10, 0, 0, 1]), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(address(&[10, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn anything_may_come(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for message in Messages(&bytes).take(100) {
                let _ = message.error();
                prop_assert!(message.attributes(8).count() <= bytes.len());
            }
        }

        /// A length of nothing must not keep a reader in its place.
        #[test]
        fn lengths_lead_on(length in 0_u32..20, rest in proptest::collection::vec(0_u8..6, 0..64)) {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend(rest);
            prop_assert!(Messages(&bytes).count() <= 4);
            prop_assert!(Attributes(&bytes).count() <= 17);
        }
    }
}
