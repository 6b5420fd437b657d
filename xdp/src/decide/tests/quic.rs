//! Clients that come from elsewhere, and are known by their connection ID.

use super::*;
use crate::{
    abi::{QuicKey, service_flags::QUIC_LB},
    decide::Choice,
    quic::config,
};
use std::{vec, vec::Vec};

/// A site whose backends in slots 1 and 2 have the server ids ab01 and ab02, with configurations of rotation ids 0 (in
/// the open) and 2 (encrypted, as no test of this file needs).
fn quic_site() -> Site {
    let site = Site::new(Scheduler::Ring, 1, &[1, 1, 1]);
    site.table(&[3]);
    site.service(|service| {
        service.flags |= QUIC_LB;
        service.quic = 0b101;
    });
    let set = |rotation, config| {
        let key = QuicKey {
            service: 0,
            rotation,
        };
        site.memory.quic_configs.set(key, config);
    };
    set(0, config::config(2, 4, None));
    set(2, config::config(2, 4, Some(&[9; 16])));
    for slot in 1_u8..=2 {
        let id = config::id(0, &[0xab, slot]);
        site.memory.quic_ids.set(id, u32::from(slot));
    }
    site
}

/// Sends a UDP packet of a new client with this payload: how its backend was chosen, and which.
fn send(site: &Site, port: u16, payload: &[u8]) -> (Choice, u32) {
    let mut frame = vec![0; 42];
    frame.extend(payload);
    let mut packet = udp(CLIENT, port);
    packet.length = (frame.len() - 14) as u32;
    *site.memory.frame.borrow_mut() = frame;
    let verdict = site.send(&packet);
    (verdict.choice, verdict.backend)
}

/// A packet with a short header whose connection ID has this first byte and server id.
fn short(first: u8, id: [u8; 2]) -> Vec<u8> {
    let mut bytes = vec![0x40, first, id[0], id[1]];
    bytes.resize(60, 0x77);
    bytes
}

/// One with a long header.
fn long(length: u8, first: u8, id: [u8; 2]) -> Vec<u8> {
    let mut bytes = vec![0xc0, 0, 0, 0, 1, length];
    bytes.extend(&short(first, id)[1..]);
    bytes
}

const SCHEDULED: (Choice, u32) = (Choice::Scheduler, 3);

#[test]
fn a_client_from_a_new_address_reaches_the_server_that_knows_it() {
    let site = quic_site();
    assert_eq!(send(&site, 1, &long(8, 0xff, [0xab, 2])), SCHEDULED);
    assert_eq!(
        send(&site, 2, &short(0x1f, [0xab, 2])),
        (Choice::ConnectionId, 2)
    );
    assert_eq!(
        send(&site, 3, &short(0x00, [0xab, 1])),
        (Choice::ConnectionId, 1)
    );
    assert_eq!(
        send(&site, 4, &long(7, 0x00, [0xab, 1])),
        (Choice::ConnectionId, 1)
    );
    // From now on its flow says where it goes, whatever the packets do.
    assert_eq!(send(&site, 2, &short(0x00, [0xab, 1])), (Choice::Flow, 2));
}

#[test]
fn what_names_nobody_is_scheduled() {
    let site = quic_site();
    // No such server; another rotation id; the one for IDs that name nobody.
    assert_eq!(send(&site, 1, &short(0x00, [0xab, 9])), SCHEDULED);
    assert_eq!(send(&site, 2, &short(0x20, [0xab, 1])), SCHEDULED);
    assert_eq!(send(&site, 3, &short(0xe0, [0xab, 1])), SCHEDULED);
    // With a key, the same bytes say something else.
    assert_eq!(send(&site, 4, &short(0x40, [0xab, 1])), SCHEDULED);
    // A connection ID shorter than this configuration's.
    assert_eq!(send(&site, 5, &long(6, 0x00, [0xab, 1])), SCHEDULED);
    // Nothing that could be QUIC.
    assert_eq!(send(&site, 6, &[]), SCHEDULED);
    assert_eq!(send(&site, 7, &short(0x00, [0xab, 1])[..21]), SCHEDULED);
}

#[test]
fn other_services_and_protocols_do_not_ask() {
    let site = quic_site();
    *site.memory.frame.borrow_mut() = [&[0; 42], &short(0, [0xab, 1])[..]].concat();
    let verdict = site.send(&tcp(CLIENT, 1, SYN));
    assert_eq!((verdict.choice, verdict.backend), SCHEDULED);
    site.service(|service| service.flags &= !QUIC_LB);
    assert_eq!(send(&site, 2, &short(0, [0xab, 1])), SCHEDULED);
}

#[test]
fn a_backend_that_drains_keeps_its_clients_and_gets_no_others() {
    let site = quic_site();
    site.backend(1, |backend| backend.weight = 0);
    site.backend(2, |backend| backend.flags &= !backend_flags::TAKES);
    for slot in [1, 2] {
        let port = u16::from(slot);
        assert_eq!(
            send(&site, port, &short(0, [0xab, slot])),
            (Choice::ConnectionId, u32::from(slot))
        );
        assert_eq!(send(&site, 10 + port, &long(8, 0, [0xab, slot])), SCHEDULED);
    }
}

#[test]
fn a_backend_that_is_gone_is_not_named() {
    let site = quic_site();
    site.backend(1, |backend| backend.flags |= backend_flags::REMOVED);
    // Its slot has become another service's.
    site.backend(2, |backend| backend.service = 5);
    assert_eq!(send(&site, 1, &short(0, [0xab, 1])), SCHEDULED);
    assert_eq!(send(&site, 2, &short(0, [0xab, 2])), SCHEDULED);
}

#[test]
fn it_counts_before_what_is_remembered_of_the_client() {
    let site = quic_site();
    site.service(|service| service.flags |= service_flags::PERSISTENT);
    assert_eq!(send(&site, 1, &short(0xe0, [0, 0])), SCHEDULED);
    assert_eq!(
        send(&site, 2, &short(0, [0xab, 1])),
        (Choice::ConnectionId, 1)
    );
    assert_eq!(send(&site, 3, &short(0xe0, [0, 0])), (Choice::Template, 3));
}
