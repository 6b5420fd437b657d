//! The Internet checksum (RFC 1071), and the pseudo-headers that it covers.

use std::net::IpAddr;

/// A sum under way: 16-bit words in one's complement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds `bytes`; one more byte at an odd end counts as followed by zero, so only the last piece may be odd.
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        // No slice is long enough to overflow.
        let mut sum = self.0;
        for word in words {
            sum += u64::from(u16::from_be_bytes(*word));
        }
        if let [last] = rest {
            sum += u64::from(*last) << 8;
        }
        Self(fold(sum))
    }

    /// Adds the pseudo-header of a message of `length` bytes of `protocol` (RFC 9293 3.1 for IPv4, RFC 8200 8.1 for
    /// IPv6, which sum up alike). Addresses of two families give a sum that fits neither.
    pub(crate) fn pseudo(self, from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> Self {
        let sum = self.address(from).address(to);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        sum.add(&length.to_be_bytes()).add(&[0, protocol])
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => self.add(&v4.octets()),
            IpAddr::V6(v6) => self.add(&v6.octets()),
        }
    }

    /// What belongs into the checksum field, if that was zero; zero, if it was right already.
    pub(crate) fn finish(self) -> u16 {
        !u16::try_from(fold(self.0)).unwrap_or(u16::MAX)
    }
}

/// Carries added back in, until there are none.
const fn fold(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_sums_up() {
        // RFC 1071, section 3.
        let sum = Sum::default().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), !0xddf2);
    }

    #[test]
    fn an_odd_end_is_followed_by_zero() {
        let odd = Sum::default().add(&[1, 2, 3]).finish();
        assert_eq!(odd, Sum::default().add(&[1, 2, 3, 0]).finish());
    }

    #[test]
    fn a_message_with_its_checksum_sums_up_to_zero() {
        let mut message = [0x45, 0x00, 0x12, 0x34, 0x00, 0x00, 0xff, 0xff];
        let sum = Sum::default().add(&message).finish();
        message[4..6].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(Sum::default().add(&message).finish(), 0);
    }
}
