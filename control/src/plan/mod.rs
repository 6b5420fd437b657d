//! What every plane shall be: the one output of `plan(spec, health, role)`.
//!
//! A plan is immutable and made of shared parts. A part that a change did not touch is the very same `Arc` in
//! the next plan, so a plane finds what to do by comparing pointers, and what did not change is not disturbed.
//!
//! A service's part follows from its spec alone. A pool's part is made by [`plan_pool`] from its spec and its
//! members' health; [`crate::engine`] calls it for the pools that something happened to.

mod make;
mod vips;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use serde::Serialize;

pub(crate) use self::vips::plan_vip;
pub use self::{
    make::{MemberFact, plan_pool},
    vips::VipPlan,
};
use crate::{
    name::{BackendKey, Name},
    spec::{BackendSpec, Forward, L4Spec, PoolSpec, ProxySpec, ServerId, ServiceSpec, TunnelSpec},
    time::Instant,
};

/// What every plane shall be.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Grows by one with each plan of a run.
    pub generation: u64,
    /// The user-space plane as a whole.
    pub proxy: Arc<ProxySpec>,
    /// The kernel data plane as a whole.
    pub l4: Arc<L4Spec>,
    /// Services by name.
    pub services: BTreeMap<Name, Arc<ServicePlan>>,
    /// Pools by name.
    pub pools: BTreeMap<Name, Arc<PoolPlan>>,
    /// Virtual addresses, in config order.
    pub vips: Arc<[Arc<VipPlan>]>,
}

/// What one service shall be. It changes only when the service's own spec does.
#[derive(Debug, PartialEq)]
pub struct ServicePlan {
    /// What was asked.
    pub spec: Arc<ServiceSpec>,
}

/// What one pool shall be: the only part that health changes.
#[derive(Debug, PartialEq)]
pub struct PoolPlan {
    /// What was asked.
    pub spec: Arc<PoolSpec>,
    /// The backends in config order, then those that were removed and still drain.
    pub members: Vec<MemberPlan>,
    /// Too few backends are up, so those that are down are tried too.
    pub panic: bool,
}

impl PoolPlan {
    /// The members that may be given new work.
    pub fn usable(&self) -> impl Iterator<Item = &MemberPlan> {
        self.members
            .iter()
            .filter(|m| m.duty == Duty::Take && m.weight > 0)
    }
}

/// What one backend shall be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberPlan {
    /// Its name across plans.
    pub key: BackendKey,
    /// Its weight as it counts now: the configured one, an operator's, or an agent's share of it.
    pub weight: u32,
    /// Takes work only when no other can.
    pub backup: bool,
    /// The most requests or connections at a time.
    pub max_connections: Option<u32>,
    /// What kernel services need to know of it.
    #[serde(flatten)]
    pub kernel: KernelMember,
    /// What it may be given.
    pub duty: Duty,
    /// When it last came up, if its weight is still growing since (slow start).
    #[serde(skip)]
    pub rising_since: Option<Instant>,
}

impl MemberPlan {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.key.address
    }
}

/// What kernel services need to know of a backend; as in [`BackendSpec`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KernelMember {
    /// Reached otherwise than the service says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    /// Encapsulated otherwise than the service says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelSpec>,
    /// Once full, it takes no new work before it has less than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_below: Option<u32>,
    /// What names it in QUIC connection IDs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_id: Option<ServerId>,
}

impl From<&BackendSpec> for KernelMember {
    fn from(spec: &BackendSpec) -> Self {
        Self {
            forward: spec.forward,
            tunnel: spec.tunnel,
            resume_below: spec.resume_below,
            server_id: spec.server_id,
        }
    }
}

/// What a backend may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// New work, according to its weight.
    Take,
    /// No new work; what goes on, goes on until `until` and is then cut.
    Finish {
        /// When the drain ends; none: never.
        #[serde(skip)]
        until: Option<Instant>,
    },
    /// No new work, and what goes on may be given up: it is down.
    Avoid,
}
