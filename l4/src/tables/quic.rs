//! What the program knows of a service's QUIC connection IDs: how they are made, and whom they name.

use std::{collections::BTreeMap, net::SocketAddr};

use control::{
    plan::{Duty, PoolPlan},
    spec::KernelSpec,
};
use xdp::{
    abi::{QuicConfig, QuicId, QuicKey},
    quic::config,
};

use super::write::{Stages, Write};

/// Entries of the two tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quic {
    /// Configurations.
    pub configs: BTreeMap<QuicKey, QuicConfig>,
    /// Slots of backends.
    pub ids: BTreeMap<QuicId, u32>,
}

impl Quic {
    /// Those of a service: all configurations, and the backends that are not down. One that drains is named too: its
    /// clients may come from elsewhere while they are served to the end.
    pub(super) fn of(
        service: u32,
        kernel: &KernelSpec,
        pool: &PoolPlan,
        slot_of: impl Fn(&SocketAddr) -> Option<u32>,
    ) -> Self {
        let Some(quic_lb) = &kernel.quic_lb else {
            return Self::default();
        };
        let configs = quic_lb.configs.iter().map(|c| {
            let key = QuicKey {
                service,
                rotation: c.rotation.into(),
            };
            let secret = c.key.as_ref().map(|key| key.reveal());
            let (id, nonce) = (c.server_id_length.into(), c.nonce_length.into());
            (key, config::config(id, nonce, secret))
        });
        // An ID that a draining member leaves to another is the other's: later ones count.
        let with = |takes: bool| {
            let reachable = pool.members.iter().filter(|m| m.duty != Duty::Avoid);
            reachable.filter(move |m| (m.duty == Duty::Take) == takes)
        };
        let ids = with(false).chain(with(true)).filter_map(|member| {
            let id = member.kernel.server_id?;
            let slot = slot_of(&member.address())?;
            Some((config::id(service, id.as_bytes()), slot))
        });
        Self {
            configs: configs.collect(),
            ids: ids.collect(),
        }
    }

    /// A bit for each rotation id.
    pub(super) fn rotations(&self) -> u32 {
        self.configs
            .keys()
            .fold(0, |bits, key| bits | 1 << (key.rotation & 7))
    }

    /// Writes what `next` has otherwise. Whom an ID names is there before it is known how to read it, and what no ID
    /// is to name goes before its backend does.
    pub(super) fn become_of(&self, next: &Self, stages: &mut Stages) {
        for (key, slot) in &next.ids {
            if self.ids.get(key) != Some(slot) {
                stages.quic.push(Write::QuicId {
                    key: *key,
                    slot: Some(*slot),
                });
            }
        }
        for (key, config) in &next.configs {
            if self.configs.get(key) != Some(config) {
                stages.quic.push(Write::QuicConfig {
                    key: *key,
                    config: Some(Box::new(*config)),
                });
            }
        }
        for key in self.configs.keys() {
            if !next.configs.contains_key(key) {
                stages.quic_off.push(Write::QuicConfig {
                    key: *key,
                    config: None,
                });
            }
        }
        for key in self.ids.keys() {
            if !next.ids.contains_key(key) {
                stages.quic_off.push(Write::QuicId {
                    key: *key,
                    slot: None,
                });
            }
        }
    }

    /// Those of each service.
    pub(super) fn by_service(self) -> BTreeMap<u32, Self> {
        let mut all: BTreeMap<u32, Self> = BTreeMap::new();
        for (key, config) in self.configs {
            all.entry(key.service)
                .or_default()
                .configs
                .insert(key, config);
        }
        for (key, slot) in self.ids {
            all.entry(key.service).or_default().ids.insert(key, slot);
        }
        all
    }
}
