//! What a backend's agent says: an answer or a reason, and the same words twice change nothing more.
#![no_main]

use control::health::AgentWord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(line) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(after) = AgentWord::default().after(line) {
        assert_eq!(after.after(line), Ok(after));
    }
});
