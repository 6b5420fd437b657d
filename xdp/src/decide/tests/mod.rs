//! Decisions, told as stories: a site is set up, packets come, verdicts and tables are looked at.

#![allow(clippy::unwrap_used)]

mod cookies;
mod flows;
mod fresh;
mod handover;
mod quic;
mod schedulers;
mod states;

use super::{Action, Verdict, decide, model::Memory};
use crate::{
    abi::{
        Addr6, Backend, Endpoint, Load, Scheduler, Service, Tick, Tuple, V4, backend_flags,
        service_flags,
    },
    packet::{Kind, Packet, header::proto},
};

/// 192.168.1.100.
const VIP: u32 = u32::from_ne_bytes([192, 168, 1, 100]);
/// 192.168.1.10.
const CLIENT: u32 = u32::from_ne_bytes([192, 168, 1, 10]);
const PORT: u16 = 80_u16.to_be();
const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;
const RST: u8 = 4;

/// A service with backends in slots 1, 2, ... of the addresses 10.0.0.11, 10.0.0.12, ...
struct Site {
    memory: Memory<V4>,
}

/// Where the member list is in the schedule; rings and tables are at 0.
const MEMBERS: u32 = 1000;

impl Site {
    fn new(scheduler: Scheduler, method: u8, weights: &[u32]) -> Self {
        let memory = Memory::default();
        for protocol in [proto::TCP, proto::UDP] {
            let endpoint = Endpoint {
                address: VIP,
                port: PORT,
                proto: protocol,
                side: Endpoint::<V4>::CLIENTS,
            };
            memory.endpoints.set(endpoint, 0);
        }
        for (i, weight) in weights.iter().enumerate() {
            let slot = i as u32 + 1;
            let backend = Backend {
                flags: backend_flags::PRESENT | backend_flags::TAKES,
                weight: *weight,
                address: Addr6 {
                    a: backend_address(slot),
                    ..Addr6::default()
                },
                port: 8080_u16.to_be(),
                method,
                ..Backend::default()
            };
            memory.backends.set(slot, backend);
            // Last added first.
            memory
                .schedule
                .set(MEMBERS + (weights.len() - 1 - i) as u32, slot);
        }
        let service = Service {
            flags: service_flags::PRESENT,
            scheduler: scheduler as u8,
            members: (weights.len() as u64) << 32 | u64::from(MEMBERS),
            persistence: Tick::in_seconds(300),
            mask: Addr6 {
                a: u32::MAX,
                ..Addr6::default()
            },
            ..Service::default()
        };
        memory.services.set(0, service);
        Self { memory }
    }

    /// Puts a ring or hash table in.
    fn table(&self, slots: &[u32]) {
        for (i, slot) in slots.iter().enumerate() {
            self.memory.schedule.set(i as u32, *slot);
        }
        self.service(|service| service.table = (slots.len() as u64) << 32);
    }

    fn service(&self, change: impl FnOnce(&mut Service)) {
        let mut service = self.memory.services.get(&0).unwrap();
        change(&mut service);
        self.memory.services.set(0, service);
    }

    fn backend(&self, slot: u32, change: impl FnOnce(&mut Backend)) {
        let mut backend = self.memory.backends.get(&slot).unwrap();
        change(&mut backend);
        self.memory.backends.set(slot, backend);
    }

    /// Routes or neighbours are others.
    fn new_ways(&self) {
        let mut settings = self.memory.settings.get(&0).unwrap();
        settings.generation += 1;
        self.memory.settings.set(0, settings);
    }

    fn load(&self, slot: u32) -> Load {
        self.memory.loads.get(&slot).unwrap_or_default()
    }

    fn pass_time(&self, seconds: u32) {
        let Tick(now) = self.memory.now.get();
        self.memory.now.set(Tick(now + Tick::in_seconds(seconds)));
    }

    fn send(&self, packet: &Packet<V4>) -> Verdict<V4> {
        let mut packet = *packet;
        let mut verdict = Verdict::new(packet.tuple);
        decide(&self.memory, &mut packet, &mut verdict);
        verdict
    }

    /// A SYN of a new connection: the backend's slot, 0 if there was none.
    fn open(&self, client: u32, port: u16) -> u32 {
        let verdict = self.send(&tcp(client, port, SYN));
        if verdict.action == Action::Forward {
            verdict.backend
        } else {
            0
        }
    }
}

fn backend_address(slot: u32) -> u32 {
    u32::from_ne_bytes([10, 0, 0, 10 + slot as u8])
}

/// A TCP packet from a client.
fn tcp(client: u32, port: u16, flags: u8) -> Packet<V4> {
    packet(
        Tuple::new(client, VIP, port.to_be(), PORT, proto::TCP),
        flags,
    )
}

/// A UDP packet from a client.
fn udp(client: u32, port: u16) -> Packet<V4> {
    packet(Tuple::new(client, VIP, port.to_be(), PORT, proto::UDP), 0)
}

fn packet(tuple: Tuple<V4>, tcp_flags: u8) -> Packet<V4> {
    Packet {
        l3: 14,
        l4: 34,
        tuple,
        length: 60,
        kind: Kind::Whole,
        ttl: 64,
        tos: 0,
        tcp_flags,
        dont_fragment: true,
        id: 0,
        inner_l3: 0,
        inner_l4: 0,
    }
}
