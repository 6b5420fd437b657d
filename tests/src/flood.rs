//! A flood of SYNs from the client's machine of a [`Site`], whose senders do not exist.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, sendto, socket_with,
};

use crate::Site;

/// A flood that goes on.
#[derive(Debug)]
pub struct Flood {
    sent: Arc<AtomicU32>,
    thread: JoinHandle<()>,
}

impl Flood {
    /// Begins one of `count` SYNs.
    #[must_use]
    pub fn begin(site: &Site, to: SocketAddrV4, count: u32) -> Self {
        let sent = Arc::new(AtomicU32::new(0));
        let thread = flood(site, to, count, Arc::clone(&sent));
        Self { sent, thread }
    }

    /// How many were sent so far.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.sent.load(Relaxed)
    }

    /// Whether all were.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the last; how many were sent.
    #[must_use]
    pub fn end(self) -> u32 {
        self.thread.join().unwrap();
        self.sent.load(Relaxed)
    }
}

/// Sends them from the client's machine, each from an address and port of its own.
fn flood(site: &Site, to: SocketAddrV4, count: u32, sent: Arc<AtomicU32>) -> JoinHandle<()> {
    site.spawn("client", move || {
        let raw = std::num::NonZeroU32::new(255).map(Protocol::from_raw);
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            raw,
        );
        let socket = socket.unwrap();
        let way = SocketAddrV4::new(*to.ip(), 0);
        for number in 0..count {
            let packet = syn(number, to);
            // A queue that is full for a moment.
            while sendto(&socket, &packet, SendFlags::empty(), &way).is_err() {
                std::thread::yield_now();
            }
            sent.store(number + 1, Relaxed);
            // The client's own cable is short: what it loses never reaches the director.
            if number % 64 == 0 {
                std::thread::sleep(Duration::from_micros(500));
            }
        }
    })
}

/// One from 100.64.0.0/10.
fn syn(number: u32, to: SocketAddrV4) -> [u8; 40] {
    let from = Ipv4Addr::from(0x6440_0000 | number & 0x3f_ffff);
    let port = 1024 + u16::try_from(number % 60_000).unwrap();
    let mut packet = [0; 40];
    packet[0] = 0x45;
    packet[3] = 40;
    packet[8] = 64;
    packet[9] = 6;
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.ip().octets());
    packet[20..22].copy_from_slice(&port.to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[24..28].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    packet[32] = 5 << 4;
    packet[33] = 2;
    packet[34..36].copy_from_slice(&64_240_u16.to_be_bytes());
    // The kernel fills in the header's own checksum; TCP's covers addresses, protocol and length too.
    let words = |bytes: &[u8]| -> u32 {
        bytes
            .chunks(2)
            .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
            .sum()
    };
    let mut sum = words(&packet[12..]) + 6 + 20;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap();
    packet[36..38].copy_from_slice(&sum.to_be_bytes());
    packet
}
