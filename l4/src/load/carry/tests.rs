//! What a version with the layout before left is taken over. Needs root, and a BPF file system.

#![allow(clippy::unwrap_used)]

use std::os::fd::FromRawFd;

use control::spec::L4Spec;
use xdp::abi::{Backend, FlowState, Service, Settings, Tick, V4, Way};

use super::*;
use crate::{
    load::object::load,
    sys::{Put, Table},
};

/// `BPF_MAP_TYPE_ARRAY`, and `BPF_F_MMAPABLE`.
const ARRAY: u32 = 2;
const MMAPABLE: u32 = 1 << 10;

/// The first fields of what `BPF_MAP_CREATE` takes.
#[repr(C)]
struct NewMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    rest: [u32; 11],
}

/// A map as the version before made it, pinned.
fn old<V: Plain>(directory: &Path, name: &str, entries: u32, flags: u32) -> Table<u32, V> {
    let mut new = NewMap {
        kind: ARRAY,
        key_size: size_of::<u32>() as u32,
        value_size: size_of::<V>() as u32,
        max_entries: entries,
        flags,
        rest: [0; 11],
    };
    // SAFETY: the argument is as long as is said, and outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, 0, &raw mut new, size_of::<NewMap>()) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor is new and nobody else's.
    let map = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    object::pin(map.as_fd(), &directory.join(name)).unwrap();
    Table::new(map).unwrap()
}

#[test]
fn what_the_version_before_left_is_taken_over() {
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        assert!(std::env::var_os("APLOMB_NO_SKIP").is_none(), "needs root");
        eprintln!("SKIPPED: needs root");
        return;
    }
    let pin = PathBuf::from(format!(
        "/sys/fs/bpf/aplomb-carry-test-{}",
        std::process::id()
    ));
    let before = pin.join("v2");
    bpffs::prepare(&pin).unwrap();
    bpffs::create(&before).unwrap();
    let services: Table<u32, Service> = old(&before, "SERVICES", xdp::abi::SERVICES, 0);
    let service = Service {
        flags: 1,
        timeout: 77,
        ..Service::default()
    };
    let _ = services.put(&3, &service, Put::Any).unwrap();
    let backends: Table<u32, Backend> = old(&before, "BACKENDS", xdp::abi::BACKENDS, 0);
    let backend = Backend {
        flags: 1,
        weight: 5,
        service: 3,
        ..Backend::default()
    };
    let _ = backends.put(&7, &backend, Put::Any).unwrap();
    let settings: Table<u32, Settings> = old(&before, "SETTINGS", 1, 0);
    let left = Settings {
        generation: 41,
        seed: 9,
        source_ports: 5,
        timeouts: [6; FlowState::COUNT],
        flags: settings_flags::SERVICES,
        trace: 0,
        trace_until: Tick(0),
        zero: 0,
        secret: [7, 8],
    };
    let _ = settings.put(&0, &left, Put::Any).unwrap();
    // One that would lead astray.
    let _: Table<u32, Way> = old(&before, "WAYS", xdp::abi::BACKENDS, 0);
    let flows: Table<u32, OldBucket<V4>> = old(&before, "FLOWS4", 64, MMAPABLE);
    let key = |n: u16| Tuple::new(1, 2, n, 80, 6);
    let put = |n: u16, expires: u32| {
        let index = u32::from(n) / LANES as u32;
        let lane = usize::from(n) % LANES;
        let mut bucket = flows.get(&index).unwrap().unwrap();
        bucket.tags[lane / 4] |= 0x8001 << (16 * (lane % 4));
        let flow = Flow {
            backend: 7,
            service: 3,
            expires: now().0 + expires,
            delta: 12345,
            hop: Hop {
                generation: 42,
                ifindex: 2,
                ..Hop::default()
            },
            ..Flow::default()
        };
        bucket.slots[Hits::nth(lane).slot()] = Slot { key: key(n), flow };
        let _ = flows.put(&index, &bucket, Put::Any).unwrap();
    };
    for n in 0..200 {
        put(n, 1000 + u32::from(n));
    }
    let spec = L4Spec {
        pin: pin.clone(),
        max_flows: 1024,
        max_handshakes: 256,
        ..L4Spec::default()
    };
    let mut loaded = load(&spec).unwrap();
    let maps = &loaded.maps;
    assert!(loaded.adopted);
    assert_ne!(maps.settings().flags & settings_flags::CARRYING, 0);
    assert_ne!(maps.settings().flags & settings_flags::SERVICES, 0);
    assert_eq!(maps.settings().generation, 41);
    assert_eq!(maps.settings().secret, [7, 8]);
    assert_eq!(maps.services.get(&3).unwrap().unwrap().timeout, 77);
    assert_eq!(maps.backends.get(&7).unwrap().unwrap().weight, 5);
    // One more begins while the old program still runs.
    put(499, 5000);
    loaded.forget_outgrown().unwrap();
    let maps = &loaded.maps;
    assert_eq!(maps.settings().flags & settings_flags::CARRYING, 0);
    for n in (0..200).chain([499]) {
        let flow = maps.v4.flows.get(&key(n)).unwrap();
        assert_eq!(
            (flow.backend, flow.delta, flow.hop),
            (7, 12345, Hop::default())
        );
    }
    assert!(!before.exists(), "its pins are taken out");
    drop(loaded);
    // The next start finds its own.
    let again = load(&spec).unwrap();
    assert!(again.maps.v4.flows.get(&key(0)).is_some());
    // So does one with tables of another size.
    let larger = L4Spec {
        max_flows: 4096,
        ..spec
    };
    drop(again);
    let mut again = load(&larger).unwrap();
    again.forget_outgrown().unwrap();
    assert!(again.maps.v4.flows.get(&key(0)).is_some());
    drop(again);
    for (_, path) in bpffs::names(&pin.join(format!("v{LAYOUT}"))) {
        bpffs::unpin(&path).unwrap();
    }
    std::fs::remove_dir_all(&pin).unwrap();
}
