//! The rules: who becomes master, who yields, and what each of them says.

use super::*;
use crate::vrrp::{
    machine::{AddressCheck, Transition},
    refusal::{Cause, Refusal},
};

#[test]
fn a_master_says_so_first_and_takes_the_addresses_then() {
    let mut rig = Rig::new(|_| ());
    rig.until_due();
    let outputs = rig.tell(Input::Tick);
    let moved = Transition {
        from: State::Backup,
        to: State::Master,
        why: Why::MasterDown {
            silence: rig.now.saturating_since(Instant::ZERO),
        },
    };
    let expected = [
        Output::Advertise(rig.advert(100)),
        Output::Take(vips(&[100])),
        Output::Moved(moved),
    ];
    assert_eq!(outputs, expected);
}

#[test]
fn the_owner_is_master_from_the_start() {
    let mut rig = Rig::idle(|s| s.priority = Priority::OWNER);
    rig.tell(Input::LinkUp(node(2)));
    let outputs = rig.tell(Input::Start);
    assert_eq!(said(&outputs), [255]);
    assert_eq!(why(&outputs), Some(&Why::Owner));
    // Nobody else's advert counts, and it is seen.
    let outputs = rig.hear(1, 255);
    assert_eq!(outputs[0], Output::Refused(Refusal::Owned));
    assert!(matches!(outputs[1], Output::SplitBrain { .. }));
    assert_eq!(rig.state(), State::Master);
    assert_eq!(rig.router.counters().refused.of(Cause::Owned), 1);
}

#[test]
fn a_start_delay_is_waited_for_whatever_the_link_does() {
    let mut rig = Rig::new(|s| {
        s.start_delay = 5000 * MS;
        s.priority = Priority::OWNER;
    });
    assert_eq!(rig.state(), State::Initialize);
    assert_eq!(rig.wait(4999 * MS), []);
    rig.tell(Input::LinkDown);
    assert_eq!(rig.state(), State::Initialize);
    rig.tell(Input::LinkUp(node(2)));
    assert_eq!(said(&rig.wait(MS)), [255]);
    let mut down = Rig::idle(|s| s.start_delay = 5000 * MS);
    down.tell(Input::Start);
    assert_eq!(why(&down.wait(5000 * MS)), Some(&Why::LinkDown));
    assert_eq!(down.state(), State::Fault);
}

#[test]
fn a_backup_preempts_a_master_of_less_priority() {
    let mut rig = Rig::new(|s| s.priority = Priority(150));
    let mut outputs = Vec::new();
    for _ in 0..4 {
        outputs.extend(rig.hear(1, 100));
        outputs.extend(rig.wait(1000 * MS));
    }
    assert_eq!(said(&outputs)[0], 150);
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn without_preemption_a_master_of_less_priority_stays() {
    let mut rig = Rig::new(|s| {
        never(s);
        s.priority = Priority(150);
    });
    for _ in 0..20 {
        assert_eq!(rig.hear(1, 100), []);
        assert_eq!(rig.wait(1000 * MS), []);
    }
    // Until it is gone.
    assert_eq!(said(&rig.wait(3000 * MS)), [150]);
}

#[test]
fn the_owner_preempts_although_it_shall_not() {
    let mut rig = Rig::new(|s| {
        never(s);
        s.priority = Priority(150);
    });
    rig.hear(1, 100);
    let outputs = rig.tell(Input::Priority(Priority::OWNER));
    assert_eq!(why(&outputs), Some(&Why::Owner));
}

#[test]
fn preemption_waits_for_its_delay_and_comes_then() {
    let mut rig = Rig::new(|s| {
        s.preempt = Preempt::After(10_000 * MS);
        s.priority = Priority(150);
    });
    rig.now += 200 * MS;
    let mut outputs = Vec::new();
    for _ in 0..9 {
        outputs.extend(rig.hear(1, 100));
        outputs.extend(rig.wait(1000 * MS));
    }
    assert_eq!(outputs, []);
    rig.hear(1, 100);
    assert_eq!(rig.until_due(), at(10_200 * MS));
    assert_eq!(why(&rig.tell(Input::Tick)), Some(&Why::PreemptDelayOver));
}

#[test]
fn a_better_master_in_between_starts_the_delay_again() {
    let mut rig = Rig::new(|s| {
        s.preempt = Preempt::After(2000 * MS);
        s.priority = Priority(150);
    });
    rig.hear(1, 100);
    rig.now += 1500 * MS;
    rig.hear(3, 200);
    rig.now += 1500 * MS;
    rig.hear(1, 100);
    assert_eq!(rig.until_due(), at(5000 * MS));
}

#[test]
fn a_master_yields_to_more_priority_and_to_the_greater_address() {
    let mut rig = Rig::master(|_| ());
    let outputs = rig.hear(1, 101);
    assert_eq!(said(&outputs), [] as [u8; 0]);
    assert_eq!(outputs[0], Output::GiveUp(vips(&[100])));
    let (peer, theirs, ours) = (node(1), Priority(101), Priority(100));
    let higher = Why::HigherPriority { peer, theirs, ours };
    assert_eq!(why(&outputs), Some(&higher));
    assert_eq!(rig.router.current_master().map(|m| m.from), Some(node(1)));
    let mut rig = Rig::master(|_| ());
    let tie = rig.hear(3, 100);
    assert_eq!(why(&tie), Some(&Why::HigherAddress { peer: node(3) }));
    // The smaller one does not win, nor one who has ours.
    for other in [1, 2] {
        let mut rig = Rig::master(|_| ());
        rig.hear(other, 100);
        assert_eq!(rig.state(), State::Master);
    }
}

#[test]
fn a_master_asserts_itself_and_tells_of_the_split() {
    let mut rig = Rig::master(|_| ());
    rig.now += 600 * MS;
    let outputs = rig.hear(1, 50);
    let split = Output::SplitBrain {
        peer: node(1),
        priority: Priority(50),
    };
    let advert = Output::Advertise(rig.advert(100));
    assert_eq!(outputs, [split, Output::Announce, advert]);
    assert_eq!(rig.router.rival(), Some(node(1)));
    // A flood is answered four times an interval at most, and told of once.
    let mut sent = 0;
    for _ in 0..1000 {
        rig.now += MS;
        let outputs = rig.hear(1, 50);
        sent += said(&outputs).len();
        assert!(outputs.len() <= 1, "{outputs:?}");
        sent += said(&rig.wait(Duration::ZERO)).len();
    }
    assert!((3..=5).contains(&sent), "{sent}");
    let outputs = rig.wait(4000 * MS);
    let over = Output::SplitBrainOver { lasted: 1000 * MS };
    assert!(outputs.contains(&over), "{outputs:?}");
    assert!(outputs.contains(&Output::Announce));
    assert_eq!(rig.router.counters().split_brains, 1);
}

#[test]
fn a_master_that_hears_another_leave_says_that_it_is_there() {
    let mut rig = Rig::master(|_| ());
    rig.now += 500 * MS;
    assert_eq!(said(&rig.hear(1, 0)), [100]);
    assert_eq!(rig.router.next_deadline(), Some(rig.now + 1000 * MS));
    assert_eq!(rig.router.counters().split_brains, 0);
}

#[test]
fn other_addresses_are_refused_or_noted() {
    for (check, version) in [
        (AddressCheck::Refuse, Version::V3),
        (AddressCheck::Refuse, Version::V2),
        (AddressCheck::Note, Version::V3),
    ] {
        let mut rig = Rig::new(|s| (s.version, s.address_check) = (version, check));
        let other = |rig: &Rig, priority| Advert {
            addresses: vips(&[100, 101]),
            ..rig.advert(priority)
        };
        let outputs = rig.hear_advert(1, other(&rig, 150));
        let (found, ours) = (2, 1);
        let wrong = Refusal::WrongAddresses { found, ours };
        let obeyed = rig.router.current_master().is_some();
        assert_eq!(obeyed, check == AddressCheck::Note);
        let expected = if obeyed {
            Output::Noted(wrong.clone())
        } else {
            Output::Refused(wrong.clone())
        };
        assert_eq!(outputs, [expected]);
        // RFC 3768, 7.1: the owner's is obeyed.
        rig.hear_advert(1, other(&rig, 255));
        assert!(rig.router.current_master().is_some());
    }
}

#[test]
fn a_master_tells_of_another_that_it_must_not_obey() {
    let mut rig = Rig::master(|_| ());
    let other = Advert {
        addresses: vips(&[101]),
        ..rig.advert(200)
    };
    let outputs = rig.hear_advert(1, other);
    assert!(matches!(
        outputs[..],
        [
            Output::Refused(_),
            Output::SplitBrain { .. },
            Output::Announce
        ]
    ));
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn who_takes_no_part_hears_nothing() {
    let mut rig = Rig::idle(|_| ());
    assert_eq!(rig.hear(1, 255), []);
    assert_eq!(rig.wait(100_000 * MS), []);
    rig.tell(Input::Start);
    assert_eq!(rig.hear(1, 255), []);
    assert_eq!(rig.router.counters().received, 0);
}

#[test]
fn what_arrived_counts_before_the_time_that_passed() {
    let mut rig = Rig::new(|_| ());
    rig.hear(1, 150);
    // It could not run for a while, and an advert lies in the socket.
    rig.now += 10_000 * MS;
    assert_eq!(rig.hear(1, 150), []);
    assert_eq!(rig.tell(Input::Tick), []);
    assert_eq!(rig.state(), State::Backup);
}
