//! The algorithms as their users see them: sequences, shares, limits, and what happens over time.

#![expect(clippy::unwrap_used, reason = "tests")]

mod invariants;
mod latency;
mod sequences;
mod shares;

use std::{sync::Arc, time::Duration};

use super::*;
use crate::time::Instant;

fn at(ms: u64) -> Instant {
    Instant::at(Duration::from_millis(ms))
}

fn member(name: usize, weight: u32) -> Member {
    Member {
        id: BackendId::of(&format!("10.0.{}.{}:80", name / 256, name % 256)),
        weight,
        backup: false,
        max_connections: None,
        slow_start: None,
        load: Load::new(),
    }
}

fn members(weights: &[u32]) -> Vec<Member> {
    (0..).zip(weights).map(|(i, &w)| member(i, w)).collect()
}

fn balancer(algorithm: Algorithm, list: Vec<Member>) -> Balancer {
    Balancer::new(Arc::new(Members::new(algorithm, list, None)), 0)
}

fn pool(algorithm: Algorithm, weights: &[u32]) -> Balancer {
    balancer(algorithm, members(weights))
}

/// Picks `count` times, each given back at once.
fn closed(balancer: &mut Balancer, count: usize) -> Vec<usize> {
    let pick = Pick::default();
    (0..count)
        .map(|_| balancer.pick(&pick).unwrap().index)
        .collect()
}

/// Picks `count` times, none given back before the end.
fn held(balancer: &mut Balancer, count: usize) -> Vec<usize> {
    let pick = Pick::default();
    let picked: Vec<Picked> = (0..count).map(|_| balancer.pick(&pick).unwrap()).collect();
    picked.iter().map(|p| p.index).collect()
}

/// How often each index occurs, as a share of all.
fn shares_of(picks: &[usize], members: usize) -> Vec<f64> {
    let count = |i| picks.iter().filter(|&&p| p == i).count();
    (0..members)
        .map(|i| count(i) as f64 / picks.len() as f64)
        .collect()
}

const ALL: [Algorithm; 12] = [
    Algorithm::RoundRobin,
    Algorithm::WeightedRoundRobin,
    Algorithm::LeastConnections,
    Algorithm::WeightedLeastConnections,
    Algorithm::ShortestExpectedDelay,
    Algorithm::NeverQueue,
    Algorithm::Random,
    Algorithm::LeastOfTwo,
    Algorithm::First,
    Algorithm::Hash,
    Algorithm::Maglev,
    Algorithm::LeastTime,
];
