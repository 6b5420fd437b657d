//! pcap: a header, then packets one after the other (draft-ietf-opsawg-pcap).

use super::{Capture, bytes::Bytes};

/// Length of the file's header.
const HEADER: usize = 24;
/// Length of a packet's header.
const RECORD: usize = 16;

/// Reads packets into `capture`.
pub(super) fn read(bytes: Bytes<'_>, most: usize, capture: &mut Capture) {
    let Some(link) = bytes.u32(20) else {
        capture.trouble = Some("it ends within its header".into());
        return;
    };
    // The upper bits tell of frame check sequences.
    let link = link & 0x0fff_ffff;
    let mut at = HEADER;
    while at < bytes.file.len() {
        let header = bytes.u32(at + 8).zip(bytes.u32(at + 12));
        let Some((captured, length)) = header else {
            capture.trouble = Some("it ends within a packet's header".into());
            return;
        };
        let (captured, length) = (captured as usize, length as usize);
        let Some(data) = bytes.slice(at + RECORD, captured) else {
            capture.trouble = Some("it ends within a packet".into());
            return;
        };
        if !capture.take(link, data, length, most) {
            return;
        }
        at += RECORD + captured;
    }
}
