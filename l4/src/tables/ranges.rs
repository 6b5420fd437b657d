//! Port ranges as prefixes: what a longest-prefix table can hold.

use std::ops::RangeInclusive;

/// A power of two of ports that begins at a multiple of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortPrefix {
    /// The first port.
    pub port: u16,
    /// How many leading bits of a port must be as in `port`.
    pub bits: u8,
}

/// The fewest prefixes that make up a range: at most 30.
#[must_use]
pub fn prefixes(ports: &RangeInclusive<u16>) -> Vec<PortPrefix> {
    let (mut at, end) = (u32::from(*ports.start()), u32::from(*ports.end()) + 1);
    let mut found = Vec::new();
    while at < end {
        let aligned = if at == 0 {
            16
        } else {
            at.trailing_zeros().min(16)
        };
        let fits = (end - at).ilog2();
        let size = aligned.min(fits);
        found.push(PortPrefix {
            port: at as u16,
            bits: (16 - size) as u8,
        });
        at += 1 << size;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(prefix: PortPrefix, port: u16) -> bool {
        let mask = u16::MAX
            .checked_shl(16 - u32::from(prefix.bits))
            .unwrap_or(0);
        port & mask == prefix.port
    }

    #[test]
    fn examples() {
        assert_eq!(prefixes(&(0..=65535)), [PortPrefix { port: 0, bits: 0 }]);
        assert_eq!(prefixes(&(80..=80)), [PortPrefix { port: 80, bits: 16 }]);
        assert_eq!(prefixes(&(1..=65534)).len(), 30);
    }

    proptest! {
        #[test]
        fn each_port_of_a_range_is_in_one_prefix(a: u16, b: u16, asked: u16) {
            let range = a.min(b)..=a.max(b);
            let found = prefixes(&range);
            let times = found.iter().filter(|p| covers(**p, asked)).count();
            prop_assert_eq!(times, usize::from(range.contains(&asked)));
            prop_assert!(found.len() <= 30);
        }
    }
}
