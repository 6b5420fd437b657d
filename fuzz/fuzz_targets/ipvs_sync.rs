//! A message of IPVS's sync protocol: each of its records is read or refused with a reason, what is read is written again as
//! it was; and whatever comes, a node that is both master and backup neither tells it on nor stops.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::{
    sync::ipvs::{Input, LONGEST, Machine, Output, Record, Settings, read, write::Writer},
    time::Instant,
};

/// The message with a header that is right, so that what is behind it is reached.
fn whole(data: &[u8]) -> Vec<u8> {
    let mut message = data.to_vec();
    message.truncate(LONGEST);
    let length = u16::try_from(message.len()).expect("short enough");
    if let Some(header) = message.first_chunk_mut::<8>() {
        let [high, low] = length.to_be_bytes();
        (header[0], header[2], header[3]) = (0, high, low);
        header[5..].copy_from_slice(&[1, 0, 0]);
    }
    message
}

fn records(message: &[u8]) -> Vec<Record> {
    let records = read::message(message, 0).into_iter().flatten();
    records
        .filter_map(|record| {
            if let Err(refusal) = &record {
                assert!(!refusal.to_string().is_empty());
            }
            record.ok()
        })
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let _ = records(data);
    let message = whole(data);
    let all = records(&message);
    let mut writer = Writer::new(1, LONGEST);
    let mut again: Vec<_> = all.iter().filter_map(|record| writer.put(record)).collect();
    again.extend(writer.take());
    let read: Vec<_> = again.iter().flat_map(|message| records(message)).collect();
    assert_eq!(read, all);

    let settings = Settings {
        master: true,
        backup: true,
        ..Settings::default()
    };
    let mut machine = Machine::new(settings, Instant::ZERO);
    machine.handle(Input::Datagram(&message), Instant::ZERO);
    let mut stored = Vec::new();
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Store(record) => stored.push(record),
            Output::Send(_) => panic!("it was not asked to tell"),
            Output::Scan => {}
        }
    }
    assert_eq!(stored, all);
});
