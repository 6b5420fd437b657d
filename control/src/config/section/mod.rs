//! The sections of a configuration: for each its table of keys, and how what they hold becomes a part of the
//! [`Spec`](crate::spec::Spec).
//!
//! The tables are the one source of what may be written: parsing, messages, schema and reference go by them.

pub(super) mod admin;
pub(super) mod backend;
pub(super) mod balance;
pub(super) mod check;
mod forward;
pub(super) mod http;
pub(super) mod kernel;
pub(super) mod l4;
pub(super) mod log;
pub(super) mod pool;
pub(super) mod probe;
pub(super) mod route;
pub(super) mod service;
pub(super) mod sync;
pub(super) mod sync_ipvs;
pub(super) mod track;
pub(super) mod vip;
mod vip_address;
mod vip_auth;
mod vip_route;
mod vip_router;
mod vip_rule;

use self::{
    admin::AdminKeys, l4::L4Keys, log::LogKeys, pool::PoolKeys, service::ServiceKeys,
    sync::SyncKeys, vip::VipKeys,
};
use super::{
    form::{
        many::List,
        number::{Int, Time},
    },
    kind::section,
    limits,
};
use crate::spec::ProxySpec;

section! {
    /// A configuration is one TOML file. Unknown keys are errors.
    pub(super) struct RootKeys = "the configuration" {
        /// The ways in for operators and metrics.
        admin: AdminKeys, default "{}";
        /// What is logged, and where.
        log: LogKeys, default "{}";
        /// The user-space plane as a whole.
        proxy: ProxyKeys, default "{}";
        /// The kernel data plane as a whole.
        l4: L4Keys, default "{}";
        /// Connections that the kernel forwards are told to other nodes.
        sync: SyncKeys, absent "connections are told to nobody";
        /// Pools: backends, how one is chosen and how they are checked.
        pool: List<PoolKeys>, default "[]";
        /// Services: where traffic enters.
        service: List<ServiceKeys>, default "[]";
        /// Virtual addresses: held by this node or another of its group.
        vip: List<VipKeys>, default "[]";
    }
}

section! {
    /// The user-space plane as a whole.
    pub(super) struct ProxyKeys = "[proxy]" {
        /// Worker threads, one event loop each.
        workers: Int<1, 1024>, absent "one for each core that the process may run on";
        /// The most client connections of one worker over all services; past it, connections wait in the kernel's accept queue.
        max_connections: Int<1, 10_000_000>, default "100000";
        /// How long connections may go on after their listener or the process was told to stop.
        drain: Time<0, { limits::DAY }>, default "\"30s\"";
    }
}

impl ProxyKeys {
    pub(super) fn admit(self) -> ProxySpec {
        ProxySpec {
            workers: self.workers.map(|n| n.to()),
            max_connections: self.max_connections.to(),
            drain: self.drain.0,
        }
    }
}
