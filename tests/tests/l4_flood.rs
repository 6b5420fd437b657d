//! A flood of SYNs from addresses that do not exist, while a thousand connections talk. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use e2e::{Site, Talk, needs_root, wait_for_up};
use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, sendto, socket_with,
};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
const PORT: u16 = 7000;
/// How many SYNs.
const SYNS: u32 = 300_000;
/// How many connections talk meanwhile.
const TALKS: usize = 1_000;

fn withstands(mode: &str) {
    let site = Site::new(&format!("--mode {mode}"));
    for host in ["server1", "server2", "server3"] {
        site.echo(host, SocketAddr::from(([0; 4], PORT)));
    }
    let backends: String = (1..4)
        .map(|n| format!("  {{ address = \"10.0.0.1{n}:{PORT}\" }},\n"))
        .collect();
    // Of handshakes there is room for a fraction of the flood.
    let daemon = site.daemon(&format!(
        "{}max-flows = 16384\nmax-handshakes = 65536\n\n[[pool]]\nname = \"echo\"\nbalance = \"wlc\"\n\
         check = {{ tcp = true, interval = \"1s\", timeout = \"1s\" }}\nbackends = [\n{backends}]\n\n\
         [[service]]\nname = \"talk\"\nlisten = \"tcp://{VIP}:{PORT}\"\nforward = \"{mode}\"\npool = \"echo\"\n",
        site.l4(),
    ));
    wait_for_up(&daemon, 3);
    let service = SocketAddr::from((VIP, PORT));
    let mut talks = Talk::begin_many(&site, service, TALKS).unwrap();
    let sent = Arc::new(AtomicU32::new(0));
    let flood = flood(&site, Arc::clone(&sent));
    let mut new = 0;
    let mut rounds = 0;
    while !flood.is_finished() || rounds == 0 {
        let begun = Talk::begin(&site, service);
        let mut begun =
            begun.unwrap_or_else(|e| panic!("new, after {} SYNs: {e}", sent.load(Relaxed)));
        begun.say("new").unwrap();
        new += 1;
        for talk in talks.iter_mut().skip(rounds % 10).step_by(10) {
            talk.send(b"established").unwrap();
        }
        for talk in talks.iter_mut().skip(rounds % 10).step_by(10) {
            talk.hear(b"established").unwrap();
        }
        rounds += 1;
    }
    flood.join().unwrap();
    assert_eq!(sent.load(Relaxed), SYNS);
    println!("{mode}: {new} new connections and {rounds} rounds of talks during {SYNS} SYNs");
    for (index, talk) in talks.iter_mut().enumerate() {
        let said = talk.say("after all");
        said.unwrap_or_else(|e| panic!("{mode}: connection {index} is lost: {e}"));
    }
    drop(daemon);
}

/// Sends them from the client's machine, each from an address and port of its own.
fn flood(site: &Site, sent: Arc<AtomicU32>) -> JoinHandle<()> {
    site.spawn("client", move || {
        let raw = std::num::NonZeroU32::new(255).map(Protocol::from_raw);
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            raw,
        );
        let socket = socket.unwrap();
        let to = SocketAddrV4::new(VIP, 0);
        for number in 0..SYNS {
            let packet = syn(number);
            // A queue that is full for a moment.
            while sendto(&socket, &packet, SendFlags::empty(), &to).is_err() {
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
fn syn(number: u32) -> [u8; 40] {
    let from = Ipv4Addr::from(0x6440_0000 | number & 0x3f_ffff);
    let port = 1024 + u16::try_from(number % 60_000).unwrap();
    let mut packet = [0; 40];
    packet[0] = 0x45;
    packet[3] = 40;
    packet[8] = 64;
    packet[9] = 6;
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&VIP.octets());
    packet[20..22].copy_from_slice(&port.to_be_bytes());
    packet[22..24].copy_from_slice(&PORT.to_be_bytes());
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

#[test]
fn nat_withstands_a_flood() {
    if needs_root("nat_withstands_a_flood") {
        withstands("nat");
    }
}

#[test]
fn direct_withstands_a_flood() {
    if needs_root("direct_withstands_a_flood") {
        withstands("direct");
    }
}
