//! Judging packets: every checksum computed anew.

use std::{format, string::String, vec::Vec};

use crate::packet::header::proto;

/// The Internet checksum of parts that follow each other; each but the last of even length.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whether all checksums in a frame are right, and all lengths. What is wrong, if not.
pub fn verify(frame: &[u8]) -> Result<(), String> {
    let mut at = 12;
    loop {
        let kind = be16(frame, at)?;
        at += if matches!(kind, 0x8100 | 0x88a8) {
            4
        } else {
            2
        };
        match kind {
            0x8100 | 0x88a8 => {}
            0x0800 | 0x86dd => return ip(&frame[at..], false),
            other => return Err(format!("type {other:04x}")),
        }
    }
}

/// `quoted`: in an ICMP error, where the end may be missing.
fn ip(packet: &[u8], quoted: bool) -> Result<(), String> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => v4(packet, quoted),
        Some(6) => v6(packet, quoted),
        _ => Err("no IP".into()),
    }
}

fn v4(packet: &[u8], quoted: bool) -> Result<(), String> {
    let header = usize::from(packet[0] & 15) * 4;
    let length = usize::from(be16(packet, 2)?);
    let head = packet.get(..header).ok_or("short IP header")?;
    if checksum(&[head]) != 0 {
        return Err("IPv4 header checksum".into());
    }
    if length > packet.len() {
        return if quoted {
            Ok(())
        } else {
            Err("IPv4 length".into())
        };
    }
    if be16(packet, 6)? & 0x3fff != 0 {
        return Ok(());
    }
    let addresses = &packet[12..20];
    transport(packet[9], addresses, &packet[header..length])
}

fn v6(packet: &[u8], quoted: bool) -> Result<(), String> {
    let length = 40 + usize::from(be16(packet, 4)?);
    if length > packet.len() {
        return if quoted {
            Ok(())
        } else {
            Err("IPv6 length".into())
        };
    }
    let (mut next, mut at) = (packet[6], 40);
    while matches!(next, 0 | 43 | 44 | 60) {
        if next == 44 && be16(packet, at + 2)? & 0xfff9 != 0 {
            return Ok(());
        }
        let units = if next == 44 {
            0
        } else {
            usize::from(packet[at + 1])
        };
        next = packet[at];
        at += units * 8 + 8;
    }
    transport(next, &packet[8..40], &packet[at..length])
}

fn transport(protocol: u8, addresses: &[u8], bytes: &[u8]) -> Result<(), String> {
    let length = (bytes.len() as u32).to_be_bytes();
    let pseudo: Vec<u8> = [addresses, &length, &[0, 0, 0, protocol]].concat();
    match protocol {
        proto::IPIP | proto::IPV6 => ip(bytes, false),
        proto::TCP if checksum(&[&pseudo, bytes]) != 0 => Err("TCP checksum".into()),
        proto::ICMPV6 if checksum(&[&pseudo, bytes]) != 0 => Err("ICMPv6 checksum".into()),
        proto::ICMP if checksum(&[bytes]) != 0 => Err("ICMP checksum".into()),
        proto::ICMP if matches!(bytes[0], 3 | 11) => ip(&bytes[8..], true),
        proto::ICMPV6 if bytes[0] < 128 => ip(&bytes[8..], true),
        proto::UDP => {
            if usize::from(be16(bytes, 4)?) != bytes.len() {
                return Err("UDP length".into());
            }
            if be16(bytes, 6)? != 0 && checksum(&[&pseudo, bytes]) != 0 {
                return Err("UDP checksum".into());
            }
            Ok(())
        }
        proto::GRE => {
            let checked = bytes[0] & 0x80 != 0;
            if checked && checksum(&[bytes]) != 0 {
                return Err("GRE checksum".into());
            }
            ip(&bytes[if checked { 8 } else { 4 }..], false)
        }
        _ => Ok(()),
    }
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, String> {
    let two = bytes.get(at..at + 2).ok_or("too short")?;
    Ok(u16::from_be_bytes([two[0], two[1]]))
}
