//! What operators, tracking, links and configurations do to it.

use std::sync::Arc;

use super::*;
use crate::vrrp::machine::Decline;

fn fault(rig: &mut Rig, name: &str, sentence: Option<&str>) -> Vec<Output> {
    rig.tell(Input::Fault(Arc::from(name), sentence.map(Arc::from)))
}

#[test]
fn a_master_whose_link_goes_down_gives_up_at_once() {
    let mut rig = Rig::master(|_| ());
    let outputs = rig.tell(Input::LinkDown);
    assert_eq!(said(&outputs), [0]);
    assert_eq!(outputs[1], Output::GiveUp(vips(&[100])));
    assert_eq!(why(&outputs), Some(&Why::LinkDown));
    assert_eq!(rig.state(), State::Fault);
    assert_eq!(rig.router.next_deadline(), None);
    let outputs = rig.tell(Input::LinkUp(node(2)));
    assert_eq!(why(&outputs), Some(&Why::Repaired));
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn every_fault_must_be_gone() {
    let mut rig = Rig::master(|_| ());
    let outputs = fault(&mut rig, "script", Some("exit code 1"));
    let because = why(&outputs).unwrap().to_string();
    assert_eq!(because, "script: exit code 1");
    fault(&mut rig, "pool web", Some("no backend is up"));
    assert_eq!(rig.tell(Input::LinkDown), []);
    assert_eq!(fault(&mut rig, "script", None), []);
    assert_eq!(rig.tell(Input::LinkUp(node(2))), []);
    assert_eq!(rig.router.faults().collect::<Vec<_>>().len(), 1);
    fault(&mut rig, "pool web", None);
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn an_orderly_stop_lets_others_take_over_at_once() {
    let mut rig = Rig::master(|_| ());
    let outputs = rig.tell(Input::Stop);
    assert_eq!(said(&outputs), [0]);
    assert_eq!(why(&outputs), Some(&Why::Stopped));
    assert_eq!(rig.state(), State::Initialize);
    assert_eq!(rig.tell(Input::Stop), []);
    assert_eq!(rig.wait(10_000 * MS), []);
    rig.tell(Input::Start);
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn who_handed_over_does_not_take_back() {
    let mut rig = Rig::master(|s| s.priority = Priority(150));
    let outputs = rig.tell(Input::Release);
    assert_eq!(said(&outputs), [0]);
    assert_eq!(
        (rig.state(), rig.router.is_released()),
        (State::Backup, true)
    );
    for _ in 0..20 {
        assert_eq!(rig.hear(1, 100), []);
        assert_eq!(rig.wait(1000 * MS), []);
    }
    assert_eq!(
        rig.tell(Input::Release),
        [Output::Declined(Decline::NotMaster)]
    );
    rig.tell(Input::Resume);
    for _ in 0..4 {
        rig.hear(1, 100);
        rig.wait(1000 * MS);
    }
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn who_handed_over_to_nobody_is_master_again() {
    for priority in [150, 255] {
        let mut rig = Rig::master(|s| s.priority = Priority(priority));
        rig.tell(Input::Release);
        assert_eq!(said(&rig.wait(3500 * MS)), [priority]);
        assert!(!rig.router.is_released());
    }
}

#[test]
fn who_is_asked_takes_over_and_stays() {
    let mut rig = Rig::new(|_| ());
    rig.hear(1, 150);
    let outputs = rig.tell(Input::Promote);
    assert_eq!(said(&outputs), [254]);
    assert_eq!(why(&outputs), Some(&Why::Promoted));
    rig.wait(600 * MS);
    rig.hear(1, 150);
    assert_eq!(rig.state(), State::Master);
    // Its own priority again: the others may take over.
    rig.wait(600 * MS);
    assert_eq!(said(&rig.tell(Input::Resume)), [100]);
    rig.hear(1, 150);
    assert_eq!(rig.state(), State::Backup);
}

#[test]
fn a_promotion_ends_with_the_mastery() {
    let mut rig = Rig::new(|_| ());
    rig.hear(1, 150);
    rig.tell(Input::Promote);
    rig.hear(1, 255);
    assert_eq!(
        (rig.state(), rig.router.is_promoted()),
        (State::Backup, false)
    );
    rig.wait(5000 * MS);
    rig.tell(Input::Promote);
    assert_eq!(rig.router.priority(), Priority::HIGHEST);
    rig.tell(Input::LinkDown);
    assert_eq!(rig.router.priority(), Priority(100));
}

#[test]
fn a_promotion_that_could_not_last_is_declined() {
    let mut rig = Rig::new(|_| ());
    rig.hear(1, 255);
    let (peer, priority) = (node(1), Priority::OWNER);
    let stays = Decline::MasterWouldNotYield { peer, priority };
    assert_eq!(rig.tell(Input::Promote), [Output::Declined(stays)]);
    assert_eq!(rig.router.priority(), Priority(100));
    let mut idle = Rig::idle(|_| ());
    let declined = Output::Declined(Decline::NotTakingPart(State::Initialize));
    assert_eq!(idle.tell(Input::Promote), std::slice::from_ref(&declined));
    assert_eq!(idle.tell(Input::Release), [declined]);
}

#[test]
fn a_master_says_at_once_that_it_is_worth_less() {
    let mut rig = Rig::master(|_| ());
    rig.now += 400 * MS;
    assert_eq!(said(&rig.tell(Input::Priority(Priority(80)))), [80]);
    assert_eq!(rig.tell(Input::Priority(Priority(80))), []);
    // 0 would say that it leaves.
    rig.now += 400 * MS;
    assert_eq!(said(&rig.tell(Input::Priority(Priority(0)))), [1]);
}

#[test]
fn other_addresses_are_taken_and_given_up() {
    let mut rig = Rig::master(|s| s.addresses = vips(&[100, 101]));
    rig.now += 600 * MS;
    let new = config(|s| s.addresses = vips(&[101, 102]));
    let outputs = rig.tell(Input::Configure(Box::new(new)));
    assert_eq!(outputs[0], Output::GiveUp(vips(&[100])));
    assert_eq!(outputs[1], Output::Take(vips(&[101, 102])));
    assert_eq!(said(&outputs), [100]);
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn other_settings_leave_a_master_what_it_is() {
    let mut rig = Rig::master(|_| ());
    rig.now += 600 * MS;
    let new = config(|s| {
        s.priority = Priority(120);
        never(s);
    });
    let outputs = rig.tell(Input::Configure(Box::new(new)));
    assert_eq!((outputs.len(), said(&outputs)), (1, vec![120]));
}

#[test]
fn another_id_is_another_virtual_router() {
    let mut rig = Rig::master(|_| ());
    let new = config(|s| s.vrid = Vrid::new(52).unwrap());
    let outputs = rig.tell(Input::Configure(Box::new(new)));
    let Output::Advertise(farewell) = &outputs[0] else {
        panic!("{outputs:?}");
    };
    assert_eq!((farewell.vrid.number(), farewell.priority.0), (51, 0));
    assert_eq!(outputs[1], Output::GiveUp(vips(&[100])));
    assert_eq!(rig.state(), State::Backup);
    assert_eq!(said(&rig.wait(4000 * MS)), [100]);
}

#[test]
fn another_family_needs_another_address() {
    let mut rig = Rig::master(|_| ());
    let local = "fe80::1".parse::<IpAddr>().unwrap();
    let addresses = Addresses::new([local]).unwrap();
    let new = Config::new(Settings::new(Vrid::new(51).unwrap(), addresses)).unwrap();
    rig.tell(Input::Configure(Box::new(new)));
    assert_eq!(rig.state(), State::Fault);
    rig.tell(Input::LinkUp(node(2)));
    assert_eq!(rig.state(), State::Fault);
    rig.tell(Input::LinkUp("fe80::2".parse().unwrap()));
    assert_eq!(rig.state(), State::Backup);
}
