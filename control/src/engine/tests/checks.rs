//! Active checks, and what they do to the plan.

use std::{sync::Arc, time::Duration};

use super::rig::{Rig, backend, check, key, pool, secs, spec, unchecked};
use crate::{
    engine::{Action, Event, Failure},
    health::{PROBE_GRACE, State},
    spec::{CheckSpec, PoolSpec, Share, check::DampingSpec},
};

#[test]
fn a_new_pool_is_in_use_from_the_start_and_its_first_probes_decide() {
    let mut rig = Rig::with([pool("web", &[1, 2])]);
    assert_eq!(rig.duties("web"), "1:take 2:take");
    assert_eq!(rig.status(&key("web", 1)).state, State::Checking);
    rig.break_down(&key("web", 2));
    rig.run(Duration::from_millis(5));
    assert_eq!(rig.duties("web"), "1:take 2:avoid");
    assert_eq!(rig.changes().len(), 2);
}

#[test]
fn without_checks_it_is_up() {
    let rig = Rig::with([unchecked("web", &[1])]);
    assert_eq!(rig.duties("web"), "1:take");
    assert_eq!(rig.status(&key("web", 1)).state, State::Up);
    assert_eq!(rig.engine.next_deadline(), None);
}

#[test]
fn a_newcomer_waits_for_its_first_pass_unless_nobody_else_is_up() {
    let mut rig = Rig::with([pool("web", &[1])]);
    rig.run(secs(1));
    rig.apply(spec([pool("web", &[1, 2])]));
    assert_eq!(rig.duties("web"), "1:take 2:avoid");
    rig.run(Duration::from_millis(5));
    assert_eq!(rig.duties("web"), "1:take 2:take");

    let mut rig = Rig::with([pool("web", &[1])]);
    rig.break_down(&key("web", 1));
    rig.run(secs(1));
    assert_eq!(rig.duties("web"), "1:avoid");
    rig.apply(spec([pool("web", &[1, 2])]));
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
}

#[test]
fn fall_and_rise() {
    let mut rig = Rig::with([pool("web", &[1, 2])]);
    rig.run(secs(1));
    rig.transitions.clear();
    rig.break_down(&key("web", 1));
    rig.run(secs(4));
    assert_eq!(rig.duties("web"), "1:take 2:take");
    rig.run(secs(2));
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    let why = rig.transitions[0].why.clone();
    assert_eq!(why, "tcp check failed 3 times in a row: connection refused");
    assert_eq!(rig.status(&key("web", 1)).why, why);
    rig.ill.clear();
    rig.run(secs(4));
    assert_eq!(rig.duties("web"), "1:take 2:take");
    assert_eq!(
        rig.changes(),
        ["web/10.0.0.1:80 up>down", "web/10.0.0.1:80 down>up"]
    );
    assert_eq!(rig.status(&key("web", 1)).flaps, 1);
}

#[test]
fn all_stages_must_pass() {
    let mut rig = Rig::with([PoolSpec {
        checks: vec![
            check(),
            CheckSpec {
                port: Some(81),
                ..check()
            },
        ],
        ..pool("web", &[1, 2])
    }]);
    let mut ids = Vec::new();
    rig.engine.handle_timeout(rig.now + secs(1));
    while let Some(action) = rig.engine.poll_action() {
        if let Action::Probe {
            backend,
            check,
            id,
            target,
            ..
        } = action
        {
            assert_eq!(target.port(), [80, 81][check]);
            ids.push((backend, check, id));
        }
    }
    assert_eq!(ids.len(), 4);
    for (backend, check, id) in ids {
        assert_eq!(rig.status(&backend).state, State::Checking);
        let bad = check == 1 && backend == key("web", 1);
        let failure = crate::engine::ProbeFailure {
            kind: Failure::Unexpected,
            detail: "status 503".into(),
        };
        rig.event(Event::Probed {
            backend,
            check,
            id,
            result: crate::engine::ProbeResult {
                outcome: if bad { Err(failure) } else { Ok(()) },
                took: Duration::ZERO,
            },
        });
    }
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    assert_eq!(
        rig.status(&key("web", 1)).why,
        "tcp check failed: status 503"
    );
}

#[test]
fn a_prober_that_never_answers_is_a_failure() {
    let mut rig = Rig::with([pool("web", &[1])]);
    let mut probed = 0;
    for _ in 0..2 {
        rig.now = rig.engine.next_deadline().unwrap();
        rig.engine.handle_timeout(rig.now);
        while let Some(action) = rig.engine.poll_action() {
            probed += usize::from(matches!(action, Action::Probe { .. }));
        }
    }
    assert_eq!(probed, 1);
    let status = rig.status(&key("web", 1));
    assert_eq!(status.state, State::Down);
    let last = status.checks[0].last.clone().unwrap();
    assert_eq!(last.failure.unwrap().kind, Failure::Timeout);
    assert_eq!(last.took.0, secs(1) + PROBE_GRACE);
}

#[test]
fn flapping_is_damped() {
    let damped = CheckSpec {
        rise: 1,
        fall: 1,
        damping: Some(DampingSpec {
            changes: 1,
            window: secs(600),
            hold: secs(20),
            max_hold: secs(60),
        }),
        ..check()
    };
    let mut rig = Rig::with([PoolSpec {
        checks: vec![damped],
        ..pool("web", &[1, 2])
    }]);
    rig.run(secs(1));
    for _ in 0..2 {
        rig.break_down(&key("web", 1));
        rig.run(secs(2));
        rig.ill.clear();
        rig.run(secs(2));
    }
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    assert!(rig.status(&key("web", 1)).checks[0].held.is_some());
    rig.run(secs(16));
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    rig.run(secs(4));
    assert_eq!(rig.duties("web"), "1:take 2:take");
}

#[test]
fn with_too_few_left_all_are_tried() {
    let mut disabled = backend(5);
    disabled.disabled = true;
    let mut panicky = pool("web", &[1, 2, 3, 4]);
    panicky.panic_below = Share::percent(50);
    panicky.backends.push(disabled);
    let mut rig = Rig::with([panicky]);
    rig.run(secs(1));
    for host in [1, 2] {
        rig.break_down(&key("web", host));
    }
    rig.run(secs(10));
    assert_eq!(rig.duties("web"), "1:avoid 2:avoid 3:take 4:take 5:avoid");
    rig.break_down(&key("web", 3));
    rig.run(secs(10));
    assert_eq!(
        rig.duties("web"),
        "1:take 2:take 3:take 4:take 5:avoid panic"
    );
    rig.ill.clear();
    rig.run(secs(10));
    assert_eq!(rig.duties("web"), "1:take 2:take 3:take 4:take 5:avoid");
}

#[test]
fn a_backup_that_is_up_is_used_instead_of_panic() {
    let mut with_backup = pool("web", &[1, 2, 3]);
    with_backup.panic_below = Share::percent(50);
    with_backup.backends[2].backup = true;
    let mut rig = Rig::with([with_backup]);
    rig.break_down(&key("web", 1));
    rig.break_down(&key("web", 2));
    rig.run(secs(1));
    assert_eq!(rig.duties("web"), "1:avoid 2:avoid 3:take");
    rig.break_down(&key("web", 3));
    rig.run(secs(10));
    assert_eq!(rig.duties("web"), "1:take 2:take 3:take panic");
}

#[test]
fn what_comes_back_rises_slowly_but_not_what_was_there_at_the_start() {
    let mut slow = pool("web", &[1, 2]);
    slow.slow_start = secs(60);
    let mut rig = Rig::with([slow]);
    rig.run(secs(1));
    assert_eq!(rig.pool("web").members[0].rising_since, None);
    rig.break_down(&key("web", 1));
    rig.run(secs(10));
    rig.ill.clear();
    rig.run(secs(10));
    let rising = rig.pool("web").members[0].rising_since.unwrap();
    assert!(rig.now.saturating_since(rising) < secs(10));
}

#[test]
fn several_events_make_one_plan_and_only_of_the_pools_they_touch() {
    let mut rig = Rig::with([pool("a", &[1, 2]), pool("b", &[1, 2]), pool("c", &[1])]);
    rig.run(secs(1));
    rig.plans.clear();
    let before = Arc::clone(rig.engine.plan());
    for host in [1, 2] {
        rig.engine.handle(
            Event::Operate(crate::engine::Operation::Disable(key("a", host))),
            rig.now,
        );
    }
    rig.event(Event::Operate(crate::engine::Operation::Weight(
        key("b", 1),
        Some(3),
    )));
    assert_eq!(rig.plans.len(), 1);
    let after = rig.engine.plan();
    assert_eq!(after.generation, before.generation + 1);
    let shared = |name: &str| {
        let name = name.parse().unwrap();
        Arc::ptr_eq(&before.pools[&name], &after.pools[&name])
    };
    assert!(!shared("a") && !shared("b") && shared("c"));
}

#[test]
fn nothing_new_makes_no_plan() {
    let mut rig = Rig::with([pool("web", &[1, 2])]);
    rig.run(secs(1));
    rig.plans.clear();
    rig.run(secs(60));
    rig.apply(spec([pool("web", &[1, 2])]));
    assert!(rig.plans.is_empty());
    assert!(rig.probes > 50);
}
