//! What traffic tells.

use super::rig::{Rig, key, pool, secs, unchecked};
use crate::{health::State, spec::Share};

#[test]
fn failures_in_a_row_eject_for_a_while() {
    let mut rig = Rig::with([unchecked("web", &[1, 2, 3])]);
    rig.sample(key("web", 1), 0, 4);
    assert_eq!(rig.duties("web"), "1:take 2:take 3:take");
    rig.sample(key("web", 1), 0, 1);
    assert_eq!(rig.duties("web"), "1:avoid 2:take 3:take");
    let status = rig.status(&key("web", 1));
    assert_eq!(status.state, State::Down);
    assert_eq!(status.why, "ejected: 5 requests in a row failed");
    assert_eq!(status.traffic.ejected.unwrap().left.0, secs(10));
    rig.run(secs(10));
    assert_eq!(rig.duties("web"), "1:take 2:take 3:take");
}

#[test]
fn no_more_than_the_pool_can_spare() {
    let mut rig = Rig::with([unchecked("web", &[1, 2, 3, 4, 5])]);
    for host in 1..=5 {
        rig.sample(key("web", host), 0, 50);
    }
    assert_eq!(rig.duties("web"), "1:avoid 2:avoid 3:take 4:take 5:take");

    let mut rig = Rig::with([unchecked("two", &[1, 2]), unchecked("one", &[1])]);
    rig.sample(key("two", 1), 0, 50);
    rig.sample(key("two", 2), 0, 50);
    rig.sample(key("one", 1), 0, 50);
    assert_eq!(rig.duties("two"), "1:avoid 2:take");
    assert_eq!(rig.duties("one"), "1:take");

    let mut none = unchecked("web", &[1, 2, 3]);
    none.passive.max_ejected = Share::NONE;
    let mut rig = Rig::with([none]);
    rig.sample(key("web", 1), 0, 50);
    assert_eq!(rig.duties("web"), "1:take 2:take 3:take");
}

#[test]
fn the_last_one_that_is_up_stays() {
    let mut rig = Rig::with([pool("web", &[1, 2, 3])]);
    rig.break_down(&key("web", 1));
    rig.break_down(&key("web", 2));
    rig.run(secs(1));
    rig.sample(key("web", 3), 0, 50);
    assert_eq!(rig.duties("web"), "1:avoid 2:avoid 3:take");
}

#[test]
fn after_an_ejection_its_checks_must_pass_too() {
    let mut rig = Rig::with([pool("web", &[1, 2])]);
    rig.run(secs(1));
    rig.sample(key("web", 1), 0, 5);
    rig.break_down(&key("web", 1));
    rig.run(secs(20));
    assert_eq!(rig.duties("web"), "1:avoid 2:take");
    assert!(
        rig.status(&key("web", 1))
            .why
            .starts_with("tcp check failed")
    );
    rig.ill.clear();
    rig.run(secs(20));
    assert_eq!(rig.duties("web"), "1:take 2:take");
}
