//! The order in which backends are chosen, as recorded from IPVS: three backends, added in the order 1, 2, 3.

use std::vec::Vec;

use super::{ACK, CLIENT, FIN, Site, tcp};
use crate::abi::{Scheduler, service_flags};

const DIRECT: u8 = 1;

/// As many connections as are expected, none of them closed.
fn held(scheduler: Scheduler, weights: &[u32], expected: &[u32]) {
    let site = Site::new(scheduler, DIRECT, weights);
    let got: Vec<u32> = (0..expected.len())
        .map(|i| site.open(CLIENT, 2000 + i as u16))
        .collect();
    assert_eq!(got, expected, "{scheduler:?} {weights:?}");
}

/// The same, each closed before the next is opened.
fn closed(scheduler: Scheduler, weights: &[u32], expected: &[u32]) {
    let site = Site::new(scheduler, DIRECT, weights);
    let mut got = Vec::new();
    for i in 0..expected.len() {
        let port = 2000 + i as u16;
        got.push(site.open(CLIENT, port));
        let _ = site.send(&tcp(CLIENT, port, ACK));
        let _ = site.send(&tcp(CLIENT, port, FIN | ACK));
    }
    assert_eq!(got, expected, "{scheduler:?} {weights:?}");
}

#[test]
fn least_connections() {
    closed(Scheduler::Lc, &[5, 1, 1], &[3, 2, 1, 3, 2, 1, 3, 2, 1]);
    held(Scheduler::Lc, &[3, 0, 1], &[3, 1, 3, 1, 3, 1]);
}

#[test]
fn weighted_least_connections() {
    closed(Scheduler::Wlc, &[5, 1, 1], &[3, 2, 1, 1, 1, 1, 1, 3, 2, 1]);
    held(Scheduler::Wlc, &[3, 0, 1], &[3, 1, 1, 1, 3, 1, 1, 1]);
}

#[test]
fn never_queue() {
    held(
        Scheduler::Nq,
        &[5, 1, 1],
        &[
            3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1,
        ],
    );
    closed(Scheduler::Nq, &[5, 1, 1], &[3; 12]);
    held(
        Scheduler::Nq,
        &[3, 0, 1],
        &[3, 1, 1, 1, 1, 1, 3, 1, 1, 1, 3, 1],
    );
}

#[test]
fn failover_takes_the_highest_weight() {
    held(Scheduler::Fo, &[1, 1, 1], &[3; 6]);
    held(Scheduler::Fo, &[3, 0, 1], &[1; 6]);
}

#[test]
fn overflow_takes_one_more_than_the_weight() {
    held(Scheduler::Ovf, &[1, 1, 1], &[3, 3, 2, 2, 1, 1, 0, 0]);
    held(
        Scheduler::Ovf,
        &[5, 1, 1],
        &[1, 1, 1, 1, 1, 1, 3, 3, 2, 2, 0],
    );
}

#[test]
fn the_ring_goes_on_past_those_that_are_full() {
    let site = Site::new(Scheduler::Ring, DIRECT, &[1, 1, 1]);
    site.table(&[3, 2, 1]);
    site.backend(3, |backend| {
        backend.upper = 2;
        backend.lower = 1;
    });
    let got: Vec<u32> = (0..10).map(|i| site.open(CLIENT, 2000 + i)).collect();
    assert_eq!(got, [3, 2, 1, 3, 2, 1, 2, 1, 2, 1]);
}

#[test]
fn nobody_takes_a_connection_when_all_weights_are_0() {
    for scheduler in [
        Scheduler::Lc,
        Scheduler::Wlc,
        Scheduler::Sed,
        Scheduler::Nq,
        Scheduler::Fo,
        Scheduler::Ovf,
    ] {
        held(scheduler, &[0, 0, 0], &[0]);
    }
}

#[test]
fn a_hash_is_steady_and_refuses_weight_0_but_for_the_fallback() {
    let site = Site::new(Scheduler::SourceHash, DIRECT, &[3, 0, 1]);
    site.table(&[1, 2, 3, 1, 2, 3, 1, 2]);
    let first: Vec<u32> = (0..40)
        .map(|i| site.open(CLIENT + (i << 24), 2000))
        .collect();
    let again: Vec<u32> = (0..40)
        .map(|i| site.open(CLIENT + (i << 24), 3000))
        .collect();
    assert_eq!(first, again);
    assert!(first.contains(&0) && first.contains(&1) && first.contains(&3) && !first.contains(&2));
    site.service(|service| service.flags |= service_flags::FALLBACK);
    for (i, before) in first.iter().enumerate() {
        let now = site.open(CLIENT + ((i as u32) << 24), 4000);
        assert!(now == *before || (*before == 0 && now != 0 && now != 2));
    }
}

#[test]
fn locality_stays_with_one_backend_until_it_is_overloaded() {
    let site = Site::new(Scheduler::Lblc, DIRECT, &[1, 1, 1]);
    let got: Vec<u32> = (0..3).map(|i| site.open(CLIENT, 2000 + i)).collect();
    assert_eq!(got, [3, 3, 2], "two active are more than weight 1");
}
