//! The devices and addresses of a measurement: in a network namespace, or a guest, of its own.

use super::tap::Tap;
use crate::Result;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::process::Command;

/// The virtual addresses.
pub(super) const VIP4: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 100);
pub(super) const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x101, 0, 0, 0, 0, 0, 0x100);

/// The last numbers of the backends' addresses.
pub(super) const BACKENDS: Range<u8> = 11..15;

/// The devices: `in`, where packets come in, with `peer` at its other end; and where live traffic is counted `sink`, by
/// which all leaves.
pub(super) struct Net {
    sink: Option<Tap>,
}

impl Net {
    /// A backend behind `sink`.
    pub(super) fn backend4(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 2, 0, last)
    }

    /// The same for IPv6.
    pub(super) fn backend6(last: u8) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x102, 0, 0, 0, 0, 0, last.into())
    }

    /// A backend behind `in`.
    pub(super) fn near4(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 1, 0, last)
    }

    /// The same for IPv6.
    pub(super) fn near6(last: u8) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x101, 0, 0, 0, 0, 0, last.into())
    }

    /// Whether there is a `sink`.
    pub(super) fn has_sink(&self) -> bool {
        self.sink.is_some()
    }

    /// Makes them.
    pub(super) fn make(with_sink: bool) -> Result<Net> {
        // Each backend has an address of its own: by it, frames show whom they go to.
        let neighbour = |last: u8| format!("02:00:00:00:00:{last:02x}");
        let client = neighbour(0xc1);
        let ip = |text: &str| called(&[&["ip"], &text.split(' ').collect::<Vec<_>>()[..]].concat());
        ip("link set lo up")?;
        ip("link add in type veth peer name peer")?;
        ip("addr add 10.1.0.1/24 dev in")?;
        ip("addr add fd00:101::1/64 dev in nodad")?;
        ip(&format!("addr add {VIP4}/32 dev lo"))?;
        ip(&format!("addr add {VIP6}/128 dev lo nodad"))?;
        ip("link set peer up")?;
        ip("link set in up")?;
        ip(&format!("neigh replace 10.1.0.10 lladdr {client} dev in"))?;
        ip(&format!(
            "neigh replace fd00:101::10 lladdr {client} dev in"
        ))?;
        for last in BACKENDS {
            let (v4, v6) = (Net::near4(last), Net::near6(last));
            let neighbour = neighbour(last);
            ip(&format!("neigh replace {v4} lladdr {neighbour} dev in"))?;
            ip(&format!("neigh replace {v6} lladdr {neighbour} dev in"))?;
        }
        for (name, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/in/rp_filter", "0"),
            // The same device leads to clients and to backends.
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/in/send_redirects", "0"),
        ] {
            let path = format!("/proc/sys/net/{name}");
            std::fs::write(&path, value).map_err(|e| format!("{path}: {e}"))?;
        }
        let sink = if with_sink {
            let tap = Tap::make("sink")?;
            // Without a queue before the device's own: the cheapest way to send.
            called(&["tc", "qdisc", "replace", "dev", "sink", "root", "noqueue"])?;
            ip("addr add 10.2.0.1/24 dev sink")?;
            ip("addr add fd00:102::1/64 dev sink nodad")?;
            ip("link set sink up")?;
            for last in BACKENDS {
                let (v4, v6) = (Net::backend4(last), Net::backend6(last));
                let neighbour = neighbour(last);
                ip(&format!("neigh replace {v4} lladdr {neighbour} dev sink"))?;
                ip(&format!("neigh replace {v6} lladdr {neighbour} dev sink"))?;
            }
            ip(&format!("neigh replace 10.2.0.10 lladdr {client} dev sink"))?;
            ip(&format!(
                "neigh replace fd00:102::10 lladdr {client} dev sink"
            ))?;
            ip("route add 172.16.0.0/12 via 10.2.0.10")?;
            ip("-6 route add fd00:172::/32 via fd00:102::10")?;
            Some(tap)
        } else {
            ip("route add 172.16.0.0/12 via 10.1.0.10")?;
            ip("-6 route add fd00:172::/32 via fd00:101::10")?;
            None
        };
        Ok(Net { sink })
    }

    /// How often `sink` had no room for what it was given: of several packets at a time it counts the first alone.
    pub(super) fn left() -> Result<u64> {
        let path = "/sys/class/net/sink/statistics/tx_dropped";
        let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        text.trim().parse().map_err(|_| format!("{path}: {text}"))
    }
}

/// Runs a command that says nothing when all is well.
pub(in super::super) fn called(words: &[&str]) -> Result {
    let fail = |why: &str| format!("{}: {why}", words.join(" "));
    let (program, arguments) = words.split_first().ok_or("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|e| fail(&e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(fail(String::from_utf8_lossy(&output.stderr).trim()))
}
