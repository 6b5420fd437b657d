//! What the net plane shall hold, and what backends' health says of it.
//!
//! A vip's part does not depend on the role: a backup is armed like a master, so that taking over is an announcement away.

use std::sync::Arc;

use crate::{
    name::Name,
    spec::{ServiceSpec, VipSpec, vip::TrackKind},
};

/// What one vip shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct VipPlan {
    /// What was asked.
    pub spec: Arc<VipSpec>,
    /// For each of what is tracked, in order: why it fails, if that is for backends' health to say and it does.
    pub failing: Vec<Option<String>>,
}

/// What a vip shall be. `fit` says how many backends of a pool take work on their own merits.
pub(crate) fn plan_vip(
    spec: &Arc<VipSpec>,
    services: &[Arc<ServiceSpec>],
    fit: impl Fn(&Name) -> usize,
) -> VipPlan {
    let track = spec.vrrp.iter().flat_map(|vrrp| &vrrp.track);
    let failing = track.map(|track| match &track.what {
        TrackKind::Pool { pool, least } => short(fit(pool), *least),
        TrackKind::Service { service, least } => {
            let service = services.iter().find(|s| s.name == *service);
            let pools = service.iter().flat_map(|service| service.pools());
            short(pools.map(&fit).sum(), *least)
        }
        _ => None,
    });
    VipPlan {
        spec: Arc::clone(spec),
        failing: failing.collect(),
    }
}

fn short(fit: usize, least: u16) -> Option<String> {
    (fit < usize::from(least)).then(|| format!("{fit} of its backends are up, less than {least}"))
}
