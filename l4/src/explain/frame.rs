//! A frame for a question that names only addresses: what a client would send.

use std::net::{IpAddr, SocketAddr};

use xdp::packet::header::{proto, tcp_flags};

/// A packet that somebody asks about by its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flowing {
    /// IP protocol: 6, 17 or 132.
    pub protocol: u8,
    /// Whom it comes from.
    pub source: SocketAddr,
    /// Whom it is for, of the same family.
    pub destination: SocketAddr,
    /// TCP's flags.
    pub flags: u8,
    /// Length of the IP packet; what is less than its headers is taken for those.
    pub length: u16,
}

/// The words for TCP's flags.
const FLAGS: [(u8, &str); 6] = [
    (tcp_flags::SYN, "SYN"),
    (tcp_flags::FIN, "FIN"),
    (tcp_flags::RST, "RST"),
    (8, "PSH"),
    (tcp_flags::ACK, "ACK"),
    (32, "URG"),
];

/// TCP's flags from words: `syn`, `syn,ack`, `none`.
///
/// # Errors
/// One of them is no flag.
pub fn flags_of(text: &str) -> Result<u8, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(0);
    }
    text.split([',', '+']).try_fold(0, |all, word| {
        let found = FLAGS
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(word.trim()));
        let (bit, _) = found.ok_or_else(|| {
            format!("{word:?} is no TCP flag: syn, ack, fin, rst, psh, urg or none")
        })?;
        Ok(all | bit)
    })
}

/// TCP's flags in words.
#[must_use]
pub fn flags_word(flags: u8) -> String {
    let set: Vec<&str> = FLAGS
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    if set.is_empty() {
        "no flags".into()
    } else {
        set.join("+")
    }
}

/// The frame; none if the addresses are of two families. Checksums are left 0: nobody looks at them here.
pub(super) fn build(flowing: &Flowing) -> Option<Vec<u8>> {
    let header = match flowing.protocol {
        proto::TCP => 20,
        proto::UDP => 8,
        _ => 12,
    };
    let (ethertype, ip): (u16, Vec<u8>) = match (flowing.source.ip(), flowing.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = flowing.length.max(20 + header);
            let mut ip = vec![0x45, 0];
            ip.extend(length.to_be_bytes());
            // No identification, "do not fragment", time to live 64.
            ip.extend([0, 0, 0x40, 0, 64, flowing.protocol, 0, 0]);
            ip.extend(source.octets());
            ip.extend(destination.octets());
            (0x0800, padded(ip, flowing, header, usize::from(length)))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let length = flowing.length.max(40 + header);
            let mut ip = vec![0x60, 0, 0, 0];
            ip.extend((length - 40).to_be_bytes());
            ip.extend([flowing.protocol, 64]);
            ip.extend(source.octets());
            ip.extend(destination.octets());
            (0x86dd, padded(ip, flowing, header, usize::from(length)))
        }
        _ => return None,
    };
    let mut frame = vec![0; 12];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(ip);
    Some(frame)
}

/// Adds the transport header and zeros up to `length`.
fn padded(mut ip: Vec<u8>, flowing: &Flowing, header: u16, length: usize) -> Vec<u8> {
    let l4 = ip.len();
    ip.extend(flowing.source.port().to_be_bytes());
    ip.extend(flowing.destination.port().to_be_bytes());
    ip.resize(length.max(l4 + usize::from(header)), 0);
    match flowing.protocol {
        proto::TCP => {
            ip[l4 + 12] = 5 << 4;
            ip[l4 + 13] = flowing.flags;
        }
        proto::UDP => {
            let rest = u16::try_from(ip.len() - l4).unwrap_or(u16::MAX);
            ip[l4 + 4..l4 + 6].copy_from_slice(&rest.to_be_bytes());
        }
        _ => {}
    }
    ip
}
