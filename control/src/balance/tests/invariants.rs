//! What holds for every algorithm, whatever the pool and the order of events.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Case {
    algorithm: Algorithm,
    members: Vec<(u32, bool, Option<u32>, bool)>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Pick {
        key: Option<u64>,
        avoid: Vec<usize>,
    },
    End {
        which: usize,
        outcome: Option<Outcome>,
    },
    Wait(u64),
    Replace(u32),
}

fn outcome() -> impl Strategy<Value = Option<Outcome>> {
    let ms = (0..5000_u64).prop_map(Duration::from_millis);
    (0..4, ms).prop_map(|(kind, d)| match kind {
        0 => Some(Outcome::Answered(d)),
        1 => Some(Outcome::Failed(d)),
        2 => Some(Outcome::Abandoned(d)),
        _ => None,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<Option<u64>>(), prop::collection::vec(0..40_usize, 0..3))
            .prop_map(|(key, avoid)| Step::Pick { key, avoid }),
        4 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Step::End { which, outcome }),
        1 => (0..20_000_u64).prop_map(Step::Wait),
        1 => any::<u32>().prop_map(Step::Replace),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let weight = prop_oneof![Just(0), 1..4_u32, Just(65_535)];
    let limit = prop::option::weighted(0.3, 0..3_u32);
    let member = (weight, prop::bool::weighted(0.2), limit, any::<bool>());
    // Maglev's table takes long to build in a debug build: it has its own tests.
    let algorithm = prop::sample::select(ALL.to_vec());
    (
        algorithm,
        prop::collection::vec(member, 0..40),
        prop::collection::vec(step(), 1..120),
    )
        .prop_map(|(algorithm, mut members, steps)| {
            if algorithm == Algorithm::Maglev {
                members.truncate(4);
            }
            Case {
                algorithm,
                members,
                steps,
            }
        })
}

fn list(case: &Case) -> Vec<Member> {
    let build = |(i, &(weight, backup, max_connections, slow)): (
        usize,
        &(u32, bool, Option<u32>, bool),
    )| Member {
        backup,
        max_connections,
        slow_start: slow.then_some(SlowStart {
            since: at(5000),
            over: Duration::from_secs(10),
        }),
        ..member(i, weight)
    };
    case.members.iter().enumerate().map(build).collect()
}

fn check_picked(picked: &Picked, members: &Members, avoid: &[BackendId]) {
    let member = &members.list()[picked.index];
    assert_eq!(member.id, picked.slot.id());
    assert!(member.weight > 0, "picked a quiesced member");
    assert!(!avoid.contains(&member.id), "picked one that was tried");
    let primaries = members.list().iter().any(|m| !m.backup && m.weight > 0);
    assert!(
        !(member.backup && primaries),
        "picked a backup beside primaries"
    );
    if let Some(limit) = member.max_connections {
        assert!(member.load.in_flight() <= limit, "over its limit");
    }
}

/// No backend only if there is none, and for the reason given.
fn check_none(why: NoBackend, members: &Members, avoid: &[BackendId]) {
    let active: Vec<&Member> = members
        .active()
        .iter()
        .map(|&i| &members.list()[i as usize])
        .collect();
    let rest: Vec<_> = active.iter().filter(|m| !avoid.contains(&m.id)).collect();
    match why {
        NoBackend::Empty => assert!(active.is_empty()),
        NoBackend::Tried => assert!(!active.is_empty() && rest.is_empty()),
        NoBackend::Full => assert!(!rest.is_empty() && rest.iter().all(|m| m.is_full())),
    }
}

fn run(case: &Case) {
    let mut list = list(case);
    let members = Arc::new(Members::new(case.algorithm, list.clone(), None));
    let mut workers = [0, 1].map(|seed| Balancer::new(Arc::clone(&members), seed));
    let mut now = 0;
    let mut slots: Vec<Slot> = Vec::new();
    for (i, step) in case.steps.iter().enumerate() {
        let worker = &mut workers[i % 2];
        match step {
            Step::Pick { key, avoid } => {
                let ids = avoid.iter().filter_map(|&i| list.get(i)).map(|m| m.id);
                let avoid: Vec<BackendId> = ids.collect();
                let pick = Pick {
                    now: at(now),
                    key: *key,
                    avoid: &avoid,
                };
                let explained = worker.explain(&pick);
                let members = Arc::clone(worker.members());
                match worker.pick(&pick) {
                    Ok(picked) => {
                        check_picked(&picked, &members, &avoid);
                        assert_eq!(explained.chosen, Ok(picked.index), "as explained");
                        slots.push(picked.slot);
                    }
                    Err(why) => {
                        check_none(why, &members, &avoid);
                        assert_eq!(explained.chosen, Err(why), "as explained");
                    }
                }
            }
            Step::End { which, outcome } if !slots.is_empty() => {
                let slot = slots.swap_remove(which % slots.len());
                if let Some(outcome) = outcome {
                    slot.observe(at(now), *outcome);
                }
            }
            Step::End { .. } => {}
            Step::Wait(ms) => now += ms,
            Step::Replace(bits) => {
                for (i, member) in list.iter_mut().enumerate() {
                    if bits >> (i % 32) & 1 == 1 {
                        member.weight = (member.weight + 1) % 4;
                    }
                }
                let by = (*bits as usize % 7).min(list.len());
                list.rotate_left(by);
                let previous = Arc::clone(workers[0].members());
                let members = Members::new(case.algorithm, list.clone(), Some(&previous));
                let members = Arc::new(members);
                for worker in &mut workers {
                    worker.replace(Arc::clone(&members));
                }
            }
        }
        let in_flight: u32 = list.iter().map(|m| m.load.in_flight()).sum();
        assert_eq!(
            in_flight as usize,
            slots.len(),
            "each place is counted once"
        );
    }
    drop(slots);
    assert!(list.iter().all(|m| m.load.in_flight() == 0), "none leaked");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn picks_are_allowed_and_counted(case in case()) {
        run(&case);
    }
}

/// Members with weights from one end of the range to the other, and enough of them for every code path.
#[test]
fn extreme_pools_do_not_overflow() {
    for algorithm in ALL {
        for weights in [vec![u32::MAX; 40], vec![u32::MAX, 1], vec![1; 3000]] {
            let count = if weights.len() > 100 { 100 } else { 10_000 };
            let mut balancer = pool(algorithm, &weights);
            assert_eq!(closed(&mut balancer, count).len(), count, "{algorithm:?}");
            assert_eq!(held(&mut balancer, count).len(), count, "{algorithm:?}");
        }
    }
}
