//! The program, loaded for one test, in a network namespace with one device and neighbours that are known.

use std::process::Command;

use control::spec::L4Spec;
use l4::harness::Harness;
use xdp::abi::{Iface, Mac};

/// Tables large enough for tests, and quickly made.
pub(crate) fn small() -> L4Spec {
    L4Spec {
        max_flows: 4096,
        max_handshakes: 1024,
        ..L4Spec::default()
    }
}

/// The program with a device `out` on the way to 10.1.0.0/16 and fd01::/16, all of whose neighbours have the
/// link-layer address 02:00:00:00:00:99.
pub(crate) struct Rig {
    pub(crate) harness: Harness,
    /// The device's index.
    pub(crate) out: u32,
}

pub(crate) const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const THEIR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

fn ip(line: &str) {
    let done = Command::new("ip").args(line.split(' ')).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {line}: {errors}");
}

fn mac(bytes: [u8; 6]) -> Mac {
    let [a, b, c, d, e, f] = bytes;
    Mac {
        a: u16::from_ne_bytes([a, b]),
        b: u16::from_ne_bytes([c, d]),
        c: u16::from_ne_bytes([e, f]),
    }
}

impl Rig {
    /// None without the rights: the test is skipped.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: needs root");
            return None;
        }
        // This thread alone moves into a namespace of its own, which goes with it.
        let flags = rustix::thread::UnshareFlags::NEWNET;
        // SAFETY: a network namespace alone: nothing that this process has open or shares is affected.
        let moved = unsafe { rustix::thread::unshare_unsafe(flags) };
        if let Err(error) = moved {
            eprintln!("SKIPPED: no network namespace: {error}");
            return None;
        }
        ip("link add out address 02:00:00:00:00:01 type veth peer name far");
        for line in [
            "link set lo up",
            "link set far up",
            "link set out up",
            "addr add 10.1.255.1/16 dev out",
            "addr add fd01::ffff/64 dev out nodad",
        ] {
            ip(line);
        }
        for host in 1..=5 {
            for net in ["10.1.0.", "fd01::"] {
                ip(&format!(
                    "neigh add {net}{host} lladdr 02:00:00:00:00:99 dev out nud permanent"
                ));
            }
        }
        ip("route add default via 10.1.0.5");
        ip("route add default via fd01::5 dev out");
        for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            // This shows the settings of the thread's own namespace.
            std::fs::write(format!("/proc/sys/{key}"), "1").unwrap();
        }
        let index = std::fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap_or_default();
        let out = index
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?.parse::<u32>().ok()?, words.next()?.to_owned()))
            })
            .find(|(_, name)| name == "out")
            .map(|(index, _)| index)
            .unwrap();
        let harness = match Harness::new(&small()) {
            Ok(harness) => harness,
            Err(error @ l4::StartError::NoRights { .. }) => {
                eprintln!("SKIPPED: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let iface = Iface {
            ifindex: out,
            mac: mac(OUR_MAC),
            mtu: 1500,
            ..Iface::default()
        };
        harness.device(out, &iface).unwrap();
        Some(Self { harness, out })
    }
}
