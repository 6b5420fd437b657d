//! The net plane of this process: started when this process serves and a configuration first has vips, told every plan.
//!
//! Two processes that take over from one another hold the same addresses for a moment, which nobody notices: the
//! successor begins before its predecessor rests.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use control::{
    engine::Event,
    name::Name,
    plan::{Plan, VipPlan},
    spec::{Spec, VipSpec},
};
use l4::status::L4Status;
use proxy::plane::Plane;
use tokio::sync::mpsc;

use super::{
    drain::{Closed, drain},
    handle::Rejected,
    kernel::{Held, Kernel},
};
use crate::{
    api::model::VipStatus,
    vrrp::{Order, Told, Vrrp},
};

/// How long an address takes at most to go, once that was decided.
const GONE: Duration = Duration::from_millis(500);

/// Where the net plane is, if there is one.
pub(crate) struct Vips {
    state: Mutex<State>,
    events: mpsc::UnboundedSender<Event>,
    kernel: Arc<Kernel>,
    plane: Arc<Plane>,
}

/// Whoever begins to connect to addresses that go is not heard while there is one.
#[derive(Default)]
#[must_use = "they are heard again when it is dropped"]
pub(super) struct Leaving {
    #[expect(dead_code, reason = "for its end")]
    closed: Option<Closed>,
    #[expect(dead_code, reason = "for its end")]
    held: Option<Held>,
}

#[derive(Default)]
struct State {
    /// Of the last plan.
    vips: Arc<[Arc<VipPlan>]>,
    /// How long connections may take that are to finish.
    drain: Duration,
    /// This process may hold them; and whether its predecessor did.
    begun: Option<bool>,
    running: Option<Arc<Vrrp>>,
}

impl std::fmt::Debug for Vips {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vips")
    }
}

impl Vips {
    pub(super) fn new(
        events: mpsc::UnboundedSender<Event>,
        kernel: Arc<Kernel>,
        plane: Arc<Plane>,
    ) -> Self {
        Self {
            state: Mutex::default(),
            events,
            kernel,
            plane,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a configuration could be carried out by this process.
    pub(super) fn try_out(&self, spec: &Spec) -> Result<(), Rejected> {
        if spec.vips.is_empty() {
            return Ok(());
        }
        Vrrp::try_out().map_err(|error| {
            Rejected::Plane(format!(
                "vips need raw sockets, which this process may not have: {error}; it keeps CAP_NET_RAW and \
                 CAP_NET_ADMIN if it is started with a configuration that has vips"
            ))
        })
    }

    /// From now on this process holds what plans say. `adopt`: its predecessor did until now.
    pub(super) fn begin(&self, adopt: bool) {
        let mut state = self.state();
        state.begun = Some(adopt);
        self.follow(&mut state);
    }

    /// Has it go by a plan. Never waits, but for the first.
    pub(super) fn apply(&self, plan: &Plan) {
        let mut state = self.state();
        state.drain = plan.proxy.drain;
        if Arc::ptr_eq(&state.vips, &plan.vips) {
            return;
        }
        state.vips = Arc::clone(&plan.vips);
        self.follow(&mut state);
    }

    fn follow(&self, state: &mut State) {
        let Some(adopt) = state.begun else { return };
        if state.running.is_none() && !state.vips.is_empty() {
            let kernel = Arc::clone(&self.kernel);
            let data_plane = Arc::new(move || attached(&kernel));
            let in_sync = self.kernel.in_sync();
            let kernel = Arc::clone(&self.kernel);
            let patience = Box::new(move |expected| kernel.expect_flows(expected));
            let kernel = Arc::clone(&self.kernel);
            let moves = Box::new(move || kernel.addresses_move());
            let told = Told { patience, moves };
            match Vrrp::start(self.events.clone(), data_plane, told, in_sync, adopt) {
                Ok(vrrp) => state.running = Some(Arc::new(vrrp)),
                Err(error) => {
                    tracing::error!(%error, "vips are not held: the net plane does not start")
                }
            }
            state.begun = Some(false);
        }
        if let Some(running) = &state.running {
            running.apply(&state.vips);
        }
    }

    fn running(&self) -> Option<Arc<Vrrp>> {
        self.state().running.clone()
    }

    fn end(&self) -> Option<Vrrp> {
        let mut state = self.state();
        state.begun = None;
        let mut running = state.running.take()?;
        drop(state);
        // An answer of the API that is just being made has it for a moment.
        for _ in 0..100 {
            match Arc::try_unwrap(running) {
                Ok(vrrp) => return Some(vrrp),
                Err(still) => running = still,
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        None
    }

    /// Before addresses go that this node has by VRRP, of all groups or this one: connections of the proxy by them finish,
    /// and other nodes are told of all of the kernel's.
    pub(super) async fn drain(&self, group: Option<&Name>) -> Leaving {
        let vips = self.status().await;
        let held = |spec: &VipSpec| {
            let of_group = group.is_none_or(|group| spec.group() == group);
            let name = spec.name.as_str();
            let mut its = vips.iter().filter(|vip| vip.name == name);
            of_group && its.any(|vip| vip.id != 0 && vip.state == "master")
        };
        let (addresses, limit) = {
            let state = self.state();
            let specs = state.vips.iter().map(|plan| &plan.spec);
            let held = specs.filter(|spec| held(spec));
            let all = held.flat_map(|spec| spec.addresses.iter().chain(&spec.excluded));
            let all: Vec<IpAddr> = all.map(|address| address.address.addr()).collect();
            (all, state.drain)
        };
        if addresses.is_empty() {
            return Leaving::default();
        }
        Leaving {
            closed: drain(&self.plane, addresses, limit).await,
            held: self.kernel.tell_all().await,
        }
    }

    /// Gives all up, and tells the other nodes.
    pub(super) async fn stop(&self) {
        if let Some(vrrp) = self.end() {
            vrrp.stop().await;
        }
    }

    /// Leaves all to a successor.
    pub(super) fn rest(&self) {
        if let Some(vrrp) = self.end() {
            vrrp.rest();
        }
    }

    /// How things are.
    pub(crate) async fn status(&self) -> Vec<VipStatus> {
        match self.running() {
            Some(vrrp) => vrrp.status().await,
            None => Vec::new(),
        }
    }

    /// Has a group do what an operator asks; none: there is no such group.
    pub(crate) async fn order(&self, group: Name, order: Order) -> Option<Result<(), String>> {
        let running = self.running()?;
        if order != Order::Release {
            return running.order(group, order).await;
        }
        let leaving = self.drain(Some(&group)).await;
        let done = running.order(group, order).await;
        // The address is another node's by then.
        drop(tokio::spawn(async move {
            tokio::time::sleep(GONE).await;
            drop(leaving);
        }));
        done
    }
}

fn attached(kernel: &Kernel) -> Result<(), String> {
    let Some(plane) = kernel.running() else {
        return Err("it does not run".into());
    };
    let L4Status { interfaces, .. } = plane.status();
    match interfaces.into_iter().find(|i| i.mode.is_none()) {
        Some(missing) => Err(format!("it is not attached to {}", missing.interface)),
        None => Ok(()),
    }
}
