#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::SocketAddr, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::sync::{
    flow::{Flow, FlowKey, Method, Template},
    limits::{MAX_BODY, MAX_RECORD, MAX_RECORDS},
    refusal::Refusal,
};

fn address(v6: bool) -> BoxedStrategy<SocketAddr> {
    if v6 {
        (any::<[u8; 16]>(), any::<u16>())
            .prop_map(|(ip, port)| SocketAddr::new(ip.into(), port))
            .boxed()
    } else {
        (any::<[u8; 4]>(), any::<u16>())
            .prop_map(|(ip, port)| SocketAddr::new(ip.into(), port))
            .boxed()
    }
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::Nat),
        Just(Method::Direct),
        Just(Method::Tunnel),
        Just(Method::Local)
    ]
}

fn record() -> impl Strategy<Value = Record> {
    (any::<bool>(), any::<bool>()).prop_flat_map(|(v6, outer)| {
        (
            (any::<u8>(), address(v6), address(v6), address(outer)),
            (method(), 0_u8..16, any::<bool>()),
            (any::<u32>(), any::<u32>()),
            proptest::option::of(address(v6)),
            proptest::option::of(any::<u32>()),
            (any::<bool>(), any::<bool>()),
        )
            .prop_map(
                |((protocol, client, target, backend), rest, times, source, delta, kind)| {
                    let (gone, template) = kind;
                    let key = FlowKey {
                        template,
                        protocol,
                        client,
                        target,
                    };
                    let remaining = Duration::from_millis(times.0.into());
                    let idle = Duration::from_millis(times.1.into());
                    if gone {
                        return Record::Gone(key);
                    }
                    if template {
                        return Record::Template(Template {
                            key,
                            backend,
                            remaining,
                            idle,
                        });
                    }
                    Record::Flow(Flow {
                        key,
                        backend,
                        method: rest.0,
                        state: rest.1,
                        persistent: rest.2,
                        remaining,
                        idle,
                        source,
                        delta,
                    })
                },
            )
    })
}

fn message() -> impl Strategy<Value = Message> {
    let numbers = || proptest::collection::vec(any::<u64>(), 0..64);
    let session = || any::<[u8; 16]>().prop_map(Session);
    prop_oneof![
        (
            any::<u64>(),
            any::<u64>(),
            any::<bool>(),
            proptest::collection::vec(session(), 0..16)
        )
            .prop_map(|(number, config, telling, hears)| Message::Heartbeat {
                number,
                config,
                telling,
                hears
            }),
        (
            any::<u64>(),
            any::<u64>(),
            proptest::collection::vec(record(), 0..MAX_RECORDS)
        )
            .prop_map(|(number, repairs, records)| Message::Flows {
                number,
                repairs,
                records
            }),
        any::<u64>().prop_map(|number| Message::Begin { number }),
        any::<u64>().prop_map(|number| Message::End { number }),
        (session(), numbers()).prop_map(|(of, numbers)| Message::Missing { of, numbers }),
        numbers().prop_map(|numbers| Message::Forgotten { numbers }),
        numbers().prop_map(|numbers| Message::Nothing { numbers }),
        session().prop_map(|of| Message::Tell { of }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in message()) {
        prop_assert_eq!(decode(&message.encode()), Ok(message));
    }

    #[test]
    fn nothing_shorter_or_longer_is_taken(message in message()) {
        let bytes = message.encode();
        for cut in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..cut]), Err(Refusal::Malformed));
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(decode(&longer), Err(Refusal::Malformed));
    }

    #[test]
    fn anything_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..MAX_BODY)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_record_is_longer_than_the_limit(record in record()) {
        let mut bytes = Vec::new();
        put_record(&record, &mut bytes);
        prop_assert!(bytes.len() <= MAX_RECORD);
    }
}

#[test]
fn the_bytes_are_these() {
    let flow = Flow {
        key: FlowKey {
            template: false,
            protocol: 6,
            client: "192.0.2.7:4660".parse().unwrap(),
            target: "198.51.100.1:80".parse().unwrap(),
        },
        backend: "10.0.0.1:8080".parse().unwrap(),
        method: Method::Tunnel,
        state: 1,
        persistent: true,
        remaining: Duration::from_secs(900),
        idle: Duration::from_millis(5),
        source: None,
        delta: Some(0x0102_0304),
    };
    let mut bytes = Vec::new();
    put_record(&Record::Flow(flow), &mut bytes);
    let expected = [
        40, 6, 192, 0, 2, 7, 0x12, 0x34, 198, 51, 100, 1, 0, 80, 0x21, 0, 0x0d, 0xbb, 0xa0, 0, 0,
        0, 5, 10, 0, 0, 1, 0x1f, 0x90, 1, 2, 3, 4,
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn a_remembered_client_has_neither_method_nor_state() {
    let template = Template {
        key: FlowKey {
            template: true,
            protocol: 17,
            client: "192.0.2.0:0".parse().unwrap(),
            target: "198.51.100.1:53".parse().unwrap(),
        },
        backend: "[2001:db8::1]:53".parse().unwrap(),
        remaining: Duration::from_secs(300),
        idle: Duration::ZERO,
    };
    let mut bytes = Vec::new();
    put_record(&Record::Template(template), &mut bytes);
    let first = [
        66, 17, 192, 0, 2, 0, 0, 0, 198, 51, 100, 1, 0, 53, 0, 4, 0x93, 0xe0, 0, 0, 0, 0,
    ];
    assert_eq!(bytes[..22], first);
    assert_eq!(bytes.len(), 22 + 18);
    // What only connections have makes no sense of a client.
    let message = Message::Flows {
        number: 1,
        repairs: 0,
        records: vec![Record::Template(template)],
    };
    let at = message.encode().len() - bytes.len();
    for flag in [8, 16, 32, 128] {
        let mut wrong = message.encode();
        wrong[at] |= flag;
        assert_eq!(decode(&wrong), Err(Refusal::Malformed), "{flag}");
    }
}
