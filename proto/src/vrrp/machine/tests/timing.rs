//! Master-down interval and skew, exact for both versions.

use super::*;
use crate::vrrp::machine::timing::{down_interval, skew};

const NS: Duration = Duration::from_nanos(1);

fn v3(every: Duration) -> Interval {
    interval(Version::V3, every)
}

#[test]
fn version_2_skews_by_parts_of_a_second_whatever_the_interval() {
    // RFC 3768, 6.1: (256 - priority) / 256 seconds.
    let skew = |priority, seconds| {
        let every = interval(Version::V2, 1000 * MS * seconds);
        skew(Version::V2, Priority(priority), every)
    };
    assert_eq!(skew(100, 1), Duration::from_nanos(609_375_000));
    assert_eq!(skew(100, 10), Duration::from_nanos(609_375_000));
    assert_eq!(skew(254, 1), Duration::from_nanos(7_812_500));
    assert_eq!(skew(1, 255), Duration::from_nanos(996_093_750));
    let ten = interval(Version::V2, 10_000 * MS);
    let down = down_interval(Version::V2, Priority(150), ten);
    assert_eq!(down, 30_000 * MS + Duration::from_nanos(414_062_500));
}

#[test]
fn version_3_skews_by_parts_of_the_interval() {
    // RFC 9568, 6.1: (256 - priority) * interval / 256, without rounding to centiseconds.
    let skew = |priority, every| skew(Version::V3, Priority(priority), v3(every));
    assert_eq!(skew(100, 1000 * MS), Duration::from_nanos(609_375_000));
    assert_eq!(skew(100, 100 * MS), Duration::from_nanos(60_937_500));
    assert_eq!(skew(100, 10 * MS), Duration::from_nanos(6_093_750));
    assert_eq!(skew(254, 10 * MS), Duration::from_nanos(78_125));
    let down = |every| down_interval(Version::V3, Priority(100), v3(every));
    assert_eq!(down(10 * MS), Duration::from_nanos(36_093_750));
    assert_eq!(down(40_950 * MS), Duration::from_nanos(147_803_906_250));
}

#[test]
fn a_backup_takes_over_at_the_end_of_the_master_down_interval_and_not_before() {
    for (version, every, down) in [
        (Version::V2, 1000 * MS, 3_609_375_000),
        (Version::V2, 10_000 * MS, 30_609_375_000),
        (Version::V3, 1000 * MS, 3_609_375_000),
        (Version::V3, 10_000 * MS, 36_093_750_000),
        (Version::V3, 10 * MS, 36_093_750),
    ] {
        let mut rig = Rig::new(|s| (s.version, s.interval) = (version, interval(version, every)));
        rig.now += 5 * MS;
        assert_eq!(rig.hear(1, 150), []);
        let silence = Duration::from_nanos(down);
        let due = rig.now + silence;
        assert_eq!(rig.router.next_deadline(), Some(due));
        rig.now = due - NS;
        assert_eq!(rig.tell(Input::Tick), []);
        rig.now = due;
        let outputs = rig.tell(Input::Tick);
        assert_eq!(why(&outputs), Some(&Why::MasterDown { silence }));
        assert_eq!(rig.state(), State::Master);
    }
}

#[test]
fn a_backup_takes_over_a_skew_after_the_master_left() {
    for (version, every, skew) in [
        (Version::V2, 10_000 * MS, 609_375_000),
        (Version::V3, 10_000 * MS, 6_093_750_000),
        (Version::V3, 10 * MS, 6_093_750),
    ] {
        let mut rig = Rig::new(|s| (s.version, s.interval) = (version, interval(version, every)));
        rig.hear(1, 150);
        rig.now += 10 * MS;
        assert_eq!(rig.hear(1, 0), []);
        let due = at(10 * MS) + Duration::from_nanos(skew);
        assert_eq!(rig.until_due(), due);
        assert_eq!(why(&rig.tell(Input::Tick)), Some(&Why::MasterLeft));
    }
}

#[test]
fn version_3_learns_the_masters_interval() {
    let mut rig = Rig::new(|s| s.interval = v3(100 * MS));
    let slow = Advert {
        interval: v3(2000 * MS),
        ..rig.advert(150)
    };
    let outputs = rig.hear_advert(1, slow.clone());
    assert!(matches!(outputs[..], [Output::Noted(_)]), "{outputs:?}");
    assert_eq!(rig.hear_advert(1, slow), [], "once");
    let down = Duration::from_nanos(6_000_000_000 + 1_218_750_000);
    assert_eq!(rig.until_due(), at(down));
    assert_eq!(rig.router.master_down_interval(), down);
    // Its own as soon as it is master.
    rig.tell(Input::Tick);
    assert_eq!(rig.router.next_deadline(), Some(at(down) + 100 * MS));
}

#[test]
fn version_2_refuses_another_interval() {
    let mut rig = Rig::new(|s| s.version = Version::V2);
    let other = Advert {
        interval: interval(Version::V2, 2000 * MS),
        ..rig.advert(150)
    };
    let outputs = rig.hear_advert(1, other);
    let [Output::Refused(refusal)] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(refusal.to_string(), "interval 2s, ours is 1s");
    assert_eq!(rig.router.current_master(), None);
}

#[test]
fn a_master_keeps_its_beat_when_it_is_woken_late() {
    let mut rig = Rig::master(|s| s.interval = v3(10 * MS));
    let start = rig.now;
    let mut sent = Vec::new();
    for _ in 0..5 {
        let due = rig.until_due();
        rig.now = due + 3 * MS;
        assert_eq!(said(&rig.tell(Input::Tick)), [100]);
        sent.push(due.saturating_since(start));
    }
    assert_eq!(sent, [10 * MS, 20 * MS, 30 * MS, 40 * MS, 50 * MS]);
    // What was missed is not made up for.
    rig.now += 1000 * MS;
    assert_eq!(said(&rig.tell(Input::Tick)), [100]);
    assert_eq!(rig.router.next_deadline(), Some(rig.now + 10 * MS));
}

#[test]
fn priority_that_changes_moves_a_deadline_that_runs() {
    let mut rig = Rig::new(|_| ());
    rig.hear(1, 150);
    rig.now += 1000 * MS;
    rig.tell(Input::Priority(Priority(50)));
    let down = Duration::from_nanos(3_000_000_000 + 804_687_500);
    assert_eq!(rig.router.next_deadline(), Some(at(down)));
}
