//! Paths of requests: the normal form is its own normal form, so that a backend that normalises once
//! more sees what the routes saw.
#![no_main]

use control::route::Path;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(raw) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(path) = Path::clean(raw) else {
        return;
    };
    let Ok(again) = Path::clean(path.forwarded()) else {
        panic!("{raw:?} became {:?}, which is refused", path.forwarded());
    };
    assert_eq!(again.forwarded(), path.forwarded(), "{raw:?}");
    assert_eq!(again.compared(), path.compared(), "{raw:?}");
});
