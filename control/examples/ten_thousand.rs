//! What the engine costs with ten thousand backends checked every second, in one pool and in a thousand.
//!
//! `cargo run --release -p control --example ten_thousand` prints events per second and the share of one core
//! that such a node spends on deciding (probes themselves are made elsewhere).

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it measures"
)]
#![expect(clippy::expect_used, reason = "an example has nobody to report to")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use control::{
    engine::{Action, Engine, Event, Failure, ProbeFailure, ProbeResult},
    spec::{
        BackendSpec, Balance, CheckSpec, PoolSpec, ProbeKind, Share, Spec,
        check::PassiveSpec,
        pool::{ConnectSpec, QueueSpec},
    },
    time::Instant,
};

const BACKENDS: u32 = 10_000;
const VIRTUAL_SECONDS: u64 = 60;

fn main() {
    for pools in [1, 1000] {
        for failing in [0, 5] {
            measure(pools, failing);
        }
    }
}

/// Every probe is answered; of those, `failing` percent fail, so that backends go down and come up.
fn measure(pools: u32, failing: u64) {
    let start = Instant::at(Duration::from_secs(1));
    let mut engine = Engine::new(1, start);
    engine.handle(Event::Apply(Arc::new(spec(pools))), start);

    let end = start + Duration::from_secs(VIRTUAL_SECONDS);
    let (mut events, mut plans, mut turn, mut now) = (0_u64, 0_u64, 0_u64, start);
    let begun = std::time::Instant::now();
    while now < end {
        let mut answers = Vec::new();
        while let Some(action) = engine.poll_action() {
            match action {
                Action::Probe {
                    backend, check, id, ..
                } => {
                    turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let failed = (turn >> 33) % 100 < failing;
                    answers.push(Event::Probed {
                        backend,
                        check,
                        id,
                        result: result(failed),
                    });
                }
                Action::Plan(_) => plans += 1,
                _ => {}
            }
        }
        for answer in answers {
            events += 1;
            engine.handle(answer, now);
        }
        // A daemon wakes for each probe at most, and for several at a time under load.
        now = engine.next_deadline().expect("checks go on") + Duration::from_millis(1);
        events += 1;
        engine.handle_timeout(now);
    }
    report(pools, failing, events, plans, begun.elapsed());
}

fn report(pools: u32, failing: u64, events: u64, plans: u64, took: Duration) {
    let rate = events as f64 / took.as_secs_f64();
    let share = 100.0 * took.as_secs_f64() / VIRTUAL_SECONDS as f64;
    println!(
        "{BACKENDS} backends in {pools:4} pools, {failing}% of probes fail: {events} events, {plans} plans, \
         {rate:.0} events/s, {share:.1}% of a core"
    );
}

fn result(failed: bool) -> ProbeResult {
    let failure = ProbeFailure {
        kind: Failure::Connect,
        detail: "connection refused".into(),
    };
    ProbeResult {
        outcome: if failed { Err(failure) } else { Ok(()) },
        took: Duration::from_millis(1),
    }
}

fn spec(pools: u32) -> Spec {
    let each = BACKENDS / pools;
    let pool = |n: u32| {
        Arc::new(PoolSpec {
            name: format!("pool{n}").parse().expect("a name"),
            balance: Balance::RoundRobin,
            checks: vec![check()],
            agent: None,
            passive: PassiveSpec::default(),
            panic_below: Share::percent(50),
            slow_start: Duration::ZERO,
            queue: QueueSpec::default(),
            drain: None,
            connect: ConnectSpec::default(),
            backends: (0..each).map(|i| backend(n * each + i)).collect(),
        })
    };
    Spec {
        pools: (0..pools).map(pool).collect(),
        ..Spec::default()
    }
}

fn backend(n: u32) -> BackendSpec {
    let [_, b, c, d] = n.to_be_bytes();
    BackendSpec {
        weight: 10,
        ..BackendSpec::at(SocketAddr::from(([10, b, c, d], 80)))
    }
}

fn check() -> CheckSpec {
    CheckSpec {
        probe: ProbeKind::Tcp {
            send: None,
            expect: None,
        },
        interval: Duration::from_secs(1),
        interval_down: Duration::from_secs(1),
        jitter: Share::percent(10),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        port: None,
        source: None,
        damping: None,
    }
}
