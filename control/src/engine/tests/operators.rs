//! Operators' words win, and last.

use super::rig::{Rig, key, pool, secs, spec, unchecked};
use crate::{
    engine::{Operation, Refusal},
    health::State,
    plan::Duty,
    spec::Share,
};
use std::sync::Arc;

#[test]
fn drain_disable_enable() {
    let mut rig = Rig::with([pool("web", &[1, 2])]);
    rig.run(secs(1));
    rig.operate(Operation::Drain(key("web", 1), Some(secs(5))))
        .unwrap();
    let until = Some(rig.now + secs(5));
    assert_eq!(rig.pool("web").members[0].duty, Duty::Finish { until });
    rig.run(secs(100));
    assert_eq!(rig.status(&key("web", 1)).state, State::Draining);
    rig.operate(Operation::Disable(key("web", 1))).unwrap();
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    let probed = rig.status(&key("web", 1)).checks[0].passed;
    rig.run(secs(100));
    assert_eq!(rig.status(&key("web", 1)).checks[0].passed, probed);
    rig.operate(Operation::Enable(key("web", 1))).unwrap();
    // Nobody looked for a while: it waits for a pass, which comes at once.
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    rig.run(secs(0));
    assert_eq!(rig.duties("web"), "1:take 2:take");
}

#[test]
fn a_drain_without_a_bound_takes_the_pools() {
    let mut rig = Rig::with([unchecked("web", &[1])]);
    rig.operate(Operation::Drain(key("web", 1), None)).unwrap();
    let until = Some(rig.now + secs(30));
    assert_eq!(rig.pool("web").members[0].duty, Duty::Finish { until });
    assert!(!rig.status(&key("web", 1)).drained);
    rig.event(crate::engine::Event::Drained(key("web", 1)));
    assert!(rig.status(&key("web", 1)).drained);
    assert_eq!(rig.duties("web"), "1:finish");
    rig.operate(Operation::Enable(key("web", 1))).unwrap();
    assert!(!rig.status(&key("web", 1)).drained);
}

#[test]
fn they_survive_a_reload() {
    let mut rig = Rig::with([unchecked("web", &[1, 2, 3])]);
    rig.operate(Operation::Disable(key("web", 1))).unwrap();
    rig.operate(Operation::Weight(key("web", 2), Some(77)))
        .unwrap();
    let mut changed = unchecked("web", &[1, 2, 4]);
    changed.backends[1].weight = 5;
    rig.apply(spec([changed.clone()]));
    assert_eq!(rig.duties("web"), "1:avoid 2:take 4:take 3:finish");
    assert_eq!(rig.pool("web").members[1].weight, 77);
    rig.operate(Operation::Weight(key("web", 2), None)).unwrap();
    assert_eq!(rig.pool("web").members[1].weight, 5);
}

#[test]
fn enable_holds_against_the_configuration_for_as_long_as_that_says_disabled() {
    let mut off = unchecked("web", &[1]);
    off.backends[0].disabled = true;
    let mut rig = Rig::with([off.clone()]);
    assert_eq!(rig.duties("web"), "1:avoid");
    rig.operate(Operation::Enable(key("web", 1))).unwrap();
    assert_eq!(rig.duties("web"), "1:take");
    off.panic_below = Share::percent(1);
    rig.apply(spec([off.clone()]));
    assert_eq!(rig.duties("web"), "1:take");
    rig.apply(spec([unchecked("web", &[1])]));
    rig.apply(spec([off]));
    assert_eq!(rig.duties("web"), "1:avoid");
}

#[test]
fn what_is_not_there_is_refused_and_changes_nothing() {
    let mut rig = Rig::with([unchecked("web", &[1, 2])]);
    rig.apply(spec([unchecked("web", &[1])]));
    let before = Arc::clone(rig.engine.plan());
    let refused = rig.operate(Operation::Disable(key("api", 1)));
    assert_eq!(refused, Err(Refusal::NoSuchPool));
    for gone in [2, 9] {
        let refused = rig.operate(Operation::Weight(key("web", gone), Some(1)));
        assert_eq!(refused, Err(Refusal::NoSuchBackend));
    }
    assert!(Arc::ptr_eq(&before, rig.engine.plan()));
}

#[test]
fn enable_ends_an_ejection() {
    let mut rig = Rig::with([unchecked("web", &[1, 2])]);
    rig.sample(key("web", 1), 0, 5);
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    rig.operate(Operation::Enable(key("web", 1))).unwrap();
    assert_eq!(rig.duties("web"), "1:take 2:take");
}
