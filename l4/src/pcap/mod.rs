//! Reads packet captures, so that they can be explained: pcap ([`mod@classic`]) and pcapng ([`mod@blocks`]).
//!
//! What is wrong with a file is said and no more read; what was read until then is given. Packets of other link layers
//! than Ethernet get an Ethernet header; what a capture cut off is zeros.

mod blocks;
mod bytes;
mod classic;
#[cfg(test)]
mod tests;

use self::bytes::Bytes;

/// The longest packet that is made whole.
const LONGEST: usize = 65_535 + 14;

/// One packet of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The frame from its Ethernet header on, as long as it was.
    pub frame: Vec<u8>,
    /// How much of it the capture has; the rest is zeros.
    pub captured: usize,
}

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Its packets in order.
    pub packets: Vec<Captured>,
    /// Packets that are of no link layer that is known.
    pub unknown: usize,
    /// What ended it early, for people.
    pub trouble: Option<String>,
    /// There are more than were asked for.
    pub more: bool,
}

/// Reads at most `most` packets.
///
/// # Errors
/// It is no capture.
pub fn read(file: &[u8], most: usize) -> Result<Capture, String> {
    let mut capture = Capture::default();
    let magic = file.get(..4).and_then(|m| <[u8; 4]>::try_from(m).ok());
    match magic {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => blocks::read(file, most, &mut capture),
        Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => {
            classic::read(Bytes::little(file), most, &mut capture);
        }
        Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => {
            classic::read(Bytes::big(file), most, &mut capture);
        }
        _ => return Err("it is neither pcap nor pcapng".into()),
    }
    Ok(capture)
}

impl Capture {
    /// Takes a packet in. False: that is enough.
    fn take(&mut self, link: u32, data: &[u8], length: usize, most: usize) -> bool {
        if self.packets.len() >= most {
            self.more = true;
            return false;
        }
        match framed(link, data, length) {
            Some(packet) => self.packets.push(packet),
            None => self.unknown += 1,
        }
        true
    }
}

/// A packet of a link layer as an Ethernet frame.
fn framed(link: u32, data: &[u8], length: usize) -> Option<Captured> {
    let at = |offset: usize| data.get(offset..offset + 2).map(|b| [b[0], b[1]]);
    // How much goes before the IP header there, and what Ethernet calls it.
    let (before, ethertype) = match link {
        1 => return Some(whole(data.to_vec(), length)),
        // Raw IP, by three numbers.
        12 | 14 | 101 | 228 | 229 => (0, by_version(data)?),
        // Loopback of BSD: an address family in four bytes.
        0 | 108 => (4, by_version(data.get(4..)?)?),
        // Linux's "any" device, in two versions.
        113 => (16, at(14)?),
        276 => (20, at(0)?),
        _ => return None,
    };
    let mut frame = vec![0; 12];
    frame.extend(ethertype);
    frame.extend_from_slice(data.get(before..)?);
    Some(whole(frame, (length + 14).saturating_sub(before)))
}

fn by_version(data: &[u8]) -> Option<[u8; 2]> {
    match data.first()? >> 4 {
        4 => Some([0x08, 0x00]),
        6 => Some([0x86, 0xdd]),
        _ => None,
    }
}

fn whole(mut frame: Vec<u8>, length: usize) -> Captured {
    frame.truncate(LONGEST);
    let captured = frame.len();
    let length = length.clamp(captured, LONGEST);
    frame.resize(length, 0);
    Captured { frame, captured }
}
