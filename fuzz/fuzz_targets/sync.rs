//! A message of connection sync: it decodes or has a reason, what decodes is written again as it was; and datagrams of any
//! bytes are refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::{
    sync::{Input, Key, Keys, Machine, Session, Settings, codec::decode},
    time::Instant,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = decode(data) {
        let again = message.encode();
        assert_eq!(decode(&again), Ok(message));
    }
    let key = Key::new(&[7; 32]).expect("long enough");
    let keys = Keys::new([(1, key)], 1).expect("valid keys");
    let mut machine = Machine::new(Settings::default(), keys, Session([1; 16]), Instant::ZERO);
    let from = std::net::SocketAddr::from(([192, 0, 2, 1], 8849));
    let mut bytes = data.to_vec();
    machine.handle(
        Input::Datagram {
            from,
            bytes: &mut bytes,
        },
        Instant::ZERO,
    );
    assert!(machine.peers(Instant::ZERO).is_empty());
});
