//! How things are, in the words of the API.

use std::collections::BTreeMap;

use proto::{
    time::Instant,
    vrrp::machine::{Router, State},
};

use super::{bundle::Bundle, report::family_name, seat::Seat, track::Vip};
use crate::api::model::{TrackStatus, VipStatus, VipTransitions};

/// Every virtual router, and every vip that this node always has.
pub(super) fn all(bundles: &[Bundle], now: Instant) -> Vec<VipStatus> {
    let of = |bundle: &'_ Bundle| -> Vec<VipStatus> {
        let seats = bundle.seats.iter().enumerate();
        seats
            .map(|(at, seat)| one(bundle, seat, bundle.router(at), now))
            .collect()
    };
    bundles.iter().flat_map(of).collect()
}

fn one(bundle: &Bundle, seat: &Seat, router: Option<&Router>, now: Instant) -> VipStatus {
    let spec = &seat.plan.spec;
    let mut shown = VipStatus {
        name: spec.name.to_string(),
        group: bundle.name.to_string(),
        family: family_name(seat.family).into(),
        interface: spec.interface.clone(),
        addresses: seat
            .assigned()
            .iter()
            .map(|a| a.address.to_string())
            .collect(),
        state: if seat.held.is_some() {
            "master"
        } else {
            "fault"
        }
        .into(),
        why: "this node always has it".into(),
        held: seat.held.is_some() && seat.address_error.is_none(),
        error: seat
            .address_error
            .clone()
            .or_else(|| seat.send_error.clone())
            .or_else(|| seat.way_error.clone())
            .or_else(|| seat.refusal_error.clone()),
        routes: seat.ways().routes.iter().map(ToString::to_string).collect(),
        rules: seat.ways().rules.iter().map(ToString::to_string).collect(),
        refuses: spec.vrrp.as_ref().is_some_and(|vrrp| !vrrp.accept),
        ..VipStatus::default()
    };
    if let Some(router) = router {
        virtual_router(&mut shown, seat, router, now);
        shown.track = bundle.vips.get(seat.vip).map(tracks).unwrap_or_default();
    }
    shown
}

fn virtual_router(shown: &mut VipStatus, seat: &Seat, router: &Router, now: Instant) {
    let config = router.config();
    let counters = router.counters();
    shown.state = router.state().name().into();
    shown.since_seconds = now.saturating_since(router.since()).as_secs_f64();
    shown.why.clone_from(&seat.why);
    shown.id = config.vrid.number();
    shown.version = config.version.number();
    shown.priority = router.priority().0;
    shown.configured_priority = config.priority.0;
    shown.interval_seconds = config.interval.duration().as_secs_f64();
    shown.source = router.primary().map(|address| address.to_string());
    if let Some(master) = router.current_master() {
        shown.master = Some(master.from.to_string());
        shown.master_priority = Some(master.priority.0);
    }
    shown.released = router.is_released();
    shown.promoted = router.is_promoted();
    shown.faults = router
        .faults()
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    if router.state() == State::Fault && router.primary().is_none() {
        let what = format!(
            "{} is down or has no address to send from",
            seat.interface()
        );
        shown.faults.insert(0, what);
    }
    shown.split_brain_with = router.rival().map(|peer| peer.to_string());
    shown.split_brains = counters.split_brains;
    shown.adverts_sent = counters.sent;
    shown.adverts_received = counters.received;
    shown.releases_sent = counters.sent_releases;
    shown.releases_received = counters.received_releases;
    shown.became_master = counters.became_master;
    shown.send_errors = seat.send_errors;
    shown.last_refusal.clone_from(&seat.last_refusal);
    shown.refused = refused(seat, router);
    shown.transitions = transitions(seat);
}

fn refused(seat: &Seat, router: &Router) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let of_wire = seat.router.as_ref().map(|(wire, _)| wire.refusals());
    let counts = [
        Some(&seat.unread),
        of_wire,
        Some(&router.counters().refused),
    ];
    for (cause, count) in counts
        .into_iter()
        .flatten()
        .flat_map(|counts| counts.iter())
    {
        if count > 0 {
            *all.entry(cause.name().to_owned()).or_default() += count;
        }
    }
    all
}

fn transitions(seat: &Seat) -> Vec<VipTransitions> {
    let all = seat.transitions.iter();
    all.map(|((to, reason), count)| VipTransitions {
        to: to.name().into(),
        reason: (*reason).into(),
        count: *count,
    })
    .collect()
}

fn tracks(vip: &Vip) -> Vec<TrackStatus> {
    let Some(vrrp) = &vip.plan.spec.vrrp else {
        return Vec::new();
    };
    let tracks = vrrp.track.iter().zip(&vip.failing);
    tracks
        .map(|(track, failing)| TrackStatus {
            name: track.what.label(),
            weight: track.weight,
            failing: failing.clone(),
        })
        .collect()
}
