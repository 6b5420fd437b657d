//! New configurations: who comes, stays and goes.

use std::{sync::Arc, time::Duration};

use super::rig::{Rig, backend, check, key, pool, secs, service, spec, unchecked};
use crate::{
    engine::{Event, Operation},
    health::State,
    plan::Duty,
    spec::{CheckSpec, PoolSpec, ProxySpec, Spec},
};

#[test]
fn who_stays_keeps_its_health_through_a_changed_check() {
    let mut rig = Rig::with([pool("web", &[1, 2])]);
    rig.break_down(&key("web", 1));
    rig.run(secs(10));
    let mut changed = pool("web", &[1, 2]);
    changed.checks[0].interval = secs(1);
    changed.checks.push(CheckSpec {
        port: Some(81),
        ..check()
    });
    rig.transitions.clear();
    rig.apply(spec([changed]));
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    assert_eq!(rig.status(&key("web", 2)).checks.len(), 2);
    rig.run(secs(10));
    assert_eq!(rig.changes(), Vec::<String>::new());
}

#[test]
fn a_removed_check_no_longer_fails() {
    let mut two = pool("web", &[1, 2]);
    two.checks.insert(
        0,
        CheckSpec {
            port: Some(81),
            ..check()
        },
    );
    let mut rig = Rig::with([two]);
    rig.break_down(&key("web", 1));
    rig.run(secs(10));
    rig.apply(spec([unchecked("web", &[1, 2])]));
    assert_eq!(rig.duties("web"), "1:take 2:take");
    assert_eq!(rig.engine.next_deadline(), None);
}

#[test]
fn an_answer_to_a_check_that_moved_is_dropped() {
    let mut rig = Rig::with([PoolSpec {
        checks: vec![
            CheckSpec {
                port: Some(81),
                ..check()
            },
            check(),
        ],
        ..pool("web", &[1])
    }]);
    rig.run(secs(1));
    rig.apply(spec([pool("web", &[1])]));
    rig.run(secs(60));
    assert_eq!(rig.duties("web"), "1:take");
    assert_eq!(rig.status(&key("web", 1)).checks[0].failed, 0);
}

#[test]
fn a_removed_backend_drains_until_its_planes_are_done() {
    let mut rig = Rig::with([unchecked("web", &[1, 2])]);
    rig.apply(spec([unchecked("web", &[2])]));
    assert_eq!(rig.duties("web"), "2:take 1:finish");
    let until = Some(rig.now + secs(30));
    assert_eq!(rig.pool("web").members[1].duty, Duty::Finish { until });
    assert_eq!(rig.changes(), ["web/10.0.0.1:80 up>draining"]);
    rig.event(Event::Drained(key("web", 1)));
    assert_eq!(rig.duties("web"), "2:take");
    assert_eq!(rig.engine.next_deadline(), None);
}

#[test]
fn one_that_was_drained_before_it_was_removed_goes_at_once() {
    let mut rig = Rig::with([unchecked("web", &[1, 2]), unchecked("api", &[1])]);
    for key in [key("web", 1), key("api", 1)] {
        rig.operate(Operation::Drain(key.clone(), None)).unwrap();
        rig.event(Event::Drained(key));
    }
    rig.apply(spec([unchecked("web", &[2])]));
    assert_eq!(rig.duties("web"), "2:take");
    assert_eq!(rig.engine.plan().pools.len(), 1);
}

#[test]
fn or_until_its_time_is_over() {
    let mut rig = Rig::with([unchecked("web", &[1, 2])]);
    rig.apply(spec([unchecked("web", &[2])]));
    rig.run(secs(29));
    assert_eq!(rig.duties("web"), "2:take 1:finish");
    rig.run(secs(1));
    assert_eq!(rig.duties("web"), "2:take");
}

#[test]
fn one_that_is_configured_again_while_it_drains_comes_back() {
    let mut rig = Rig::with([pool("web", &[1, 2])]);
    rig.run(secs(1));
    rig.operate(Operation::Disable(key("web", 1))).unwrap();
    rig.apply(spec([pool("web", &[2])]));
    rig.apply(spec([pool("web", &[1, 2])]));
    // Nobody looked meanwhile, and what an operator said ended with the removal.
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    assert_eq!(rig.status(&key("web", 1)).state, State::Checking);
    rig.run(secs(1));
    assert_eq!(rig.duties("web"), "1:take 2:take");
    rig.event(Event::Drained(key("web", 1)));
    assert_eq!(rig.duties("web"), "1:take 2:take");
}

#[test]
fn what_was_known_before_it_was_removed_is_not_believed_though_its_checks_changed_too() {
    let mut rig = Rig::with([pool("web", &[1, 2])]);
    rig.run(secs(1));
    rig.apply(spec([pool("web", &[2])]));
    let mut changed = pool("web", &[1, 2]);
    changed.checks[0].port = Some(81);
    rig.apply(spec([changed]));
    assert_eq!(rig.status(&key("web", 1)).state, State::Checking);
    assert_eq!(rig.status(&key("web", 2)).state, State::Up);
}

#[test]
fn a_removed_pool_stays_until_all_its_backends_are_done() {
    let mut rig = Rig::with([unchecked("a", &[1, 2]), unchecked("b", &[1])]);
    rig.apply(spec([unchecked("b", &[1])]));
    assert_eq!(rig.duties("a"), "1:finish 2:finish");
    rig.event(Event::Drained(key("a", 2)));
    assert_eq!(rig.duties("a"), "1:finish");
    rig.apply(spec([unchecked("a", &[3]), unchecked("b", &[1])]));
    assert_eq!(rig.duties("a"), "3:take 1:finish");
    rig.apply(Spec::default());
    rig.run(secs(31));
    assert!(rig.engine.plan().pools.is_empty());
    assert_eq!(rig.engine.next_deadline(), None);
    assert_eq!(rig.engine.backends(rig.now).count(), 0);
}

#[test]
fn without_a_drain_time_it_waits_for_the_planes_alone() {
    let mut patient = unchecked("web", &[1]);
    patient.drain = None;
    let mut rig = Rig::with([patient]);
    rig.apply(Spec::default());
    assert_eq!(
        rig.pool("web").members[0].duty,
        Duty::Finish { until: None }
    );
    rig.run(secs(100_000));
    assert_eq!(rig.duties("web"), "1:finish");
    rig.event(Event::Drained(key("web", 1)));
    assert!(rig.engine.plan().pools.is_empty());
}

#[test]
fn services_and_the_plane_follow_and_what_did_not_change_is_the_same() {
    let mut rig = Rig::with([unchecked("web", &[1])]);
    let with = |services: &[(&str, &str)]| Spec {
        services: services
            .iter()
            .map(|(s, p)| Arc::new(service(s, p)))
            .collect(),
        ..spec([unchecked("web", &[1]), unchecked("api", &[1])])
    };
    rig.apply(with(&[("one", "web"), ("two", "web")]));
    let before = Arc::clone(rig.engine.plan());
    rig.apply(with(&[("one", "api"), ("two", "web")]));
    let after = Arc::clone(rig.engine.plan());
    let name = |text: &str| text.parse().unwrap();
    assert!(Arc::ptr_eq(
        &before.services[&name("two")],
        &after.services[&name("two")]
    ));
    assert!(!Arc::ptr_eq(
        &before.services[&name("one")],
        &after.services[&name("one")]
    ));
    assert!(Arc::ptr_eq(
        &before.pools[&name("web")],
        &after.pools[&name("web")]
    ));

    rig.plans.clear();
    rig.apply(Spec {
        proxy: ProxySpec {
            max_connections: 7,
            ..ProxySpec::default()
        },
        ..with(&[("two", "web")])
    });
    assert_eq!(rig.plans.len(), 1);
    let plan = rig.engine.plan();
    assert_eq!(plan.proxy.max_connections, 7);
    assert_eq!(plan.services.len(), 1);
}

#[test]
fn order_weight_and_disabled_follow_the_configuration() {
    let mut rig = Rig::with([unchecked("web", &[1, 2])]);
    let mut changed = unchecked("web", &[2, 1]);
    changed.backends[0].weight = 3;
    changed.backends[1].disabled = true;
    rig.apply(spec([changed]));
    assert_eq!(rig.duties("web"), "2:take 1:avoid");
    assert_eq!(rig.pool("web").members[0].weight, 3);
    assert_eq!(rig.status(&key("web", 1)).state, State::Disabled);
}

#[test]
fn many_new_backends_are_probed_one_after_the_other_but_soon() {
    let mut big = pool("web", &[]);
    big.backends = (0..200).map(backend).collect();
    let mut rig = Rig::with([big]);
    rig.run(Duration::from_millis(20));
    assert!((5..60).contains(&rig.probes), "{}", rig.probes);
    rig.run(Duration::from_millis(180));
    assert_eq!(rig.probes, 200);
}

#[test]
fn fewer_backends_have_fewer_ejected() {
    let mut rig = Rig::with([unchecked("web", &[1, 2, 3, 4, 5, 6])]);
    for host in [1, 2, 3] {
        rig.sample(key("web", host), 0, 5);
        rig.run(secs(1));
    }
    assert_eq!(
        rig.duties("web"),
        "1:avoid 2:avoid 3:avoid 4:take 5:take 6:take"
    );
    rig.apply(spec([unchecked("web", &[1, 2, 3, 4])]));
    assert_eq!(
        rig.duties("web"),
        "1:take 2:avoid 3:avoid 4:take 5:finish 6:finish"
    );
}
