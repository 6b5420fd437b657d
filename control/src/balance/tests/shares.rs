//! Shares of what is placed by weight or by key, slow start, backups.

use super::*;

const N: usize = 60_000;

fn assert_shares(shares: &[f64], wanted: &[f64], within: f64, what: &str) {
    for (share, wanted) in shares.iter().zip(wanted) {
        assert!((share - wanted).abs() < within, "{what}: {shares:?}");
    }
}

fn by_key(balancer: &mut Balancer, key: u64) -> usize {
    let pick = Pick {
        key: Some(key),
        ..Pick::default()
    };
    balancer.pick(&pick).unwrap().index
}

#[test]
fn idle_pools_are_used_by_weight() {
    use Algorithm::*;
    for algorithm in [
        WeightedRoundRobin,
        WeightedLeastConnections,
        Random,
        LeastOfTwo,
    ] {
        let picks = closed(&mut pool(algorithm, &[5, 3, 0, 2]), N);
        let what = format!("{algorithm:?}");
        assert_shares(&shares_of(&picks, 4), &[0.5, 0.3, 0.0, 0.2], 0.01, &what);
    }
}

#[test]
fn keys_are_spread_by_weight_and_stay() {
    for algorithm in [Algorithm::Hash, Algorithm::Maglev] {
        let mut balancer = pool(algorithm, &[5, 3, 0, 2]);
        let picks: Vec<usize> = (0..N as u64).map(|k| by_key(&mut balancer, k)).collect();
        let what = format!("{algorithm:?}");
        assert_shares(&shares_of(&picks, 4), &[0.5, 0.3, 0.0, 0.2], 0.01, &what);
        let again: Vec<usize> = (0..N as u64).map(|k| by_key(&mut balancer, k)).collect();
        assert_eq!(picks, again, "{algorithm:?}");
    }
}

#[test]
fn keys_do_not_depend_on_config_order_or_worker() {
    let list = members(&[5, 3, 4, 2]);
    let reversed: Vec<Member> = list.iter().rev().cloned().collect();
    for algorithm in [Algorithm::Hash, Algorithm::Maglev] {
        let mut one = balancer(algorithm, list.clone());
        let other = Arc::new(Members::new(algorithm, reversed.clone(), None));
        let mut other = Balancer::new(other, 77);
        for key in 0..2000 {
            assert_eq!(
                by_key(&mut one, key),
                3 - by_key(&mut other, key),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn what_a_full_member_sheds_is_spread_over_all_others() {
    for algorithm in [Algorithm::Hash, Algorithm::Maglev] {
        let mut list = members(&[1; 5]);
        list[2].max_connections = Some(0);
        let mut without = balancer(algorithm, list);
        let mut with = pool(algorithm, &[1; 5]);
        let keys = (0..N as u64).filter(|&k| by_key(&mut with, k) == 2);
        let shed: Vec<usize> = keys.map(|k| by_key(&mut without, k)).collect();
        let quarter = [0.25, 0.25, 0.0, 0.25, 0.25];
        assert_shares(
            &shares_of(&shed, 5),
            &quarter,
            0.02,
            &format!("{algorithm:?}"),
        );
    }
}

#[test]
fn keyless_requests_are_spread() {
    let picks = closed(&mut pool(Algorithm::Hash, &[1, 1, 2]), N);
    assert_shares(&shares_of(&picks, 3), &[0.25, 0.25, 0.5], 0.01, "no key");
}

/// The most loaded of 100 members under random placement, against two choices: the textbook's gap.
#[test]
fn two_choices_are_better_than_one() {
    let most = |algorithm| {
        let mut balancer = pool(algorithm, &[1; 100]);
        let picks = held(&mut balancer, 10_000);
        shares_of(&picks, 100).into_iter().fold(0.0, f64::max) * 100.0
    };
    let (random, two) = (most(Algorithm::Random), most(Algorithm::LeastOfTwo));
    assert!(two < 1.06, "two choices: {two} of the mean");
    assert!(random > 1.15, "one choice: {random} of the mean");
}

#[test]
fn two_choices_of_two_are_both() {
    let mut balancer = pool(Algorithm::LeastOfTwo, &[1, 1]);
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(balancer.pick(&Pick::default()).unwrap());
        let [a, b] = [0, 1].map(|i| balancer.members().list()[i].load.in_flight());
        assert!(a.abs_diff(b) <= 1, "{a} and {b}");
    }
}

#[test]
fn two_choices_level_loads_by_weight() {
    let picks = held(&mut pool(Algorithm::LeastOfTwo, &[6, 3, 1]), 10_000);
    assert_shares(&shares_of(&picks, 3), &[0.6, 0.3, 0.1], 0.005, "p2c");
}

fn slow_starting(algorithm: Algorithm) -> Balancer {
    let mut list = members(&[4, 4, 4, 4]);
    list[3].slow_start = Some(SlowStart {
        since: at(1000),
        over: Duration::from_secs(10),
    });
    balancer(algorithm, list)
}

#[test]
fn slow_start_scales_the_weight() {
    use Algorithm::*;
    for algorithm in [
        WeightedRoundRobin,
        WeightedLeastConnections,
        ShortestExpectedDelay,
        Random,
        LeastOfTwo,
    ] {
        let mut balancer = slow_starting(algorithm);
        for (ms, weight) in [
            (0, 0.1),
            (1000, 0.1),
            (6000, 0.55),
            (11_000, 1.0),
            (60_000, 1.0),
        ] {
            let pick = Pick {
                now: at(ms),
                ..Pick::default()
            };
            let picked: Vec<Picked> = (0..10_000).map(|_| balancer.pick(&pick).unwrap()).collect();
            let picks: Vec<usize> = picked.iter().map(|p| p.index).collect();
            let share = shares_of(&picks, 4)[3];
            let wanted = weight / (3.0 + weight);
            assert!(
                (share - wanted).abs() < 0.015,
                "{algorithm:?} at {ms} ms: {share} for {wanted}"
            );
        }
    }
}

#[test]
fn slow_start_moves_no_keys() {
    for algorithm in [Algorithm::Hash, Algorithm::Maglev] {
        let (mut slow, mut whole) = (slow_starting(algorithm), pool(algorithm, &[4; 4]));
        for key in 0..1000 {
            assert_eq!(by_key(&mut slow, key), by_key(&mut whole, key));
        }
    }
}

#[test]
fn backups_stand_in_for_absent_primaries_only() {
    for algorithm in ALL {
        let mut list = members(&[1, 1, 1]);
        list[1].backup = true;
        list[2].backup = true;
        list[2].weight = 0;
        let picks = closed(&mut balancer(algorithm, list.clone()), 20);
        assert!(picks.iter().all(|&p| p == 0), "{algorithm:?}");

        list[0].max_connections = Some(0);
        let full = balancer(algorithm, list.clone()).pick(&Pick::default());
        assert_eq!(full.unwrap_err(), NoBackend::Full, "{algorithm:?}");

        list[0].weight = 0;
        let picks = closed(&mut balancer(algorithm, list.clone()), 20);
        assert!(picks.iter().all(|&p| p == 1), "{algorithm:?}");

        list[1].weight = 0;
        let none = balancer(algorithm, list).pick(&Pick::default());
        assert_eq!(none.unwrap_err(), NoBackend::Empty, "{algorithm:?}");
    }
}

#[test]
fn tables_are_kept_when_nothing_they_depend_on_changed() {
    let mut list = members(&[1, 2, 3]);
    let before = Members::new(Algorithm::Maglev, list.clone(), None);
    list[0].max_connections = Some(9);
    let same = Members::new(Algorithm::Maglev, list.clone(), Some(&before));
    let slots = |m: &Members| m.maglev().unwrap().slots().as_ptr();
    assert_eq!(slots(&before), slots(&same));
    list[0].weight = 2;
    let other = Members::new(Algorithm::Maglev, list, Some(&same));
    assert_ne!(slots(&before), slots(&other));
}
