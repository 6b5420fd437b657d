//! What agents say.

use super::rig::{Rig, agent, key, secs, spec, unchecked};
use crate::{engine::Operation, health::State, plan::Duty, spec::PoolSpec};

fn with_agent(hosts: &[u8]) -> PoolSpec {
    PoolSpec {
        agent: Some(agent()),
        ..unchecked("web", hosts)
    }
}

fn say(rig: &mut Rig, host: u8, line: &str) {
    rig.agents.insert(key("web", host), line.into());
    rig.run(secs(2));
}

#[test]
fn weight_and_connections() {
    let mut rig = Rig::with([with_agent(&[1])]);
    say(&mut rig, 1, "25% maxconn:7");
    let member = rig.pool("web").members[0].clone();
    // A quarter of ten, rounded up.
    assert_eq!((member.weight, member.max_connections), (3, Some(7)));
    rig.operate(Operation::Weight(key("web", 1), Some(8)))
        .unwrap();
    assert_eq!(rig.pool("web").members[0].weight, 8);
    say(&mut rig, 1, "0% maxconn:0");
    rig.operate(Operation::Weight(key("web", 1), None)).unwrap();
    let member = rig.pool("web").members[0].clone();
    assert_eq!((member.weight, member.max_connections), (0, None));
}

#[test]
fn states() {
    let mut rig = Rig::with([with_agent(&[1, 2])]);
    say(&mut rig, 1, "drain");
    assert!(matches!(
        rig.pool("web").members[0].duty,
        Duty::Finish { until: Some(_) }
    ));
    say(&mut rig, 1, "maint");
    assert_eq!(rig.status(&key("web", 1)).state, State::Disabled);
    say(&mut rig, 1, "ready, down # disk full\n");
    assert_eq!(rig.status(&key("web", 1)).state, State::Down);
    assert_eq!(
        rig.status(&key("web", 1)).why,
        "its agent says down: disk full"
    );
    say(&mut rig, 1, "up");
    assert_eq!(rig.duties("web"), "1:take 2:take");
}

#[test]
fn one_that_is_unreachable_or_talks_nonsense_changes_nothing() {
    let mut rig = Rig::with([with_agent(&[1])]);
    say(&mut rig, 1, "drain");
    say(&mut rig, 1, "ready and willing");
    assert_eq!(rig.duties("web"), "1:finish");
    let ignored = rig.status(&key("web", 1)).agent.unwrap().ignored.unwrap();
    assert_eq!(ignored, "not a word of the agent protocol: and");
    rig.agents.clear();
    rig.run(secs(10));
    assert_eq!(rig.duties("web"), "1:finish");
    let ignored = rig.status(&key("web", 1)).agent.unwrap().ignored.unwrap();
    assert_eq!(ignored, "connection refused");
}

#[test]
fn operators_win_until_there_is_nothing_to_win_against() {
    let mut rig = Rig::with([with_agent(&[1])]);
    say(&mut rig, 1, "drain");
    rig.operate(Operation::Enable(key("web", 1))).unwrap();
    rig.run(secs(10));
    assert_eq!(rig.duties("web"), "1:take");
    say(&mut rig, 1, "ready");
    say(&mut rig, 1, "drain");
    assert_eq!(rig.duties("web"), "1:finish");
    rig.operate(Operation::Disable(key("web", 1))).unwrap();
    say(&mut rig, 1, "ready up");
    assert_eq!(rig.duties("web"), "1:avoid");
}

#[test]
fn without_the_agent_its_word_is_forgotten() {
    let mut rig = Rig::with([with_agent(&[1])]);
    say(&mut rig, 1, "maint 50%");
    rig.apply(spec([unchecked("web", &[1])]));
    assert_eq!(rig.duties("web"), "1:take");
    assert_eq!(rig.pool("web").members[0].weight, 10);
}
