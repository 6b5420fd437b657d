//! What somebody without a node's key would send in its name.

use proto::{
    time::Utc,
    vrrp::{
        codec::{Advert, V2Auth},
        machine::{Auth, Cast, Config},
        terms::Priority,
        wire::{AntiReplay, Key, Keys, Mode, Wire},
    },
};

use crate::{node::Mail, setup::Plan};

/// An advert for each link that says that the node leaves, or owns the addresses; nothing where anybody is believed.
pub(crate) fn forge(plan: &Plan, priority: Priority, now: Utc) -> Vec<Mail> {
    let links = 0..plan.configs.len();
    links
        .filter_map(|link| forge_on(plan, link, priority, now))
        .collect()
}

fn forge_on(plan: &Plan, link: usize, priority: Priority, now: Utc) -> Option<Mail> {
    let config = &plan.configs[link];
    let Auth::Keys(keys) = &config.auth else {
        return None;
    };
    let to = match &config.cast {
        Cast::Multicast { group } => *group,
        Cast::Unicast { peers, .. } => peers[0],
    };
    let advert = Advert {
        version: config.version,
        vrid: config.vrid,
        priority,
        interval: config.interval,
        addresses: config.addresses.clone(),
        auth: V2Auth::None,
    };
    let mut settings = (**config).clone();
    settings.auth = match priority {
        Priority::OWNER => Auth::None,
        _ => Auth::Keys(guessed(keys.anti_replay())),
    };
    let mut wire = Wire::new(Config::new(settings).expect("valid but for its keys"));
    let from = plan.primaries[link];
    Some(Mail {
        link,
        from,
        to,
        bytes: wire.write(&advert, from, now).to(to).into(),
    })
}

/// Another key than all have, of the same id.
fn guessed(rule: AntiReplay) -> Keys {
    let key = Key::new(&[8; 64]).expect("long enough");
    Keys::new([(9, key)], 9, Mode::Enforce, rule).expect("valid keys")
}
