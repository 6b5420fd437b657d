//! Captures that somebody wants explained: read as far as they hold, within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(capture) = l4::pcap::read(data, 1000) else {
        return;
    };
    assert!(capture.packets.len() <= 1000);
    for packet in capture.packets {
        assert!(packet.captured <= packet.frame.len() && packet.frame.len() <= 65_535 + 14);
    }
});
