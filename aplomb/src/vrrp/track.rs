//! What is tracked for a vip, and what it comes to: faults, and the priority that is left.

use std::sync::Arc;

use control::{
    plan::VipPlan,
    spec::vip::{TrackKind, tracked_priority},
};
use proto::vrrp::terms::Priority;

use super::links::Links;

/// A fault by its name, and why it is there; none: it is gone.
pub(super) type Fault = (Arc<str>, Option<Arc<str>>);

/// A vip of a bundle, and what is tracked for it.
pub(super) struct Vip {
    pub(super) plan: Arc<VipPlan>,
    /// What was told of what others look at.
    pub(super) told: Vec<Option<String>>,
    /// Why each of what is tracked fails, if it does.
    pub(super) failing: Vec<Option<String>>,
}

impl Vip {
    pub(super) fn new(plan: &Arc<VipPlan>) -> Self {
        let count = plan.failing.len();
        Self {
            plan: Arc::clone(plan),
            told: vec![None; count],
            failing: vec![None; count],
        }
    }

    /// At its start: a route counts once it was seen, or a node without one would be master until it is known.
    pub(super) fn nothing_seen(&mut self) {
        let vrrp = self.plan.spec.vrrp.as_ref();
        let tracks = vrrp.iter().flat_map(|vrrp| &vrrp.track);
        for (told, track) in self.told.iter_mut().zip(tracks) {
            if matches!(track.what, TrackKind::Route(_)) {
                *told = Some("it was not looked for yet".into());
            }
        }
    }

    /// Its faults by name, as they were told.
    pub(super) fn faults(&self) -> Vec<Arc<str>> {
        let vrrp = self.plan.spec.vrrp.as_ref();
        let count = vrrp.map_or(0, |vrrp| vrrp.track.len());
        (0..count).map(|at| self.fault(at)).collect()
    }

    fn fault(&self, at: usize) -> Arc<str> {
        let vrrp = self.plan.spec.vrrp.as_ref();
        let label = vrrp
            .and_then(|vrrp| vrrp.track.get(at))
            .map(|t| t.what.label());
        format!("{} (track {})", label.unwrap_or_default(), at + 1).into()
    }

    /// Faults that came or went, and the priority that is left.
    pub(super) fn review(&mut self, links: &Links) -> (Vec<Fault>, Option<Priority>) {
        let plan = Arc::clone(&self.plan);
        let Some(vrrp) = &plan.spec.vrrp else {
            return (Vec::new(), None);
        };
        let (mut changes, mut weights) = (Vec::new(), Vec::new());
        for (at, track) in vrrp.track.iter().enumerate() {
            let why = match &track.what {
                TrackKind::Interface(name) => match links.named(name) {
                    Some(link) if link.running => None,
                    Some(_) => Some("it is down".to_owned()),
                    None => Some("there is no such interface".to_owned()),
                },
                TrackKind::Service { .. } | TrackKind::Pool { .. } => {
                    plan.failing.get(at).cloned().flatten()
                }
                _ => self.told.get(at).cloned().flatten(),
            };
            match track.weight {
                None if self.failing.get(at) != Some(&why) => {
                    changes.push((self.fault(at), why.as_deref().map(Arc::from)));
                }
                Some(weight) if (weight < 0) == why.is_some() => weights.push(weight),
                _ => {}
            }
            if let Some(failing) = self.failing.get_mut(at) {
                *failing = why;
            }
        }
        let priority = tracked_priority(vrrp.priority, weights.into_iter());
        (changes, Some(priority))
    }
}

pub(super) fn same_track(old: &VipPlan, new: &VipPlan) -> bool {
    let track = |plan: &VipPlan| plan.spec.vrrp.as_ref().map(|vrrp| vrrp.track.clone());
    track(old) == track(new)
}
