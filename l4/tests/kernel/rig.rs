//! The program, loaded for one test, in a network namespace with devices, routes and neighbours that are known.

use std::{collections::HashMap, process::Command};

use control::spec::L4Spec;
use l4::harness::Harness;
use xdp::{
    abi::{Addr6, Iface, Mac},
    decide::{Route, model::Router},
};

/// Tables large enough for tests, and quickly made.
pub(crate) fn small() -> L4Spec {
    L4Spec {
        max_flows: 4096,
        max_handshakes: 1024,
        ..L4Spec::default()
    }
}

/// The program in a network of its own. All neighbours have the link-layer address 02:00:00:00:00:99:
///
/// | network | way |
/// |---|---|
/// | 10.1.0.0/16, fd01::/64, all else | `out`; .1 to .9 are known neighbours |
/// | 10.2.0.0/16, fd02::/64 | `tagged`, which is `out` with VLAN 100 |
/// | 10.4.0.0/16, fd04::/64 | unreachable |
/// | 10.5.0.0/16, fd05::/64 | `other`, of which the program is not told |
/// | 10.6.0.0/16, fd06::/64 | `out`, with an MTU of 1400 |
pub(crate) struct Rig {
    pub(crate) harness: Harness,
    /// The device's index.
    pub(crate) out: u32,
    /// Devices that the program was told of.
    pub(crate) ifaces: HashMap<u32, Iface>,
}

pub(crate) const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const THEIR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x99];
/// The tag of `tagged`.
pub(crate) const VLAN: u16 = 100;
/// The MTU on the way to 10.6.0.0/16.
pub(crate) const NARROW: u16 = 1400;

/// The network, as `ip -batch` reads it.
const NETWORK: &str = "\
link add out address 02:00:00:00:00:01 type veth peer name far
link add tagged address 02:00:00:00:00:01 type veth peer name far2
link add other address 02:00:00:00:00:01 type veth peer name far3
link set lo up
link set far up
link set out up
link set far2 up
link set tagged up
link set far3 up
link set other up
addr add 10.1.255.1/16 dev out
addr add fd01::ffff/64 dev out nodad
addr add 10.2.255.1/16 dev tagged
addr add fd02::ffff/64 dev tagged nodad
addr add 10.5.255.1/16 dev other
addr add fd05::ffff/64 dev other nodad
";
/// What needs the neighbours.
const ROUTES: &str = "\
route add default via 10.1.0.5
route add default via fd01::5 dev out
route add unreachable 10.4.0.0/16
route add unreachable fd04::/64
route add 10.6.0.0/16 via 10.1.0.6 mtu lock 1400
route add fd06::/64 via fd01::6 dev out mtu lock 1400
";

fn batch(lines: &str) {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    let mut ip = Command::new("ip");
    let done = ip.arg("-batch").arg(file.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
}

pub(crate) fn mac(bytes: [u8; 6]) -> Mac {
    let [a, b, c, d, e, f] = bytes;
    Mac {
        a: u16::from_ne_bytes([a, b]),
        b: u16::from_ne_bytes([c, d]),
        c: u16::from_ne_bytes([e, f]),
    }
}

fn index(name: &str) -> u32 {
    // This shows the devices of the thread's own namespace.
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap_or_default();
    let found = devices.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let index = words.next()?.parse::<u32>().ok()?;
        (words.next()? == name).then_some(index)
    });
    found.unwrap()
}

fn words6(text: &str) -> Addr6 {
    let octets = text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let word = |at: usize| u32::from_ne_bytes(octets[at..at + 4].try_into().unwrap());
    Addr6 {
        a: word(0),
        b: word(4),
        c: word(8),
        d: word(12),
    }
}

impl Rig {
    /// None without the rights: the test is skipped.
    pub(crate) fn new() -> Option<Self> {
        Self::of(&small())
    }

    /// The same, with tables of the test's own.
    pub(crate) fn of(spec: &L4Spec) -> Option<Self> {
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
        let mut lines = NETWORK.to_owned();
        for (n, device) in [(1, "out"), (2, "tagged"), (5, "other")] {
            for host in 1..=9 {
                for net in [format!("10.{n}.0."), format!("fd0{n}::")] {
                    lines += &format!(
                        "neigh add {net}{host} lladdr 02:00:00:00:00:99 dev {device} nud permanent\n"
                    );
                }
            }
        }
        batch(&(lines + ROUTES));
        for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            // This shows the settings of the thread's own namespace.
            std::fs::write(format!("/proc/sys/{key}"), "1").unwrap();
        }
        let out = index("out");
        let harness = match Harness::new(spec) {
            Ok(harness) => harness,
            Err(error @ l4::StartError::NoRights { .. }) => {
                eprintln!("SKIPPED: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let iface = |vlan, net: u8| Iface {
            ifindex: out,
            mac: mac(OUR_MAC),
            vlan,
            mtu: 1500,
            source4: u32::from_ne_bytes([10, net, 255, 1]),
            source6: words6(&format!("fd0{net}::ffff")),
        };
        let ifaces = HashMap::from([(out, iface(0, 1)), (index("tagged"), iface(VLAN, 2))]);
        for (index, iface) in &ifaces {
            harness.device(*index, iface).unwrap();
        }
        Some(Self {
            harness,
            out,
            ifaces,
        })
    }

    /// The same network's ways, for the host.
    pub(crate) fn router(&self) -> Router {
        let out = self.out;
        Box::new(move |to, v6, hop| {
            let bytes = to.a.to_ne_bytes();
            let ours = bytes[0] == if v6 { 0xfd } else { 10 };
            let net = if ours { bytes[1] } else { 0 };
            let last = if v6 { to.d } else { to.a }.to_ne_bytes()[3];
            hop.ifindex = out;
            (hop.source, hop.target) = (mac(OUR_MAC), mac(THEIR_MAC));
            hop.mtu = if net == 6 { NARROW } else { 1500 };
            hop.vlan = if net == 2 { VLAN } else { 0 };
            match net {
                4 => Route::NoRoute,
                5 => Route::NoDevice,
                1 | 2 if last > 9 => Route::NoNeighbour,
                _ => Route::Found,
            }
        })
    }
}
