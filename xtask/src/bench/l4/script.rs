//! The packets that a measurement sends: what the benchmark's program (`xdp/src/bench.rs`) is told to write.

use aya::Pod;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Length of every frame, bytes: headers of any kind, and a little payload.
const LENGTH: usize = 96;
/// The program's number of words.
const WORDS: usize = 10;
/// Flows of one address, a power of two: see the program's `PORT_BITS`.
const PORTS: u32 = 1 << 15;

/// The first client's address. 2^32 flows lie in 131,072 addresses from here on.
pub(super) const CLIENT4: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);
/// The same for IPv6.
pub(super) const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x172, 0, 0, 0, 0, 0, 0);

/// An address and a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) address: std::net::IpAddr,
    pub(super) port: u16,
}

/// What packets are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// The service of clients' packets, the backend of replies: what does not vary.
    pub(super) fixed: End,
    /// From the backend to the clients, rather than from the clients.
    pub(super) reply: bool,
    /// TCP with these flags, else UDP.
    pub(super) tcp: Option<u8>,
    /// How many flows; they are gone through again and again.
    pub(super) flows: u32,
}

/// As the program has it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    words: [u64; WORDS],
    cursor: u32,
    step: u32,
    flows: u32,
    length: u32,
    address: u32,
    ip_sum: u32,
    l4_sum: u32,
    kind: u32,
}

// SAFETY: numbers, without padding: 80 and 32 bytes.
unsafe impl Pod for Script {}

impl Stream {
    /// The frame as the first flow has it, but for checksums and the client's port, and what the program must know to
    /// complete it. `target` is the link-layer address it is sent to.
    pub(super) fn script(&self, target: [u8; 6]) -> (Vec<u8>, Script) {
        let v6 = self.fixed.address.is_ipv6();
        let header = if v6 { 40 } else { 20 };
        let mut frame = vec![0; LENGTH];
        frame[..6].copy_from_slice(&target);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0xc1]);
        frame[12..14].copy_from_slice(if v6 { &[0x86, 0xdd] } else { &[8, 0] });
        let proto = if self.tcp.is_some() { 6 } else { 17 };
        let l4_length = (LENGTH - 14 - header) as u16;
        self.ip(&mut frame[14..], proto, l4_length);
        self.transport(&mut frame[14 + header..], l4_length);
        let address = if v6 {
            CLIENT6.octets()[12..]
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        } else {
            u32::from(CLIENT4)
        };
        // Without what varies: those four bytes are 0 here, and so is the client's port.
        let mut constant = frame.clone();
        let at = match (v6, self.reply) {
            (false, false) => 26,
            (false, true) => 30,
            (true, false) => 34,
            (true, true) => 50,
        };
        constant[at..at + 4].fill(0);
        let addresses = if v6 {
            &constant[22..54]
        } else {
            &constant[26..34]
        };
        let l4_sum = sum(addresses) + sum(&constant[14 + header..]) + proto + u32::from(l4_length);
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(frame.chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        }
        let script = Script {
            words,
            cursor: 0,
            step: step(self.flows),
            flows: self.flows,
            length: LENGTH as u32,
            address,
            ip_sum: sum(&constant[14..34]),
            l4_sum,
            kind: u32::from(v6) | u32::from(self.reply) << 1 | u32::from(self.tcp.is_some()) << 2,
        };
        (frame, script)
    }

    fn ip(&self, to: &mut [u8], proto: u32, l4_length: u16) {
        let (src, dst) = match self.fixed.address {
            std::net::IpAddr::V4(fixed) => {
                to[0] = 0x45;
                to[2..4].copy_from_slice(&(20 + l4_length).to_be_bytes());
                // "Do not fragment", as nearly all traffic has it.
                to[6] = 0x40;
                to[8] = 64;
                to[9] = proto as u8;
                let (src, dst) = to[12..20].split_at_mut(4);
                let (client, other) = if self.reply { (dst, src) } else { (src, dst) };
                client.copy_from_slice(&CLIENT4.octets());
                other.copy_from_slice(&fixed.octets());
                return;
            }
            std::net::IpAddr::V6(fixed) if self.reply => (fixed, CLIENT6),
            std::net::IpAddr::V6(fixed) => (CLIENT6, fixed),
        };
        to[0] = 0x60;
        to[4..6].copy_from_slice(&l4_length.to_be_bytes());
        to[6] = proto as u8;
        to[7] = 64;
        to[8..24].copy_from_slice(&src.octets());
        to[24..40].copy_from_slice(&dst.octets());
    }

    fn transport(&self, to: &mut [u8], length: u16) {
        let at = if self.reply { 0 } else { 2 };
        to[at..at + 2].copy_from_slice(&self.fixed.port.to_be_bytes());
        match self.tcp {
            Some(flags) => {
                to[4..8].copy_from_slice(&1u32.to_be_bytes());
                to[12] = 5 << 4;
                to[13] = flags;
                to[14..16].copy_from_slice(&0xfaf0u16.to_be_bytes());
            }
            None => to[4..6].copy_from_slice(&length.to_be_bytes()),
        }
    }
}

/// A way through `flows` flows that meets each once and does not go on to the neighbour in memory, which the
/// processor would have fetched already. Flows that are never met twice are in order.
fn step(flows: u32) -> u32 {
    if flows > PORTS * 1024 {
        return 1;
    }
    let mut step = (f64::from(flows) * 0.618) as u32 | 1;
    while common(step, flows) != 1 {
        step += 2;
    }
    step % flows.max(2)
}

fn common(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common(b, a % b) }
}

/// The sum of 16-bit words.
fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flow_is_met_once() {
        for flows in [1, 2, 10_000, 100_000, 1 << 20] {
            let step = step(flows);
            let mut seen = vec![false; flows as usize];
            let mut cursor = 0u32;
            for _ in 0..flows {
                seen[cursor as usize] = true;
                cursor += step;
                cursor -= if cursor >= flows { flows } else { 0 };
                assert!(cursor < flows, "{flows}");
            }
            assert!(seen.iter().all(|met| *met), "{flows}");
        }
    }

    #[test]
    fn sums_leave_out_what_varies() {
        let stream = Stream {
            fixed: End {
                address: Ipv4Addr::new(10, 0, 0, 1).into(),
                port: 53,
            },
            reply: false,
            tcp: None,
            flows: 1,
        };
        let (frame, script) = stream.script([0; 6]);
        assert_eq!(frame.len(), LENGTH);
        // 4500 + total length 82 + 4000 + 4011 + 0a00 + 0001
        assert_eq!(script.ip_sum, 0x4500 + 82 + 0x4000 + 0x4011 + 0x0a00 + 1);
        // addresses + ports + length twice + protocol
        assert_eq!(script.l4_sum, 0x0a00 + 1 + 53 + 62 + 62 + 17);
    }
}
