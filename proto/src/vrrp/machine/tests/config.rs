//! Settings that make no virtual router say why.

use super::*;
use crate::vrrp::{
    machine::{Auth, Cast, ConfigError},
    terms::Family,
};

fn refused(change: impl FnOnce(&mut Settings)) -> ConfigError {
    let mut settings = settings();
    change(&mut settings);
    Config::new(settings).unwrap_err()
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let v6 = |last: u16| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last]);
    let over_v6 = refused(|s| {
        s.version = Version::V2;
        s.addresses = Addresses::new([v6(1)]).unwrap();
    });
    assert_eq!(over_v6, ConfigError::V2OverIpv6);
    let fast = refused(|s| {
        s.version = Version::V2;
        s.interval = interval(Version::V3, 100 * MS);
    });
    assert_eq!(fast, ConfigError::Interval);
    assert_eq!(refused(|s| s.priority = Priority(0)), ConfigError::Priority);
    let password = V2Auth::password(b"x").map(Auth::Password).unwrap();
    assert_eq!(refused(|s| s.auth = password), ConfigError::PasswordInV3);
    let none = refused(|s| (s.version, s.auth) = (Version::V2, Auth::Password(V2Auth::None)));
    assert_eq!(none, ConfigError::NoPassword);
    let long = Duration::from_secs(90_000);
    assert_eq!(refused(|s| s.start_delay = long), ConfigError::Delay(long));
    let preempt = refused(|s| s.preempt = Preempt::After(long));
    assert_eq!(preempt, ConfigError::Delay(long));
    let twice = refused(|s| s.addresses = vips(&[100, 101, 100]));
    assert_eq!(twice, ConfigError::DuplicateAddress(node(100)));
}

#[test]
fn peers_are_other_nodes_of_the_family() {
    let v6 = IpAddr::from([0xfd; 16]);
    let unicast = |peers| refused(|s| s.cast = Cast::unicast(peers));
    assert_eq!(unicast(vec![]), ConfigError::NoPeers);
    assert_eq!(unicast(vec![node(1), v6]), ConfigError::PeerFamily(v6));
    let group = Family::V4.group();
    assert_eq!(unicast(vec![group]), ConfigError::Peer(group));
    let twice = unicast(vec![node(1), node(1)]);
    assert_eq!(twice, ConfigError::Peer(node(1)));
    let multicast = |group| refused(|s| s.cast = Cast::Multicast { group });
    assert_eq!(multicast(node(1)), ConfigError::Group(node(1)));
    let other = Family::V6.group();
    assert_eq!(multicast(other), ConfigError::PeerFamily(other));
}
