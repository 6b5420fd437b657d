//! What a version with the layout before left is taken over. Needs root, and a BPF file system.

#![allow(clippy::unwrap_used)]

use std::os::fd::FromRawFd;

use control::spec::L4Spec;
use xdp::abi::{Backend, FlowState, Hop, Service, Tuple, V4};

use super::*;
use crate::{load::object::load, sys::Put};

/// `BPF_MAP_TYPE_ARRAY`, `BPF_MAP_TYPE_LRU_HASH`.
const ARRAY: u32 = 2;
const LRU_HASH: u32 = 9;

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
fn old<K: Plain, V: Plain>(directory: &Path, name: &str, kind: u32, entries: u32) -> Table<K, V> {
    let mut new = NewMap {
        kind,
        key_size: size_of::<K>() as u32,
        value_size: size_of::<V>() as u32,
        max_entries: entries,
        flags: 0,
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
    let before = pin.join("v1");
    bpffs::prepare(&pin).unwrap();
    bpffs::create(&before).unwrap();
    let services: Table<u32, Service> = old(&before, "SERVICES", ARRAY, xdp::abi::SERVICES);
    let service = Service {
        flags: 1,
        timeout: 77,
        ..Service::default()
    };
    let _ = services.put(&3, &service, Put::Any).unwrap();
    let backends: Table<u32, Backend> = old(&before, "BACKENDS", ARRAY, xdp::abi::BACKENDS);
    let backend = Backend {
        flags: 1,
        weight: 5,
        service: 3,
        ..Backend::default()
    };
    let _ = backends.put(&7, &backend, Put::Any).unwrap();
    let settings: Table<u32, OldSettings> = old(&before, "SETTINGS", ARRAY, 1);
    let left = OldSettings {
        generation: 41,
        trace: 0,
        seed: 9,
        source_ports: 5,
        timeouts: [6; FlowState::COUNT],
        flags: settings_flags::SERVICES,
        zero: [0; 2],
    };
    let _ = settings.put(&0, &left, Put::Any).unwrap();
    let flows: Table<Tuple<V4>, Flow<V4>> = old(&before, "FLOWS4", LRU_HASH, 1024);
    let key = |n: u16| Tuple::new(1, 2, n, 80, 6);
    for n in 0..200 {
        let flow = Flow {
            backend: 7,
            service: 3,
            expires: now().0 + 1000 + u32::from(n),
            delta: 12345,
            hop: Hop {
                generation: 41,
                ifindex: 2,
                ..Hop::default()
            },
            ..Flow::default()
        };
        let _ = flows.put(&key(n), &flow, Put::Any).unwrap();
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
    assert_eq!(maps.settings().generation, 42, "ways are looked for anew");
    assert_eq!(maps.services.get(&3).unwrap().unwrap().timeout, 77);
    assert_eq!(maps.backends.get(&7).unwrap().unwrap().weight, 5);
    // One more begins while the old program still runs.
    let late = Flow {
        backend: 7,
        expires: now().0 + 5000,
        ..Flow::default()
    };
    let _ = flows.put(&key(999), &late, Put::Any).unwrap();
    loaded.forget_outgrown().unwrap();
    let maps = &loaded.maps;
    assert_eq!(maps.settings().flags & settings_flags::CARRYING, 0);
    for n in (0..200).chain([999]) {
        let flow = maps.v4.flows.get(&key(n)).unwrap();
        assert_eq!((flow.backend, flow.delta, flow.hop.generation), (7, 0, 0));
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
