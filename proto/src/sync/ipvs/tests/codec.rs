use std::net::SocketAddr;

use proptest::prelude::*;

use super::record;
use crate::sync::{
    flow::Method,
    ipvs::{Engine, Flags, LONGEST, LONGEST_V4, Record, Refusal, Sequence, read, write::Writer},
};

/// What Linux sent.
fn captured() -> Vec<Vec<u8>> {
    let lines = include_str!("../captures.txt").lines();
    let messages = lines.filter(|line| !line.starts_with('#'));
    messages.map(bytes).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
}

fn all(message: &[u8]) -> Vec<Record> {
    let records = read::message(message, 0).unwrap();
    records.map(Result::unwrap).collect()
}

fn refused(message: &[u8]) -> Vec<Refusal> {
    let records = read::message(message, 0).unwrap();
    records.filter_map(Result::err).collect()
}

#[test]
fn linux_is_understood() {
    let messages = captured();
    let records = all(&messages[0]);
    assert_eq!(records.len(), 36);
    let first = &records[0];
    assert_eq!(first.client, "192.168.1.10:45502".parse().unwrap());
    assert_eq!(first.target, "192.168.1.100:80".parse().unwrap());
    assert_eq!(first.backend, "10.0.0.12:80".parse().unwrap());
    assert_eq!((first.protocol, first.state, first.timeout), (6, 1, 900));
    let methods = |method| {
        let flows = records.iter().filter(|r| !r.flags.has(Flags::TEMPLATE));
        flows.filter(|r| r.flags.method() == Some(method)).count()
    };
    let counts = [Method::Nat, Method::Direct, Method::Tunnel].map(methods);
    assert_eq!(counts, [12, 4, 4]);
    let template = &records[12];
    assert!(template.flags.has(Flags::TEMPLATE));
    assert_eq!(template.client, "192.168.1.10:0".parse().unwrap());
    assert_eq!((template.target.port(), template.timeout), (83, 360));
    let ends: Vec<u16> = all(&messages[1]).iter().map(|r| r.state).collect();
    assert_eq!(ends, [7, 5, 7, 5, 7, 7, 5, 5], "CLOSE_WAIT and TIME_WAIT");
    assert!(all(&messages[1]).iter().all(|r| r.client.is_ipv6()));
}

#[test]
fn what_is_written_is_what_linux_writes() {
    for message in captured() {
        let mut writer = Writer::new(7, LONGEST_V4);
        for record in all(&message) {
            assert_eq!(writer.put(&record), None);
        }
        assert_eq!(writer.take(), Some(message));
        assert_eq!(writer.take(), None);
    }
}

#[test]
fn messages_that_are_not_for_us_are_refused() {
    let good = [0, 7, 0, 8, 0, 1, 0, 0];
    assert!(read::message(&good, 7).is_ok());
    assert!(read::message(&good, 0).is_ok());
    assert_eq!(read::message(&good, 8).err(), Some(Refusal::Id));
    for (at, value, refusal) in [
        (3, 9, Refusal::Length),
        (2, 1, Refusal::Length),
        (0, 1, Refusal::Version),
        (5, 0, Refusal::Version),
        (5, 2, Refusal::Version),
        (6, 1, Refusal::Version),
        (7, 1, Refusal::Version),
    ] {
        let mut bad = good;
        bad[at] = value;
        assert_eq!(read::message(&bad, 7).err(), Some(refusal), "{at}");
    }
    for short in 0..good.len() {
        assert_eq!(
            read::message(&good[..short], 7).err(),
            Some(Refusal::Length)
        );
    }
    // One of version 0, with a connection.
    let mut old = vec![1, 7, 0, 28];
    old.extend([0; 24]);
    assert_eq!(read::message(&old, 7).err(), Some(Refusal::Version));
}

/// A message of one record and what stands behind it.
fn one(record: &Record, options: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(0, LONGEST);
    assert_eq!(writer.put(record), None);
    let mut message = writer.take().unwrap();
    message.extend(options);
    let sized = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    let length = sized(message.len());
    message[2..4].copy_from_slice(&length);
    let length = sized(message.len() - 8);
    message[10..12].copy_from_slice(&length);
    message
}

#[test]
fn options_are_read_or_left_or_refused() {
    let plain = record(1);
    let sequences = [&[1, 24][..], &[9; 24]].concat();
    let with = all(&one(&plain, &sequences)).remove(0);
    let nine = 0x0909_0909;
    let expected = Sequence {
        begin: nine,
        delta: nine,
        before: nine,
    };
    assert_eq!(with.sequences, Some([expected; 2]));
    let engine = all(&one(&plain, b"\x03\x03sip\x02\x05id@it"))
        .remove(0)
        .engine;
    assert_eq!(engine, Engine::new(b"sip", b"id@it"));
    // A name alone is of no use, and what may be left is.
    let left = all(&one(&plain, b"\x03\x03sip\x45\x02??"));
    assert_eq!(left, std::slice::from_ref(&plain));
    for (options, refusal) in [
        (&b"\x05\x01?"[..], Refusal::OptionUnknown),
        (b"\x02\x05id@it", Refusal::Engine),
        (b"\x02\x05id@i", Refusal::Option),
        (b"\x02\x00", Refusal::Option),
        (b"\x02", Refusal::Option),
        (b"\x02\x01?\x02\x01?", Refusal::OptionTwice),
        (b"\x01\x04????", Refusal::OptionTwice),
        (b"\x03\x1112345678901234567", Refusal::OptionTwice),
    ] {
        assert_eq!(refused(&one(&plain, options)), [refusal], "{options:?}");
    }
}

/// Two records, the first with a byte that is another: what is refused, and how many are taken.
fn damaged(at: usize, value: u8) -> (Vec<Refusal>, usize) {
    let mut writer = Writer::new(0, LONGEST);
    assert_eq!(writer.put(&record(1)), None);
    assert_eq!(writer.put(&record(2)), None);
    let mut message = writer.take().unwrap();
    message[8 + at] = value;
    let records = read::message(&message, 0).unwrap();
    let taken = records.filter(Result::is_ok).count();
    (refused(&message), taken)
}

#[test]
fn a_record_that_is_unknown_is_left_out_and_a_broken_one_ends_its_message() {
    for (at, value, refusal, taken) in [
        (1, 1, Refusal::Protocol, 1),
        (9, 11, Refusal::State, 1),
        (8, 1, Refusal::State, 1),
        (0, 2, Refusal::Family, 0),
        (0, 1, Refusal::Truncated, 0),
        (2, 0x10, Refusal::RecordVersion, 0),
        (2, 0x0f, Refusal::Truncated, 0),
        (3, 35, Refusal::Truncated, 0),
        (3, 0, Refusal::Truncated, 0),
    ] {
        assert_eq!(damaged(at, value), (vec![refusal], taken), "{at}");
    }
    // A template has two states, whatever its protocol.
    let mut template = record(0);
    (template.flags, template.state) = (Flags::TEMPLATE, 2);
    assert_eq!(refused(&one(&template, &[])), [Refusal::State]);
    (template.protocol, template.state) = (0, 1);
    assert_eq!(all(&one(&template, &[])), [template]);
}

#[test]
fn messages_are_as_long_as_they_may_be_and_count_to_255() {
    let mut writer = Writer::new(1, LONGEST_V4);
    let full = (0..100).find_map(|n| writer.put(&record(n)));
    assert_eq!(
        full.map(|message| (message.len(), message[4])),
        Some((8 + 40 * 36, 40))
    );
    let mut writer = Writer::new(1, LONGEST);
    let full = (0..300).find_map(|n| writer.put(&record(n)));
    assert_eq!(full.map(|message| message[4]), Some(255));
    assert_eq!(all(&writer.take().unwrap()), [record(255)]);
}

#[test]
fn addresses_of_two_families_are_not_written() {
    let mut record = record(1);
    record.backend = "[fd00::1]:80".parse().unwrap();
    let mut writer = Writer::new(1, LONGEST_V4);
    assert_eq!(writer.put(&record), None);
    assert!(writer.is_empty());
}

fn address(v6: bool) -> impl Strategy<Value = SocketAddr> {
    (any::<[u8; 16]>(), any::<u16>()).prop_map(move |(ip, port)| {
        let v4: [u8; 4] = [ip[0], ip[1], ip[2], ip[3]];
        let ip: std::net::IpAddr = if v6 { ip.into() } else { v4.into() };
        SocketAddr::new(ip, port)
    })
}

fn sequence() -> impl Strategy<Value = Sequence> {
    any::<[u32; 3]>().prop_map(|[begin, delta, before]| Sequence {
        begin,
        delta,
        before,
    })
}

fn engine() -> impl Strategy<Value = Engine> {
    let name = proptest::collection::vec(any::<u8>(), 1..=16);
    let data = proptest::collection::vec(any::<u8>(), 1..=255);
    (name, data).prop_map(|(name, data)| Engine::new(&name, &data).unwrap())
}

fn any_record() -> impl Strategy<Value = Record> {
    any::<bool>().prop_flat_map(|v6| {
        (
            (address(v6), address(v6), address(v6)),
            (any::<u32>(), any::<u32>(), any::<u32>()),
            prop_oneof![Just((6, 10)), Just((17, 0)), Just((132, 13))],
            proptest::option::of([sequence(), sequence()]),
            proptest::option::of(engine()),
        )
            .prop_map(|(ends, numbers, kind, sequences, engine)| {
                let flags = Flags(numbers.0);
                let template = flags.has(Flags::TEMPLATE);
                Record {
                    protocol: kind.0,
                    flags,
                    state: if template { 1 } else { kind.1 },
                    client: ends.0,
                    target: ends.1,
                    backend: ends.2,
                    mark: numbers.1,
                    timeout: numbers.2,
                    sequences,
                    engine,
                }
            })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(records in proptest::collection::vec(any_record(), 0..60)) {
        let mut writer = Writer::new(9, LONGEST_V4);
        let mut messages: Vec<_> = records.iter().filter_map(|r| writer.put(r)).collect();
        messages.extend(writer.take());
        for message in &messages {
            prop_assert!(message.len() <= LONGEST_V4);
        }
        let read: Vec<_> = messages.iter().flat_map(|message| all(message)).collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn whatever_comes_is_taken_or_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 8..600),
        at in 8_usize..600,
    ) {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        bytes[..8].copy_from_slice(&[0, 1, length[0], length[1], 20, 1, 0, 0]);
        // So that more than the first is reached.
        if let Some(record) = bytes.get_mut(at..at + 4) {
            record.copy_from_slice(&[1, 6, 0, 72]);
        }
        let read = read::message(&bytes, 0).unwrap();
        prop_assert!(read.count() <= 20);
    }
}
