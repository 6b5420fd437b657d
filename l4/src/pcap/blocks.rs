//! pcapng: blocks, of which sections, interfaces and packets matter here (draft-ietf-opsawg-pcapng).

use super::{Capture, bytes::Bytes};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// What stands in a section's header, read in the section's own byte order.
const ORDER: u32 = 0x1a2b_3c4d;
/// More interfaces than any machine has.
const INTERFACES: usize = 4096;

/// Reads packets into `capture`.
pub(super) fn read(file: &[u8], most: usize, capture: &mut Capture) {
    let mut bytes = Bytes::little(file);
    // Link layer and snapshot length of each interface of the section.
    let mut interfaces: Vec<(u32, usize)> = Vec::new();
    let mut at = 0;
    while at < file.len() {
        if bytes.u32(at) == Some(SECTION) {
            bytes = match bytes.u32(at + 8) {
                Some(ORDER) => bytes,
                _ => other(file, at),
            };
            interfaces.clear();
        }
        let Some((kind, length)) = bytes.u32(at).zip(bytes.u32(at + 4)) else {
            capture.trouble = Some("it ends within a block's header".into());
            return;
        };
        let length = length as usize;
        let block = bytes.slice(at, length);
        let Some(body) = block.filter(|_| length >= 12 && length.is_multiple_of(4)) else {
            capture.trouble =
                Some("a block is longer than the file, or has no possible length".into());
            return;
        };
        // Within the block's own bytes, so that a lying length inside cannot reach beyond.
        let inner = bytes.of(&body[..length - 4]);
        match kind {
            INTERFACE if interfaces.len() < INTERFACES => {
                let link = inner.u16(8).unwrap_or(u16::MAX);
                let snap = inner.u32(12).unwrap_or(0) as usize;
                interfaces.push((link.into(), snap));
            }
            ENHANCED_PACKET | SIMPLE_PACKET => {
                let packet = if kind == ENHANCED_PACKET {
                    enhanced(inner, &interfaces)
                } else {
                    simple(inner, &interfaces)
                };
                let Some((link, data, length)) = packet else {
                    capture.trouble = Some("a packet contradicts itself".into());
                    return;
                };
                if !capture.take(link, data, length, most) {
                    return;
                }
            }
            _ => {}
        }
        at += length;
    }
}

/// The section at `at` is in the other byte order.
fn other(file: &[u8], at: usize) -> Bytes<'_> {
    let big = Bytes::big(file);
    if big.u32(at + 8) == Some(ORDER) {
        big
    } else {
        Bytes::little(file)
    }
}

type Found<'a> = Option<(u32, &'a [u8], usize)>;

fn enhanced<'a>(block: Bytes<'a>, interfaces: &[(u32, usize)]) -> Found<'a> {
    let (link, _) = interfaces.get(block.u32(8)? as usize)?;
    let data = block.slice(28, block.u32(20)? as usize)?;
    Some((*link, data, block.u32(24)? as usize))
}

fn simple<'a>(block: Bytes<'a>, interfaces: &[(u32, usize)]) -> Found<'a> {
    let (link, snap) = interfaces.first()?;
    let length = block.u32(8)? as usize;
    let snap = if *snap == 0 { length } else { *snap };
    let data = block.slice(12, length.min(snap))?;
    Some((*link, data, length))
}
