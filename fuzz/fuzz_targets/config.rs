//! Configurations: whatever the text, an answer, with messages that can be shown. What is taken
//! differs in nothing from itself.
#![no_main]

use control::config::{NoSources, Style, diff, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse(text, "fuzz.toml", &NoSources) {
        Ok(admitted) => {
            let _ = admitted.warnings.render(Style::Plain);
            assert!(diff(&admitted.spec, &admitted.spec).is_empty());
        }
        Err(why) => {
            assert!(!why.is_empty(), "refused without a reason");
            let _ = why.render(Style::Plain);
        }
    }
});
