//! Whether the kernel forwards what comes in by an interface. If it does not, it tells the program of no routes from there
//! either, and all of it is dropped (`no-route`), `direct` and tunnels included: `bpf_fib_lookup` has no flag that
//! goes without.

use std::net::IpAddr;

/// The families that services and their backends are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Families {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

impl FromIterator<IpAddr> for Families {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut families = Self::default();
        for ip in addresses {
            families.v4 |= ip.is_ipv4();
            families.v6 |= ip.is_ipv6();
        }
        families
    }
}

/// What keeps the kernel from forwarding what comes in by an interface, and what to do about it; none if nothing does.
pub(crate) fn hint(interface: &str, families: Families) -> Option<String> {
    let is_off = |family: &str| {
        let path = format!("/proc/sys/net/{family}/conf/{interface}/forwarding");
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "0")
    };
    said(
        interface,
        Families {
            v4: families.v4 && is_off("ipv4"),
            v6: families.v6 && is_off("ipv6"),
        },
    )
}

/// The same, of the families that are not forwarded.
fn said(interface: &str, off: Families) -> Option<String> {
    let families = [
        (off.v4, "IPv4", "net.ipv4.ip_forward", "ipv4"),
        (off.v6, "IPv6", "net.ipv6.conf.all.forwarding", "ipv6"),
    ];
    let off: Vec<_> = families.into_iter().filter(|(off, ..)| *off).collect();
    if off.is_empty() {
        return None;
    }
    let words: Vec<_> = off.iter().map(|(_, word, ..)| *word).collect();
    let all: Vec<_> = off
        .iter()
        .map(|(_, _, key, _)| format!("{key}=1"))
        .collect();
    // A dot within a name is a slash in a key.
    let name = interface.replace('.', "/");
    let one: Vec<_> = (off.iter())
        .map(|(.., family)| format!("net.{family}.conf.{name}.forwarding=1"))
        .collect();
    Some(format!(
        "the kernel does not forward {} from here, so services get nothing through: sysctl -w {} (or {} for this interface alone)",
        words.join(" and "),
        all.join(" "),
        one.join(" "),
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_lines_to_type_are_told() {
        let none = Families::default();
        assert_eq!(said("eth0", none), None);
        let v4 = said("eth0.7", Families { v4: true, ..none }).unwrap();
        assert!(
            v4.contains("sysctl -w net.ipv4.ip_forward=1 (or net.ipv4.conf.eth0/7.forwarding=1 "),
            "{v4}"
        );
        assert!(!v4.contains("ipv6"), "{v4}");
        let both = said("eth0", Families { v4: true, v6: true }).unwrap();
        assert!(both.contains("IPv4 and IPv6"), "{both}");
        assert!(
            both.contains("sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "),
            "{both}"
        );
    }

    #[test]
    fn families_are_those_of_addresses() {
        let of = |texts: &[&str]| -> Families {
            texts.iter().map(|t| t.parse::<IpAddr>().unwrap()).collect()
        };
        assert_eq!(of(&[]), Families::default());
        assert_eq!(
            of(&["10.0.0.1", "10.0.0.2"]),
            Families {
                v4: true,
                v6: false
            }
        );
        assert_eq!(
            of(&["fd00::1", "10.0.0.2"]),
            Families { v4: true, v6: true }
        );
    }
}
