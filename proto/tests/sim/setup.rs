//! What a world is made of: version, family, nodes and how each is set.

use std::{net::IpAddr, time::Duration};

use proto::vrrp::{
    codec::{Checksum, V2Auth},
    group::GateSettings,
    machine::{Auth, Cast, Config, Preempt, Settings},
    terms::{Addresses, Family, Interval, Priority, Version, Vrid},
    wire::{AntiReplay, Key, Keys, Mode},
};

use crate::dice::Dice;

/// How one node is set: a configuration and a primary address for each link.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) configs: Vec<Config>,
    pub(crate) primaries: Vec<IpAddr>,
    pub(crate) gate: Option<GateSettings>,
}

/// What all nodes of a world have in common.
struct Common {
    version: Version,
    family: Family,
    interval: Interval,
    links: usize,
    nodes: usize,
    unicast: bool,
    auth: Auth,
    checksum: Checksum,
}

/// Clocks' dates are at most so far apart: within the window of those worlds that authenticate.
pub(crate) const UTC_SKEW: Duration = Duration::from_secs(2);

/// The plans of a world's nodes.
pub(crate) fn plans(dice: &mut Dice) -> Vec<Plan> {
    let version = dice.pick(&[Version::V2, Version::V3, Version::V3, Version::V3]);
    let family = match version {
        Version::V2 => Family::V4,
        Version::V3 => dice.pick(&[Family::V4, Family::V6]),
    };
    let millis: &[u64] = match version {
        Version::V2 => &[1000, 3000],
        Version::V3 => &[10, 100, 1000, 4070],
    };
    let every = Duration::from_millis(dice.pick(millis));
    let common = Common {
        version,
        family,
        interval: Interval::new(version, every).expect("the version can say it"),
        links: if dice.percent(25) { 2 } else { 1 },
        nodes: 2 + dice.below(4),
        unicast: dice.percent(30),
        auth: auth(dice, version),
        checksum: dice.pick(&[Checksum::WithPseudoHeader, Checksum::MessageOnly]),
    };
    let owner = dice.percent(20).then(|| dice.below(common.nodes));
    let uneven = version == Version::V3 && dice.percent(20);
    (0..common.nodes)
        .map(|node| plan(dice, &common, node, owner == Some(node), uneven))
        .collect()
}

fn auth(dice: &mut Dice, version: Version) -> Auth {
    match dice.below(4) {
        0 => {
            let keys = [(1, Key::new(&[7; 32])), (9, Key::new(&[9; 64]))];
            let keys = keys.map(|(id, key)| (id, key.expect("long enough")));
            let window = AntiReplay::Window(Duration::from_secs(5));
            let rule = dice.pick(&[window, AntiReplay::Sequence]);
            Auth::Keys(Keys::new(keys, 9, Mode::Enforce, rule).expect("valid keys"))
        }
        1 if version == Version::V2 => {
            V2Auth::password(b"s3cret").map_or(Auth::None, Auth::Password)
        }
        _ => Auth::None,
    }
}

fn plan(dice: &mut Dice, common: &Common, node: usize, owner: bool, uneven: bool) -> Plan {
    let every = common.interval.duration();
    let priority = match dice.below(4) {
        _ if owner => Priority::OWNER,
        0 => Priority(100),
        _ => Priority(u8::try_from(1 + dice.below(253)).unwrap_or(1)),
    };
    let delay = dice.between(every, every * 5);
    let preempt = dice.pick(&[
        Preempt::AtOnce,
        Preempt::AtOnce,
        Preempt::After(delay),
        Preempt::Never,
    ]);
    let start_delay = dice.pick(&[Duration::ZERO, every * 2]);
    let faster = uneven && dice.percent(50) && every > Duration::from_millis(10);
    let interval = if faster {
        Interval::new(common.version, every / 10 * 5).unwrap_or(common.interval)
    } else {
        common.interval
    };
    let config = |link: usize| {
        let vip = |n: usize| address(common.family, link, 100 + n);
        let list = Addresses::new([vip(0), vip(1)]).expect("two of a family");
        let mut settings = Settings::new(Vrid::new(51).expect("not 0"), list);
        settings.version = common.version;
        settings.priority = priority;
        settings.interval = interval;
        settings.preempt = preempt;
        settings.start_delay = start_delay;
        settings.checksum = common.checksum;
        settings.auth = common.auth.clone();
        if common.unicast {
            let others = (0..common.nodes).filter(|other| *other != node);
            let peers = others.map(|other| primary(common.family, link, other));
            settings.cast = Cast::unicast(peers.collect());
        }
        Config::new(settings).expect("valid settings")
    };
    let timeout = dice.between(every * 5, every * 15);
    Plan {
        configs: (0..common.links).map(config).collect(),
        primaries: (0..common.links)
            .map(|link| primary(common.family, link, node))
            .collect(),
        gate: dice.percent(30).then_some(GateSettings { timeout }),
    }
}

fn primary(family: Family, link: usize, node: usize) -> IpAddr {
    address(family, link, 1 + node)
}

fn address(family: Family, link: usize, last: usize) -> IpAddr {
    let (link, last) = (link as u8, last as u8);
    match family {
        Family::V4 => IpAddr::from([10, 66, link, last]),
        Family::V6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, u16::from(link), u16::from(last)]),
    }
}
