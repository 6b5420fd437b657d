//! What backends are given in the kernel: by weights that rise, and up to their thresholds.

use std::{sync::Arc, time::Duration};

use control::{
    plan::PoolPlan,
    spec::{Balance, Forward, PoolSpec, Scheme},
    time::Instant,
};

use super::{
    behaviour::{ACK, FIN, SYN, VIP, answer, backends, client, one, open, rig, service, tcp},
    plans::{at, plan},
    rig::Rig,
};

/// The clock of plans.
fn now() -> Instant {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let since_boot = Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32);
    Instant::at(since_boot)
}

/// How long a step is in tests.
const STEP: Duration = Duration::from_secs(20);

/// Waits if a step is near, so that all of what follows is in the same one.
fn away_from_steps() {
    let into = now().nanos() % STEP.as_nanos() as u64;
    let left = STEP.saturating_sub(Duration::from_nanos(into));
    if left < Duration::from_secs(3) {
        std::thread::sleep(left);
    }
}

/// The pool, with its first backend having come up so long ago.
fn rising(pool: &Arc<PoolPlan>, over: Duration, ago: Duration) -> Arc<PoolPlan> {
    let mut spec = PoolSpec::clone(&pool.spec);
    spec.slow_start = over;
    let mut members = pool.members.clone();
    let since = now().saturating_since(Instant::at(ago));
    members[0].rising_since = Some(Instant::at(since));
    Arc::new(PoolPlan {
        spec: Arc::new(spec),
        members,
        panic: false,
    })
}

/// How many of `count` new connections each of the backends gets.
fn given(rig: &Rig, from: u8, count: u16, of: u8) -> Vec<u16> {
    let mut given = vec![0; usize::from(of)];
    for port in 1000..1000 + count {
        given[usize::from(tcp(rig, client(from, port), VIP, SYN).unwrap()) - 1] += 1;
    }
    given
}

#[test]
fn one_that_came_up_is_given_its_share_in_steps() {
    // A whole number of steps ago is as many steps whenever the test runs.
    let over = STEP * 9;
    let ago = |steps: u32| STEP * steps;
    for (balance, exact) in [
        (Balance::WeightedRoundRobin, true),
        (Balance::WeightedLeastConnections, false),
    ] {
        let service = service(one(Scheme::Tcp), Forward::Nat, |_| {});
        let pool = backends(balance.clone(), &[1, 1, 1]);
        let Some(mut rig) = rig(&service, &pool) else {
            return;
        };
        let since_boot = now().saturating_since(Instant::ZERO);
        for (from, steps, parts) in [(1, 0, 1), (2, 3, 4), (3, 9, 10)] {
            if since_boot < ago(steps) {
                // What came up before the machine did cannot be said.
                continue;
            }
            let before = tcp(&rig, client(100, 1), VIP, SYN).unwrap();
            away_from_steps();
            let stepped = rising(&pool, over, ago(steps));
            rig.harness
                .apply(&plan(&[Arc::clone(&service)], &[stepped]))
                .unwrap();
            let again = tcp(&rig, client(100, 1), VIP, SYN);
            assert_eq!(again, Some(before), "a flow stays");
            if exact {
                let each = 20 + parts;
                let given = given(&rig, from, each * 10, 3);
                assert_eq!(given, [parts * 10, 100, 100], "{parts} parts of ten");
            }
        }
        if !exact {
            // Beside two with ten parts each, one with one part has a twenty-first of the connections.
            away_from_steps();
            let stepped = rising(&pool, over, ago(0));
            rig.harness
                .apply(&plan(&[Arc::clone(&service)], &[stepped]))
                .unwrap();
            let given = given(&rig, 4, 420, 3);
            assert!((18..=22).contains(&given[0]), "{given:?}");
        }
    }
}

/// The backend is full at three connections, and takes work again below `lower`.
fn full_at_three(lower: Option<u32>) -> Arc<PoolPlan> {
    let pool = backends(Balance::RoundRobin, &[1, 1]);
    let mut members = pool.members.clone();
    members[0].max_connections = Some(3);
    members[0].kernel.resume_below = lower;
    Arc::new(PoolPlan {
        spec: Arc::clone(&pool.spec),
        members,
        panic: false,
    })
}

/// Ends a connection; what is left of it is forgotten by the next sweep.
fn close(rig: &Rig, port: u16) {
    let from = client(1, port);
    let backend = tcp(rig, from, VIP, FIN | ACK).unwrap();
    answer(rig, from, backend, FIN | ACK);
    assert_eq!(tcp(rig, from, VIP, ACK), Some(backend));
}

/// Ports of connections of the first backend, when that has become full.
fn fill(rig: &Rig) -> Vec<u16> {
    let opened: Vec<_> = (5000..5012)
        .map(|port| (port, open(rig, client(1, port))))
        .collect();
    let first: Vec<u16> = opened
        .iter()
        .filter(|(_, b)| *b == 1)
        .map(|(port, _)| *port)
        .collect();
    assert_eq!(first.len(), 3, "three and no more: {opened:?}");
    first
}

/// New connections of which the first backend is given some.
fn resumes(rig: &Rig, ports: std::ops::Range<u16>) -> bool {
    ports
        .map(|port| open(rig, client(2, port)))
        .collect::<Vec<_>>()
        .contains(&1)
}

/// Ticks until a closed connection is forgotten and an established one is not: four minutes.
const LATER: u32 = ((240_u64 * 1_000_000_000) >> 26) as u32;

#[test]
fn a_full_backend_takes_work_again_below_its_lower_threshold() {
    let service = service(one(Scheme::Tcp), Forward::Nat, |_| {});
    let Some(mut rig) = rig(&service, &full_at_three(Some(2))) else {
        return;
    };
    let held = fill(&rig);
    assert_eq!(rig.harness.load(at("10.1.0.1:80")).full, 1);
    close(&rig, held[0]);
    let _ = rig.harness.sweep(LATER).unwrap();
    assert_eq!(rig.harness.load(at("10.1.0.1:80")).active, 2);
    assert!(!resumes(&rig, 6000..6004), "two are not below two");
    close(&rig, held[1]);
    let _ = rig.harness.sweep(LATER).unwrap();
    assert!(resumes(&rig, 7000..7004), "one is");
    assert_eq!(
        rig.harness.load(at("10.1.0.1:80")).active,
        3,
        "and full again"
    );
    assert!(!resumes(&rig, 8000..8004));
}

#[test]
fn without_a_lower_threshold_three_quarters_count() {
    let service = service(one(Scheme::Tcp), Forward::Nat, |_| {});
    let Some(mut rig) = rig(&service, &full_at_three(None)) else {
        return;
    };
    let held = fill(&rig);
    close(&rig, held[0]);
    let _ = rig.harness.sweep(LATER).unwrap();
    assert!(resumes(&rig, 6000..6004), "two are less than 2.25");
}

#[test]
fn when_all_are_full_nobody_takes_it_and_flows_stay() {
    let service = service(one(Scheme::Tcp), Forward::Nat, |_| {});
    let pool = full_at_three(None);
    let mut members = pool.members.clone();
    members[1].max_connections = Some(1);
    let pool = Arc::new(PoolPlan {
        spec: Arc::clone(&pool.spec),
        members,
        panic: false,
    });
    let Some(rig) = rig(&service, &pool) else {
        return;
    };
    let opened: Vec<_> = (5000..5004)
        .map(|port| (port, open(&rig, client(1, port))))
        .collect();
    assert_eq!(tcp(&rig, client(1, 6000), VIP, SYN), None);
    assert_eq!(rig.harness.drops(xdp::abi::Reason::NoBackend).unwrap(), 1);
    for (port, backend) in opened {
        assert_eq!(tcp(&rig, client(1, port), VIP, ACK), Some(backend));
    }
}
