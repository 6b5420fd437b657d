//! The packets that a measurement sends: what the benchmark's program (`xdp/src/bench.rs`) is told to write.

use aya::Pod;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Length of every frame, bytes: headers of any kind, and a little payload.
const LENGTH: usize = 96;
/// The program's number of words.
const WORDS: usize = 10;
/// Flows of one address, a power of two: see the program's `PORT_BITS`.
const PORTS: u32 = 1 << 15;
const FIRST_PORT: u32 = 1024;

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
    /// The first flow's number.
    pub(super) first: u32,
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
    first: u32,
    zero: u32,
}

// SAFETY: numbers, without padding: 80 and 40 bytes.
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
            first: self.first,
            zero: 0,
        };
        (frame, script)
    }

    /// The whole frame of one flow, as the program would write it.
    pub(super) fn frame(&self, target: [u8; 6], flow: u32) -> Vec<u8> {
        let (mut frame, script) = self.script(target);
        let flow = self.first + flow;
        let (address, port) = (script.address + flow / PORTS, FIRST_PORT + flow % PORTS);
        let l4 = if script.kind & 1 == 0 { 34 } else { 54 };
        let (address_at, port_at) = match script.kind & 3 {
            0 => (26, l4),
            1 => (34, l4),
            2 => (30, l4 + 2),
            _ => (50, l4 + 2),
        };
        frame[address_at..address_at + 4].copy_from_slice(&address.to_be_bytes());
        frame[port_at..port_at + 2].copy_from_slice(&(port as u16).to_be_bytes());
        let varies = (address >> 16) + (address & 0xffff);
        let sum_at = l4 + if self.tcp.is_some() { 16 } else { 6 };
        let l4_sum = folded(script.l4_sum + varies + port);
        frame[sum_at..sum_at + 2].copy_from_slice(&l4_sum.to_be_bytes());
        if script.kind & 1 == 0 {
            let sum = folded(script.ip_sum + varies);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        frame
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

/// The checksum of these words' sum.
fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
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
            first: 0,
            flows: 1,
        };
        let (frame, script) = stream.script([0; 6]);
        assert_eq!(frame.len(), LENGTH);
        // 4500 + total length 82 + 4000 + 4011 + 0a00 + 0001
        assert_eq!(script.ip_sum, 0x4500 + 82 + 0x4000 + 0x4011 + 0x0a00 + 1);
        // Over a whole packet, checksum included, the sum is all ones.
        let whole = stream.frame([0; 6], 7);
        let ip = folded(sum(&whole[14..34]));
        let udp = folded(sum(&whole[26..34]) + 17 + 62 + sum(&whole[34..]));
        assert_eq!((ip, udp), (0, 0));
        // addresses + ports + length twice + protocol
        assert_eq!(script.l4_sum, 0x0a00 + 1 + 53 + 62 + 62 + 17);
    }
}
