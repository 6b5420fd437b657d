//! Vips in plans: what backends' health says of them, and roles.

use std::sync::Arc;

use super::rig::{Rig, key, pool, secs, service, spec};
use crate::{
    config::{NoSources, parse},
    engine::Event,
    name::Name,
    role::{Role, RoleChange},
    spec::Spec,
};

/// A pool of two, a service that leads to it, and a vip that tracks both.
fn site() -> Spec {
    let vip = r#"
        [[pool]]
        name = "web"
        backends = ["10.0.0.1:80"]
        [[service]]
        name = "shop"
        listen = "tcp://127.0.0.1:80"
        pool = "web"
        [[vip]]
        name = "edge"
        addresses = "192.168.1.100/24"
        interface = "eth0"
        vrrp = { id = 1, track = [{ interface = "eth1" }, { pool = "web", least = 2 }, { service = "shop" }] }
    "#;
    Spec {
        services: vec![Arc::new(service("shop", "web"))],
        vips: parse(vip, "t", &NoSources).unwrap().spec.vips,
        ..spec([pool("web", &[1, 2])])
    }
}

fn failing(rig: &Rig) -> Vec<bool> {
    let vip = &rig.engine.plan().vips[0];
    vip.failing.iter().map(Option::is_some).collect()
}

#[test]
fn backends_that_go_down_fail_what_tracks_them() {
    let mut rig = Rig::with([]);
    rig.apply(site());
    assert_eq!(failing(&rig), [false, false, false]);
    rig.break_down(&key("web", 1));
    rig.run(secs(20));
    assert_eq!(failing(&rig), [false, true, false]);
    rig.break_down(&key("web", 2));
    rig.run(secs(20));
    assert_eq!(failing(&rig), [false, true, true]);
    rig.ill.clear();
    rig.run(secs(20));
    assert_eq!(failing(&rig), [false, false, false]);
}

#[test]
fn a_vip_that_nothing_happened_to_is_the_same_in_the_next_plan() {
    let mut rig = Rig::with([]);
    rig.apply(site());
    let before = Arc::clone(&rig.engine.plan().vips[0]);
    let mut next = site();
    next.pools.push(Arc::new(pool("other", &[9])));
    rig.apply(next);
    assert!(Arc::ptr_eq(&before, &rig.engine.plan().vips[0]));
}

#[test]
fn roles_are_remembered_and_move_no_plane() {
    let mut rig = Rig::with([]);
    rig.apply(site());
    let generation = rig.engine.plan().generation;
    let vip: Name = "edge".parse().unwrap();
    assert_eq!(rig.engine.role(&vip), None);
    let mut tell = |role| {
        let vip = vip.clone();
        rig.event(Event::Role(RoleChange { vip, role }));
        rig.engine.role(&"edge".parse().unwrap())
    };
    assert_eq!(tell(Some(Role::Master)), Some(Role::Master));
    assert_eq!(tell(None), None);
    assert_eq!(rig.engine.plan().generation, generation);
}
