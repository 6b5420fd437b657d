//! QUIC connection IDs that name a backend: the draft's own test vectors, through the program in the kernel.

use std::sync::Arc;

use control::{
    plan::{Duty, PoolPlan, ServicePlan},
    spec::{Balance, Forward, QuicLbConfig, QuicLbKey, QuicLbSpec, Scheme, ServerId, ServiceKind},
};

use super::{
    packet::Packet,
    plans::{at, plan, pool, service},
    rig::Rig,
};

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

/// One way of making connection IDs: the lengths of server id and nonce, the key, the server id of the one that is to be
/// found, and a connection ID with it.
struct Way {
    lengths: (u8, u8),
    key: Option<&'static str>,
    id: &'static str,
    cid: &'static str,
}

const KEY: Option<&str> = Some("8f95f09245765f80256934e50c66207f");

/// The draft's test vectors: in the open, four passes that are three, four of them, one block, an odd length.
const WAYS: [Way; 5] = [
    Way {
        lengths: (3, 4),
        key: None,
        id: "c4605e",
        cid: "07c4605e4504cc4f",
    },
    Way {
        lengths: (3, 4),
        key: KEY,
        id: "ed793a",
        cid: "0720b1d07b359d3c",
    },
    Way {
        lengths: (10, 5),
        key: KEY,
        id: "ed793a51d49b8f5fab65",
        cid: "2fcc381bc74cb4fbad2823a3d1f8fed2",
    },
    Way {
        lengths: (8, 8),
        key: KEY,
        id: "ed793a51d49b8f5f",
        cid: "504dd2d05a7b0de9b2b9907afb5ecf8cc3",
    },
    Way {
        lengths: (9, 9),
        key: KEY,
        id: "ed793a51d49b8f5fab",
        cid: "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc",
    },
];

struct Family {
    clients: [&'static str; 3],
    vip: &'static str,
    backends: [(&'static str, u32); 3],
}

/// The first backend alone is scheduled: that the others are found is the connection ID's doing.
const FAMILIES: [Family; 2] = [
    Family {
        clients: ["192.0.2.7:4000", "192.0.2.7:4001", "203.0.113.9:4000"],
        vip: "198.51.100.1:443",
        backends: [
            ("10.1.0.1:443", 1),
            ("10.1.0.2:443", 0),
            ("10.1.0.3:443", 0),
        ],
    },
    Family {
        clients: [
            "[2001:db8::7]:4000",
            "[2001:db8::7]:4001",
            "[2001:db8::9]:4000",
        ],
        vip: "[2001:db8:1::1]:443",
        backends: [
            ("[fd01::1]:443", 1),
            ("[fd01::2]:443", 0),
            ("[fd01::3]:443", 0),
        ],
    },
];

fn quic_service(family: &Family, way: &Way) -> Arc<ServicePlan> {
    let mut spec = (*service(Scheme::Udp, family.vip, Forward::Nat, "web").spec).clone();
    if let ServiceKind::Kernel(kernel) = &mut spec.kind {
        let config = QuicLbConfig {
            rotation: hex(way.cid)[0] >> 5,
            server_id_length: way.lengths.0,
            nonce_length: way.lengths.1,
            key: way
                .key
                .map(|key| QuicLbKey::new(hex(key).try_into().unwrap())),
        };
        kernel.quic_lb = Some(QuicLbSpec {
            configs: vec![config],
        });
    }
    Arc::new(ServicePlan {
        spec: Arc::new(spec),
    })
}

/// The backends, the second of which has the server id; it may be down.
fn quic_pool(family: &Family, way: &Way, duty: Duty) -> Arc<PoolPlan> {
    let pool = pool("web", Balance::RoundRobin, &family.backends);
    let mut members = pool.members.clone();
    let id = hex(way.id);
    let other: Vec<u8> = id.iter().map(|byte| !byte).collect();
    members[1].kernel.server_id = ServerId::new(&id);
    members[1].duty = duty;
    members[2].kernel.server_id = ServerId::new(&other);
    Arc::new(PoolPlan {
        spec: Arc::clone(&pool.spec),
        members,
        panic: false,
    })
}

/// Sends a packet with a short header and this connection ID; the index of the backend that it leaves for.
#[track_caller]
fn sent(rig: &Rig, family: &Family, client: usize, cid: &[u8]) -> usize {
    let payload = [&[0x40], cid, &[0x55; 40]].concat();
    let packet = Packet::udp(family.clients[client], family.vip);
    let outcome = rig.harness.run(&packet.bytes_with(&payload), 0).unwrap();
    let index = family.backends.iter().position(|(backend, _)| {
        let wanted = Packet {
            to: at(backend),
            ..packet.sent_on()
        };
        outcome.packet == wanted.bytes_with(&payload)
    });
    index.unwrap_or_else(|| panic!("verdict {}: {:x?}", outcome.verdict, outcome.packet))
}

#[test]
fn a_client_from_a_new_address_reaches_the_server_that_knows_it() {
    for (family, way) in FAMILIES
        .iter()
        .flat_map(|f| WAYS.iter().map(move |w| (f, w)))
    {
        let Some(mut rig) = Rig::new() else {
            return;
        };
        let service = quic_service(family, way);
        let site = plan(
            &[Arc::clone(&service)],
            &[quic_pool(family, way, Duty::Take)],
        );
        rig.harness.apply(&site).unwrap();
        let cid = hex(way.cid);
        let unroutable = [&[0xff], &cid[1..]].concat();
        assert_eq!(sent(&rig, family, 0, &unroutable), 0, "{}", way.cid);
        assert_eq!(sent(&rig, family, 1, &cid), 1, "{}", way.cid);
        // The flow goes on where it is, whatever its packets say.
        assert_eq!(sent(&rig, family, 1, &unroutable), 1);
        assert_eq!(sent(&rig, family, 0, &cid), 0);

        // A server that is down is not named any more.
        let site = plan(&[service], &[quic_pool(family, way, Duty::Avoid)]);
        rig.harness.apply(&site).unwrap();
        assert_eq!(sent(&rig, family, 2, &cid), 0, "{}", way.cid);
    }
}

#[test]
fn one_table_follows_another_key() {
    let (family, old) = (&FAMILIES[0], &WAYS[1]);
    let Some(mut rig) = Rig::new() else {
        return;
    };
    let other = Way {
        key: Some("00000000000000000000000000000000"),
        ..*old
    };
    let cid = hex(old.cid);
    for (client, way, backend) in [(0, &other, 0), (1, old, 1)] {
        let pool = quic_pool(family, way, Duty::Take);
        let site = plan(&[quic_service(family, way)], &[pool]);
        rig.harness.apply(&site).unwrap();
        assert_eq!(sent(&rig, family, client, &cid), backend);
    }
}
