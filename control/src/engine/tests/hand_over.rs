//! A new process goes on with what the old one knew.

use std::sync::Arc;

use super::rig::{Rig, agent, backend, key, pool, secs, spec, unchecked};
use crate::{
    engine::{Engine, Event, Operation},
    plan::Duty,
    spec::PoolSpec,
    status::Saved,
    time::Instant,
};

/// Another process, on another clock, with this configuration.
fn successor(rig: &Rig, pools: Vec<PoolSpec>) -> Rig {
    let text = serde_json::to_string(&rig.engine.export(rig.now)).unwrap();
    let saved: Saved = serde_json::from_str(&text).unwrap();
    let mut next = Rig::new(Engine::restore(2, Instant::at(secs(50)), saved));
    next.now = Instant::at(secs(50));
    next.ill = rig.ill.clone();
    next.event(Event::Apply(Arc::new(spec(pools))));
    next
}

#[test]
fn health_and_operators_words_survive() {
    let before = || {
        let mut web = pool("web", &[1, 2, 3, 4, 5]);
        web.agent = Some(agent());
        web
    };
    let mut rig = Rig::with([before(), unchecked("raw", &[1, 2])]);
    rig.break_down(&key("web", 1));
    rig.agents.insert(key("web", 5), "50%".into());
    rig.run(secs(10));
    rig.operate(Operation::Drain(key("web", 2), Some(secs(20))))
        .unwrap();
    rig.operate(Operation::Disable(key("web", 3))).unwrap();
    rig.operate(Operation::Weight(key("web", 4), Some(3)))
        .unwrap();
    rig.sample(key("raw", 1), 0, 9);
    rig.run(secs(4));

    let next = successor(&rig, vec![before(), unchecked("raw", &[1, 2])]);
    assert_eq!(next.duties("web"), rig.duties("web"));
    assert_eq!(next.duties("raw"), "1:avoid 2:take");
    let until = Some(next.now + secs(16));
    let web = next.pool("web");
    assert_eq!(web.members[1].duty, Duty::Finish { until });
    assert_eq!((web.members[3].weight, web.members[4].weight), (3, 5));
    let (old, new) = (rig.status(&key("raw", 1)), next.status(&key("raw", 1)));
    assert_eq!(new.traffic.ejected, old.traffic.ejected);
    assert_eq!(new.since, old.since);
}

#[test]
fn what_the_new_configuration_does_not_have_is_dropped() {
    let mut rig = Rig::with([unchecked("web", &[1, 2])]);
    rig.operate(Operation::Disable(key("web", 1))).unwrap();
    rig.apply(spec([unchecked("web", &[1])]));
    let mut next = successor(&rig, vec![unchecked("api", &[1])]);
    assert_eq!(next.engine.backends(next.now).count(), 1);
    // Not even later.
    next.apply(spec([unchecked("api", &[1]), unchecked("web", &[1])]));
    assert_eq!(next.duties("web"), "1:take");
}

#[test]
fn who_takes_work_before_its_first_check_goes_on_doing_so() {
    let rig = Rig::with([pool("web", &[1, 2])]);
    let next = successor(&rig, vec![pool("web", &[1, 2])]);
    assert_eq!(next.duties("web"), "1:take 2:take");
    assert_eq!(
        next.status(&key("web", 1)).state,
        crate::health::State::Checking
    );
}

#[test]
fn a_newcomer_is_one_to_the_new_process_too() {
    let mut rig = Rig::with([pool("web", &[1])]);
    rig.run(secs(1));
    let mut more = pool("web", &[1]);
    more.backends.push(backend(2));
    let next = successor(&rig, vec![more]);
    assert_eq!(next.duties("web"), "1:take 2:avoid");
    assert!(next.engine.next_deadline().unwrap() <= next.now + secs(2));
}
