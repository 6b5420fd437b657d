//! Exact sequences, against the definitions and against LVS.

use super::*;

/// What the kernel's IPVS chose among servers 1, 2, 3, connection by connection, with none closed. It tries
/// the server added last first, so its servers are our members from the last to the first.
#[test]
fn like_lvs_with_connections_held() {
    use Algorithm::*;
    let cases = [
        (RoundRobin, [1, 1, 1], "321321321321321321321321"),
        (RoundRobin, [5, 1, 1], "321321321321321321321321"),
        (RoundRobin, [3, 0, 1], "313131313131313131313131"),
        (LeastConnections, [1, 1, 1], "321321321321321321321321"),
        (LeastConnections, [5, 1, 1], "321321321321321321321321"),
        (LeastConnections, [3, 0, 1], "313131313131313131313131"),
        (
            WeightedLeastConnections,
            [1, 1, 1],
            "321321321321321321321321",
        ),
        (
            WeightedLeastConnections,
            [5, 1, 1],
            "321111132111113211111321",
        ),
        (
            WeightedLeastConnections,
            [3, 0, 1],
            "311131113111311131113111",
        ),
        (ShortestExpectedDelay, [1, 1, 1], "321321321321321321321321"),
        (ShortestExpectedDelay, [5, 1, 1], "111132111113211111321111"),
        (ShortestExpectedDelay, [3, 0, 1], "113111311131113111311131"),
        (NeverQueue, [1, 1, 1], "321321321321321321321321"),
        (NeverQueue, [5, 1, 1], "321111111113211111321111"),
        (NeverQueue, [3, 0, 1], "311111311131113111311131"),
    ];
    for (algorithm, mut weights, expected) in cases {
        weights.reverse();
        let picks = held(&mut pool(algorithm, &weights), 24);
        let servers: String = picks.iter().map(|i| (3 - i).to_string()).collect();
        assert_eq!(servers, expected, "{algorithm:?} {weights:?} reversed");
    }
}

/// The same with each connection closed before the next. LVS's sed and nq then always choose the first of
/// equals; ours take turns.
#[test]
fn like_lvs_with_connections_closed() {
    use Algorithm::*;
    let cases = [
        (RoundRobin, [5, 1, 1], "321321321321321321321321"),
        (LeastConnections, [5, 1, 1], "321321321321321321321321"),
        (
            WeightedLeastConnections,
            [5, 1, 1],
            "321111132111113211111321",
        ),
        (
            WeightedLeastConnections,
            [3, 0, 1],
            "311131113111311131113111",
        ),
        (ShortestExpectedDelay, [5, 1, 1], "111111111111111111111111"),
        (ShortestExpectedDelay, [1, 1, 1], "321321321321321321321321"),
    ];
    for (algorithm, mut weights, expected) in cases {
        weights.reverse();
        let picks = closed(&mut pool(algorithm, &weights), 24);
        let servers: String = picks.iter().map(|i| (3 - i).to_string()).collect();
        assert_eq!(servers, expected, "{algorithm:?} {weights:?} reversed");
    }
}

#[test]
fn wrr_is_smooth() {
    let mut small = pool(Algorithm::WeightedRoundRobin, &[5, 1, 1]);
    assert_eq!(
        closed(&mut small, 14),
        [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]
    );
    let mut quiesced = pool(Algorithm::WeightedRoundRobin, &[0, 2, 1]);
    assert_eq!(closed(&mut quiesced, 6), [1, 2, 1, 1, 2, 1]);
}

#[test]
fn wrr_of_a_large_pool_repeats_its_period() {
    let weights: Vec<u32> = (0..60).map(|i| i % 5).collect();
    let mut table = pool(Algorithm::WeightedRoundRobin, &weights);
    assert!(table.members().has_sequence());
    let period = weights.iter().sum::<u32>() as usize;
    let picks = closed(&mut table, 2 * period);
    assert_eq!(picks[..period], picks[period..]);
    for (i, &weight) in weights.iter().enumerate() {
        let count = picks[..period].iter().filter(|&&p| p == i).count();
        assert_eq!(count, weight as usize, "member {i}");
    }

    let reference = smooth::sequence(&weights).unwrap();
    assert_eq!(
        picks[..period]
            .iter()
            .map(|&i| i as u32)
            .collect::<Vec<_>>(),
        &*reference
    );
}

#[test]
fn first_fills_the_first() {
    let mut list = members(&[1, 1, 1]);
    list[0].max_connections = Some(2);
    list[1].max_connections = Some(1);
    let mut balancer = balancer(Algorithm::First, list);
    assert_eq!(held(&mut balancer, 5), [0, 0, 1, 2, 2]);
    assert_eq!(
        closed(&mut balancer, 2),
        [0, 0],
        "and again once there is room"
    );
}

#[test]
fn workers_begin_at_different_members() {
    use Algorithm::*;
    for algorithm in [
        RoundRobin,
        WeightedRoundRobin,
        LeastConnections,
        WeightedLeastConnections,
    ] {
        let shared = Arc::new(Members::new(algorithm, members(&[1, 1, 1]), None));
        let firsts: Vec<usize> = (0..4)
            .map(|seed| closed(&mut Balancer::new(Arc::clone(&shared), seed), 1)[0])
            .collect();
        assert_eq!(firsts, [0, 1, 2, 0], "{algorithm:?}");
    }
}

#[test]
fn rr_goes_on_after_a_change() {
    let list = members(&[1, 1, 1, 1]);
    let mut balancer = balancer(Algorithm::RoundRobin, list.clone());
    assert_eq!(closed(&mut balancer, 2), [0, 1]);
    let without = |gone: &[usize]| {
        let kept = list.iter().enumerate().filter(|(i, _)| !gone.contains(i));
        let kept = kept.map(|(_, m)| m.clone()).collect();
        Arc::new(Members::new(Algorithm::RoundRobin, kept, None))
    };
    balancer.replace(without(&[0]));
    assert_eq!(closed(&mut balancer, 1), [1], "10.0.0.2, which was next");
    balancer.replace(without(&[]));
    assert_eq!(closed(&mut balancer, 1), [3]);
    balancer.replace(without(&[0, 1]));
    assert_eq!(
        closed(&mut balancer, 1),
        [0],
        "0 and 1 are gone: 10.0.0.2 is next"
    );
}

/// A list that is replaced before every pick must still be used evenly.
#[test]
fn constant_change_does_not_starve_the_last() {
    use Algorithm::*;
    for algorithm in [
        RoundRobin,
        WeightedRoundRobin,
        LeastConnections,
        ShortestExpectedDelay,
    ] {
        for count in [5_usize, 40] {
            let list = members(&vec![1; count]);
            let mut balancer = balancer(algorithm, list.clone());
            let mut picks = Vec::new();
            for _ in 0..20 * count {
                balancer.replace(Arc::new(Members::new(algorithm, list.clone(), None)));
                picks.extend(closed(&mut balancer, 1));
            }
            for (i, share) in shares_of(&picks, count).into_iter().enumerate() {
                let ratio = share * count as f64;
                assert!(
                    (0.9..1.1).contains(&ratio),
                    "{algorithm:?} of {count}: {i} got {ratio}"
                );
            }
        }
    }
}

#[test]
fn wrr_keeps_its_shares_while_others_come_and_go() {
    let base = members(&[3, 1, 2]);
    let mut balancer = balancer(Algorithm::WeightedRoundRobin, base.clone());
    let mut counts = [0_u32; 3];
    for round in 0..3000_usize {
        let mut list = base.clone();
        if round % 2 == 0 {
            list.push(member(100 + round, 2));
        }
        balancer.replace(Arc::new(Members::new(
            Algorithm::WeightedRoundRobin,
            list,
            None,
        )));
        for index in closed(&mut balancer, 2) {
            if let Some(count) = counts.get_mut(index) {
                *count += 1;
            }
        }
    }
    let total = f64::from(counts.iter().sum::<u32>());
    for (count, wanted) in counts.iter().zip([0.5, 1.0 / 6.0, 1.0 / 3.0]) {
        let share = f64::from(*count) / total;
        assert!((share - wanted).abs() < 0.03, "{counts:?}");
    }
}
