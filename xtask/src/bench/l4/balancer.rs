//! The balancer: the program as it is shipped, its tables filled for the cases.
//!
//! The tables are written here and not by the daemon: what is measured is the program, and nothing else is then
//! needed in a guest. That daemon and program fit together is for other tests.

use super::case::Case;
use super::net;
use super::source::{Source, device_address, device_index, said};
use crate::Result;
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray};
use aya::programs::{Program, ProgramFd, XdpMode};
use aya::{Ebpf, EbpfLoader, Pod};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use xdp::abi::{
    Addr6, Backend, Bucket, Counters, Endpoint, Family, FlowState, Iface, Mac, Plain, Scheduler,
    Service, Settings, Tick, V4, V6, backend_flags, buckets, near, service_flags,
};

/// The running kernel's version.
fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Something of the program's own, as the loading library wants it.
#[derive(Clone, Copy)]
struct Raw<T>(T);

// SAFETY: `Plain` promises that any bits are a value, and that there is no padding.
unsafe impl<T: Plain> Pod for Raw<T> {}

/// The loaded program.
pub(super) struct Balancer {
    object: Ebpf,
    name: String,
    sink: bool,
}

impl Balancer {
    /// Loads the program in `file` with room for so many flows, and fills its tables for `cases`.
    /// Backends are behind `sink` or behind `in`.
    pub(super) fn load(file: &Path, flows: u32, cases: &[Case], sink: bool) -> Result<Balancer> {
        let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut loader = EbpfLoader::new();
        for name in ["FLOWS4", "FLOWS6"] {
            loader.map_max_entries(name, buckets(flows));
        }
        let flow_buckets = buckets(flows);
        let near_buckets = near(flow_buckets);
        loader.override_global("FLOW_BUCKETS", &flow_buckets, true);
        loader.override_global("FLOW_NEAR", &near_buckets, true);
        // The verifier of the guest's kernel does not follow ciphers.
        let ciphers = u8::from(kernel() > (6, 1));
        loader.override_global("QUIC_CIPHERS", &ciphers, true);
        let mut object = loader.load(&bytes).map_err(|e| said("the balancer", &e))?;
        let mut name = String::new();
        for (own, program) in object.programs_mut() {
            if let Program::Xdp(program) = program {
                program.load().map_err(|e| said(own, &e))?;
                let verified = program
                    .info()
                    .ok()
                    .and_then(|info| info.verified_instruction_count());
                eprintln!(
                    "{own}: the verifier went through {} instructions",
                    verified.unwrap_or(0)
                );
                own.clone_into(&mut name);
            }
        }
        if name.is_empty() {
            return Err(format!("{}: no XDP program", file.display()));
        }
        let mut balancer = Balancer { object, name, sink };
        balancer.settings()?;
        for (index, case) in cases.iter().enumerate() {
            balancer.service(case, index)?;
        }
        Ok(balancer)
    }

    /// The program.
    pub(super) fn fd(&self) -> Result<&ProgramFd> {
        match self.object.program(&self.name) {
            Some(Program::Xdp(program)) => program.fd().map_err(|e| said(&self.name, &e)),
            _ => Err("the balancer is gone".into()),
        }
    }

    /// Attaches it to a device for as long as it is there.
    pub(super) fn attach(&mut self, device: &str) -> Result {
        match self.object.program_mut(&self.name) {
            Some(Program::Xdp(program)) => program
                .attach(device, XdpMode::Driver)
                .map(drop)
                .map_err(|e| said(device, &e)),
            _ => Err("the balancer is gone".into()),
        }
    }

    /// What the kernel says a map takes, bytes.
    pub(super) fn memory(&self, map: &str) -> Result<u64> {
        let Some(Map::Array(data)) = self.object.map(map) else {
            return Err(none(map));
        };
        let path = format!("/proc/self/fdinfo/{}", data.fd().as_fd().as_raw_fd());
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("memlock:"));
        line.and_then(|line| line.trim().parse().ok())
            .ok_or_else(|| format!("{path} tells no size"))
    }

    /// Connections that were given to the backends of the first service.
    pub(super) fn connections(&self) -> Result<u64> {
        let map = self
            .object
            .map("COUNTERS")
            .ok_or_else(|| none("COUNTERS"))?;
        let counters: PerCpuArray<&MapData, Raw<Counters>> =
            PerCpuArray::try_from(map).map_err(|e| said("COUNTERS", &e))?;
        let mut sum = 0;
        for slot in 0..net::BACKENDS.len() as u32 {
            let values = counters.get(&slot, 0).map_err(|e| said("COUNTERS", &e))?;
            sum += values.iter().map(|Raw(of)| of.connections).sum::<u64>();
        }
        Ok(sum)
    }

    fn settings(&mut self) -> Result {
        let mut timeouts = [Tick::in_seconds(120); FlowState::COUNT];
        timeouts[FlowState::Established as usize] = Tick::in_seconds(900);
        timeouts[FlowState::Udp as usize] = Tick::in_seconds(300);
        let settings = Settings {
            generation: 1,
            seed: 1,
            source_ports: 1024 << 16 | 65535,
            timeouts,
            ..BLANK
        };
        self.set("SETTINGS", 0, settings)?;
        self.device("in")?;
        if self.sink {
            self.device("sink")?;
        }
        Ok(())
    }

    /// Tells the program of a device.
    fn device(&mut self, name: &str) -> Result {
        let index = device_index(name)?;
        let address = device_address(name)?;
        let word = |at: usize| u16::from_ne_bytes([address[at], address[at + 1]]);
        let iface = Iface {
            ifindex: index,
            mac: Mac {
                a: word(0),
                b: word(2),
                c: word(4),
            },
            vlan: 0,
            mtu: 1500,
            source4: V4::narrow(wide(Ipv4Addr::new(10, 1, 0, 1).into())),
            source6: wide(Ipv6Addr::new(0xfd00, 0x101, 0, 0, 0, 0, 0, 1).into()),
        };
        self.put("IFACES", Raw(index), Raw(iface))
    }

    /// Fills in the service of a case, at the slot `index`, and its backends.
    fn service(&mut self, case: &Case, index: usize) -> Result {
        let first = (index * net::BACKENDS.len()) as u32;
        let slots: Vec<u32> = (first..).take(case.backends().count()).collect();
        for (slot, last) in slots.iter().zip(case.backends()) {
            let backend = Backend {
                flags: backend_flags::PRESENT
                    | backend_flags::TAKES
                    | if case.v6 { backend_flags::V6 } else { 0 },
                weight: 1,
                address: wide(case.backend(last, self.sink)),
                port: case.backend_port(index).to_be(),
                method: case.method as u8,
                service: index as u32,
                ..Backend::default()
            };
            self.set("BACKENDS", *slot, backend)?;
        }
        // As IPVS goes through them: last added first.
        for (at, slot) in slots.iter().rev().enumerate() {
            self.set("SCHEDULE", first + at as u32, *slot)?;
        }
        let table = (slots.len() as u64) << 32 | u64::from(first);
        let service = Service {
            flags: service_flags::PRESENT,
            scheduler: Scheduler::Ring as u8,
            table,
            members: table,
            ..Service::default()
        };
        self.set("SERVICES", index as u32, service)?;
        let proto = if case.tcp { 6 } else { 17 };
        let port = Case::port(index).to_be();
        if case.v6 {
            let address = V6::narrow(wide(case.vip()));
            let key = Endpoint::<V6> {
                address,
                port,
                proto,
                side: Endpoint::<V6>::CLIENTS,
            };
            self.put("ENDPOINTS6", Raw(key), Raw(index as u32))
        } else {
            let address = V4::narrow(wide(case.vip()));
            let key = Endpoint::<V4> {
                address,
                port,
                proto,
                side: Endpoint::<V4>::CLIENTS,
            };
            self.put("ENDPOINTS4", Raw(key), Raw(index as u32))
        }
    }

    /// Empties the tables of flows, sends what must come before the packets that are measured, and makes the source ready
    /// for those.
    pub(super) fn prepare(&mut self, case: &Case, index: usize, source: &mut Source) -> Result {
        for map in ["FLOWS4", "PENDING4"] {
            self.empty::<V4>(map)?;
        }
        for map in ["FLOWS6", "PENDING6"] {
            self.empty::<V6>(map)?;
        }
        source.onward(self.fd()?)?;
        let backend = case.backend(net::BACKENDS.start, self.sink);
        for stream in case.before(index, backend) {
            source.stream(&stream)?;
            source.run(stream.flows)?;
        }
        source.stream(&case.stream(index, backend))
    }

    /// Takes all flows out of a table.
    fn empty<F: Family>(&mut self, map: &str) -> Result {
        let array = self.object.map_mut(map).ok_or_else(|| none(map))?;
        let mut array: Array<&mut MapData, Raw<Bucket<F>>> =
            Array::try_from(array).map_err(|e| said(map, &e))?;
        // SAFETY: any bits are a bucket.
        let none: Bucket<F> = unsafe { std::mem::zeroed() };
        for index in 0..array.len() {
            let bucket = array.get(&index, 0).map_err(|e| said(map, &e))?;
            if bucket.0.tags != none.tags || bucket.0.over != 0 {
                array.set(index, Raw(none), 0).map_err(|e| said(map, &e))?;
            }
        }
        Ok(())
    }

    fn set<T: Plain>(&mut self, map: &str, index: u32, value: T) -> Result {
        let array = self.object.map_mut(map).ok_or_else(|| none(map))?;
        let mut array: Array<&mut MapData, Raw<T>> =
            Array::try_from(array).map_err(|e| said(map, &e))?;
        array.set(index, Raw(value), 0).map_err(|e| said(map, &e))
    }

    fn put<K: Plain, V: Plain>(&mut self, map: &str, key: Raw<K>, value: Raw<V>) -> Result {
        let hash = self.object.map_mut(map).ok_or_else(|| none(map))?;
        let mut hash: HashMap<&mut MapData, Raw<K>, Raw<V>> =
            HashMap::try_from(hash).map_err(|e| said(map, &e))?;
        hash.insert(key, value, 0).map_err(|e| said(map, &e))
    }
}

/// Settings without values.
const BLANK: Settings = Settings {
    generation: 0,
    trace: 0,
    seed: 0,
    source_ports: 0,
    timeouts: [0; FlowState::COUNT],
    flags: 0,
    trace_until: Tick(0),
    zero: 0,
    secret: [0; 2],
};

fn none(map: &str) -> String {
    format!("the balancer has no map {map}")
}

/// An address as the tables have it: words as in a packet.
fn wide(address: IpAddr) -> Addr6 {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes = address.octets(),
    }
    let word =
        |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Addr6 {
        a: word(0),
        b: word(4),
        c: word(8),
        d: word(12),
    }
}
