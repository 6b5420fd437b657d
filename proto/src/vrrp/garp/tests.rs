//! What a burst does over time, and frames as they were captured from keepalived.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::IpAddr, time::Duration};

use super::{ArpForm, Burst, BurstError, BurstPlan, BurstSettings, MacAddr, NaFlags, announce};
use crate::{
    time::Instant,
    vrrp::terms::{Family, Vrid},
};

const MS: Duration = Duration::from_millis(1);

fn at(ms: u64) -> Instant {
    Instant::at(Duration::from_millis(ms))
}

fn addresses(count: u8) -> Vec<IpAddr> {
    (1..=count).map(|n| IpAddr::from([192, 0, 2, n])).collect()
}

fn burst(settings: BurstSettings) -> Burst {
    Burst::new(BurstPlan::new(settings).unwrap())
}

/// Drives the burst by its own deadlines until `end`; when it announced, and the last byte of what.
fn drive(burst: &mut Burst, end: u64) -> Vec<(u64, u8)> {
    let mut sent = Vec::new();
    while let Some(due) = burst.next_deadline().filter(|due| *due <= at(end)) {
        while let Some(IpAddr::V4(address)) = burst.poll_announce(due) {
            sent.push((due.nanos() / 1_000_000, address.octets()[3]));
            assert!(sent.len() < 10_000, "a burst ends");
        }
    }
    sent
}

#[test]
fn a_burst_and_a_second_one() {
    let mut burst = burst(BurstSettings {
        count: 2,
        delay: 100 * MS,
        ..BurstSettings::default()
    });
    assert_eq!(burst.next_deadline(), None);
    burst.start(addresses(2), at(1000));
    let first = [(1000, 1), (1000, 2), (1000, 1), (1000, 2)];
    let second = first.map(|(ms, n)| (ms + 100, n));
    assert_eq!(drive(&mut burst, 100_000), [first, second].concat());
    assert_eq!(burst.next_deadline(), None);
}

#[test]
fn rounds_keep_their_interval_and_frames_their_gap() {
    let mut burst = burst(BurstSettings {
        count: 2,
        interval: 50 * MS,
        delay: Duration::ZERO,
        gap: 10 * MS,
        ..BurstSettings::default()
    });
    burst.start(addresses(3), at(0));
    let sent = drive(&mut burst, 1000);
    assert_eq!(sent, [(0, 1), (10, 2), (20, 3), (50, 1), (60, 2), (70, 3)]);
}

#[test]
fn refreshes_go_on_until_it_stops() {
    let mut burst = burst(BurstSettings {
        count: 1,
        delay: Duration::ZERO,
        refresh: 100 * MS,
        refresh_count: 2,
        ..BurstSettings::default()
    });
    burst.start(addresses(1), at(0));
    let sent = drive(&mut burst, 250);
    assert_eq!(sent, [(0, 1), (100, 1), (100, 1), (200, 1), (200, 1)]);
    burst.stop();
    assert_eq!(burst.next_deadline(), None);
    assert_eq!(burst.poll_announce(at(300)), None);
}

#[test]
fn nobody_can_make_it_announce_without_end() {
    let mut burst = burst(BurstSettings {
        count: 3,
        interval: 10 * MS,
        delay: Duration::ZERO,
        ..BurstSettings::default()
    });
    burst.start(addresses(1), at(0));
    let mut sent = 0;
    for ms in 0..300 {
        burst.again(at(ms));
        while burst.poll_announce(at(ms)).is_some() {
            sent += 1;
        }
    }
    // One per interval, never more.
    assert!((30..=60).contains(&sent), "{sent}");
}

#[test]
fn a_plan_is_one_that_can_be_carried_out() {
    let with = |count, refresh_count, gap| {
        BurstPlan::new(BurstSettings {
            count,
            refresh_count,
            gap,
            ..BurstSettings::default()
        })
    };
    assert_eq!(with(0, 1, MS), Err(BurstError::Count(0)));
    assert_eq!(with(1, 1001, MS), Err(BurstError::Count(1001)));
    let days = Duration::from_secs(100_000);
    assert_eq!(with(1, 1, days), Err(BurstError::Time(days)));
    assert!(with(1000, 1, MS).is_ok());
}

#[test]
fn a_reply_says_so() {
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let request = announce(addresses(1)[0], mac, ArpForm::Request, NaFlags::default());
    let reply = announce(addresses(1)[0], mac, ArpForm::Reply, NaFlags::default());
    assert_eq!((request[21], reply[21]), (1, 2));
    let router = NaFlags { router: true };
    let na = announce(IpAddr::from([0xfd; 16]), mac, ArpForm::Request, router);
    assert_eq!(na[58], 0xa0);
}

#[test]
fn a_virtual_router_has_its_mac() {
    let id = Vrid::new(51).unwrap();
    let mac = |family| MacAddr::of_virtual_router(family, id).to_string();
    assert_eq!(mac(Family::V4), "00:00:5e:00:01:33");
    assert_eq!(mac(Family::V6), "00:00:5e:00:02:33");
    let group = MacAddr::of_group(Family::V4.group());
    assert_eq!(group.to_string(), "01:00:5e:00:00:12");
    let group = MacAddr::of_group(Family::V6.group());
    assert_eq!(group.to_string(), "33:33:00:00:00:12");
}
