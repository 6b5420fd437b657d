//! The plane's life: attached, left, taken over, taken off.

use std::sync::Arc;

use control::{
    name::BackendKey,
    spec::{Balance, Forward, Interfaces, L4Spec, Scheme},
};
use l4::{
    L4, Options,
    explain::{Flowing, Question},
    status::AttachMode,
};

use super::{
    packet::ACK,
    plans::{plan, pool, service},
    rig::{Rig, small},
};

struct Nobody;

impl l4::Reports for Nobody {
    fn drained(&self, _: BackendKey) {}
}

fn start(spec: &Arc<L4Spec>) -> L4 {
    let options = Options {
        spec: Arc::clone(spec),
        reports: Box::new(Nobody),
    };
    L4::start(options).unwrap()
}

/// A BPF file system that only this thread, and those it starts, see.
fn own_bpffs(at: &std::path::Path) {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    // SAFETY: mounts alone: nothing that this process has open is affected.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.unwrap();
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).unwrap();
    mount("bpf", at, "bpf", MountFlags::empty(), None).unwrap();
}

/// What becomes of a packet in the middle of a connection that is not known.
fn unknown(plane: &L4) -> String {
    let packet = Flowing {
        protocol: 6,
        source: "192.0.2.7:4000".parse().unwrap(),
        destination: "198.51.100.1:80".parse().unwrap(),
        flags: ACK,
        length: 60,
    };
    let any_flags = false;
    let answers = plane.explain(&[Question::Flowing { packet, any_flags }]);
    answers[0].reason.as_deref().unwrap_or_default().to_owned()
}

#[test]
fn it_outlives_its_process_and_is_taken_over() {
    let Some(_rig) = Rig::new() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    own_bpffs(directory.path());
    let mut spec = L4Spec {
        interfaces: Interfaces::Named(vec!["out".into()]),
        pin: directory.path().join("aplomb"),
        ..small()
    };
    let mut plan = plan(
        &[service(Scheme::Tcp, "198.51.100.1:80", Forward::Nat, "web")],
        &[pool(
            "web",
            Balance::RoundRobin,
            &[("10.1.0.1:80", 1), ("10.1.0.2:80", 1)],
        )],
    );
    plan.l4 = Arc::new(spec.clone());
    let plan = Arc::new(plan);

    let first = start(&plan.l4);
    assert_eq!(first.applied(Arc::clone(&plan)).unwrap(), 1);
    let status = first.status();
    assert!(!status.adopted);
    assert_eq!(
        status.interfaces[0].mode,
        Some(AttachMode::Native),
        "{status:?}"
    );
    assert_eq!(first.services()[0].backends.len(), 2);
    drop(first);

    // The successor remembers more flows: tables of that size take the place of the others.
    spec.max_flows *= 2;
    let spec = Arc::new(spec);
    let second = start(&spec);
    assert!(second.status().adopted);
    let mut plan = (*plan).clone();
    plan.l4 = Arc::clone(&spec);
    let plan = Arc::new(plan);
    assert_eq!(second.applied(Arc::clone(&plan)).unwrap(), 1);
    let status = second.status();
    assert_eq!(
        status.interfaces[0].mode,
        Some(AttachMode::Native),
        "{status:?}"
    );
    let backends = status
        .tables
        .iter()
        .find(|t| t.table == "BACKENDS")
        .unwrap();
    assert_eq!(backends.used, 2, "the same slots");
    assert_eq!(second.connections(10).unwrap(), []);

    // A node that stands by goes on to while its tables change their size.
    second.expect_flows(true).unwrap();
    assert_eq!(unknown(&second), "carrying");
    let mut larger = L4Spec::clone(&spec);
    larger.max_flows *= 2;
    let mut plan = (*plan).clone();
    plan.l4 = Arc::new(larger);
    assert_eq!(
        second.applied(Arc::new(plan)).unwrap(),
        0,
        "no service changed"
    );
    assert_eq!(unknown(&second), "carrying");
    second.expect_flows(false).unwrap();
    assert_eq!(unknown(&second), "no-flow");
    drop(second);
    assert_eq!(L4::detach(&spec.pin).unwrap(), 1);
    assert!(!spec.pin.exists());
    rustix::mount::unmount(directory.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
}
