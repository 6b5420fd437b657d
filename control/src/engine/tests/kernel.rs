//! Services that the kernel forwards: what is planned of them, and when their backends are done.

use std::sync::Arc;

use super::rig::{Rig, backend, key, service, spec, unchecked};
use crate::{
    engine::Event,
    plan::{Duty, KernelMember},
    spec::{
        BackendSpec, Forward, KernelSpec, L4Spec, PoolSpec, ServiceKind, ServiceSpec, Spec,
        TunnelKind, TunnelSpec, XdpMode,
    },
};

#[test]
fn the_kernel_plane_as_a_whole_is_planned_by_itself() {
    let mut rig = Rig::with([unchecked("web", &[1])]);
    let before = Arc::clone(rig.engine.plan());
    let l4 = L4Spec {
        mode: XdpMode::Generic,
        ..L4Spec::default()
    };
    rig.apply(Spec {
        l4: l4.clone(),
        ..spec([unchecked("web", &[1])])
    });
    let after = rig.engine.plan();
    assert_eq!((after.generation, &*after.l4), (before.generation + 1, &l4));
    let web = "web".parse().unwrap();
    assert!(Arc::ptr_eq(&before.pools[&web], &after.pools[&web]));
    assert!(Arc::ptr_eq(&before.proxy, &after.proxy));
}

#[test]
fn kernel_services_and_what_they_ask_of_backends_are_planned() {
    let odd = BackendSpec {
        weight: BackendSpec::MAX_WEIGHT,
        forward: Some(Forward::Tunnel),
        tunnel: Some(TunnelSpec::new(TunnelKind::Gre)),
        max_connections: Some(9),
        resume_below: Some(5),
        ..backend(2)
    };
    let pool = PoolSpec {
        backends: vec![backend(1), odd.clone()],
        ..unchecked("web", &[])
    };
    let kernel = KernelSpec::new(Forward::Nat, "web".parse().unwrap());
    let vip = ServiceSpec {
        kind: ServiceKind::Kernel(Box::new(kernel)),
        ..service("vip", "web")
    };
    let mut wanted = Spec {
        services: vec![Arc::new(vip)],
        ..spec([pool])
    };
    let mut rig = Rig::with([]);
    rig.apply(wanted.clone());
    let name = "vip".parse().unwrap();
    assert_eq!(rig.engine.plan().services[&name].spec, wanted.services[0]);
    let members = &rig.pool("web").members;
    assert_eq!(members[0].kernel, KernelMember::default());
    assert_eq!(members[1].kernel, KernelMember::from(&odd));
    assert_eq!(members[1].weight, BackendSpec::MAX_WEIGHT);

    // One that is removed and drains is still reached as before.
    let mut pool = PoolSpec::clone(&wanted.pools[0]);
    pool.backends.truncate(1);
    wanted.pools = vec![Arc::new(pool)];
    rig.apply(wanted);
    let members = &rig.pool("web").members;
    assert!(matches!(members[1].duty, Duty::Finish { .. }));
    assert_eq!(members[1].kernel, KernelMember::from(&odd));
}

/// A service that the kernel forwards to pool `web`.
fn vip() -> Arc<ServiceSpec> {
    let kernel = KernelSpec::new(Forward::Direct, "web".parse().unwrap());
    Arc::new(ServiceSpec {
        kind: ServiceKind::Kernel(Box::new(kernel)),
        ..service("vip", "web")
    })
}

#[test]
fn a_backend_that_the_kernel_leads_to_is_done_when_the_kernel_is_too() {
    let with = |hosts: &[u8]| Spec {
        services: vec![vip()],
        ..spec([unchecked("web", hosts), unchecked("api", hosts)])
    };
    let mut rig = Rig::with([]);
    rig.apply(with(&[1, 2, 3]));
    rig.apply(with(&[3]));
    for host in [1, 2] {
        rig.event(Event::Drained(key("web", host)));
        rig.event(Event::Drained(key("api", host)));
    }
    assert_eq!(rig.duties("web"), "3:take 1:finish 2:finish");
    assert_eq!(rig.duties("api"), "3:take");
    rig.event(Event::DrainedInKernel(key("web", 1)));
    assert_eq!(rig.duties("web"), "3:take 2:finish");
    // The other order, after it was there again.
    rig.apply(with(&[2, 3]));
    rig.apply(with(&[3]));
    rig.event(Event::DrainedInKernel(key("web", 2)));
    assert_eq!(rig.duties("web"), "3:take 2:finish");
    rig.event(Event::Drained(key("web", 2)));
    assert_eq!(rig.duties("web"), "3:take");
}

#[test]
fn and_at_once_when_the_kernel_no_longer_leads_to_it() {
    let mut rig = Rig::with([]);
    let with = |hosts: &[u8], services: Vec<Arc<ServiceSpec>>| Spec {
        services,
        ..spec([unchecked("web", hosts)])
    };
    rig.apply(with(&[1, 2], vec![vip()]));
    rig.apply(with(&[2], vec![vip()]));
    rig.event(Event::Drained(key("web", 1)));
    assert_eq!(rig.duties("web"), "2:take 1:finish");
    rig.apply(with(&[2], Vec::new()));
    assert_eq!(rig.duties("web"), "2:take");
}
