//! The engine at the end of a wire that can be tampered with, to see that the oracles would notice.

use std::{collections::BTreeMap, sync::Arc};

use control::{
    engine::{Action, Engine, Event, Failure, Operation, Refusal},
    health::State,
    name::Name,
    plan::{Plan, PoolPlan},
    spec::{PoolSpec, Share, Spec},
    time::Instant,
};

use crate::servers::failure;

/// What is wrong with the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Nothing.
    None,
    /// Every probe seems to pass.
    HideFailures,
    /// Every probe seems to fail.
    HidePasses,
    /// Drains are answered but not done.
    SwallowDrains,
    /// Refusals are answered, and something is done all the same.
    ActOnRefusals,
    /// Pools may have all their backends ejected.
    EjectAll,
    /// Every probe is asked for twice.
    ProbeTwice,
    /// The engine is always due.
    AlwaysDue,
    /// The parts of a plan are made anew though they are equal.
    CopyParts,
    /// Nobody says that a drain is over.
    SwallowDrained,
}

pub(crate) struct Wire {
    engine: Engine,
    sabotage: Sabotage,
    echo: Option<Action>,
    redirected: bool,
    asked: Arc<Spec>,
    /// Pool plans as they came, and as they are shown.
    disguised: BTreeMap<Name, (Arc<PoolPlan>, Arc<PoolPlan>)>,
}

impl Wire {
    pub(crate) fn new(engine: Engine, sabotage: Sabotage) -> Self {
        Self {
            engine,
            sabotage,
            echo: None,
            redirected: false,
            asked: Arc::default(),
            disguised: BTreeMap::new(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn handle(&mut self, mut event: Event, now: Instant) {
        match (self.sabotage, &mut event) {
            (Sabotage::HideFailures, Event::Probed { result, .. }) => result.outcome = Ok(()),
            (Sabotage::HidePasses, Event::Probed { result, .. }) => {
                result.outcome = Err(failure(Failure::Connect));
            }
            (Sabotage::SwallowDrains, Event::Operate(Operation::Drain(key, _))) => {
                event = Event::Operate(Operation::Enable(key.clone()));
            }
            (Sabotage::EjectAll, Event::Apply(spec)) => {
                self.asked = std::mem::replace(spec, Arc::new(eject_all(spec)));
            }
            (Sabotage::SwallowDrained, Event::Drained(_)) => return,
            (Sabotage::ActOnRefusals, Event::Operate(operation)) => self.redirect(operation),
            _ => {}
        }
        self.engine.handle(event, now);
    }

    /// Shows a plan with the pools as they were asked for.
    fn disguise(&mut self, plan: &Plan) -> Arc<Plan> {
        let mut shown = plan.clone();
        for (name, pool) in &mut shown.pools {
            let known = self
                .disguised
                .get(name)
                .filter(|(came, _)| Arc::ptr_eq(came, pool));
            let disguised = known
                .map(|(_, shown)| Arc::clone(shown))
                .unwrap_or_else(|| {
                    Arc::new(PoolPlan {
                        spec: Arc::clone(self.asked.pool(name).unwrap_or(&pool.spec)),
                        members: pool.members.clone(),
                        panic: pool.panic,
                    })
                });
            let came = std::mem::replace(pool, disguised);
            self.disguised
                .insert(name.clone(), (came, Arc::clone(pool)));
        }
        Arc::new(shown)
    }

    /// Aims what would be refused at a backend that is there.
    fn redirect(&mut self, operation: &mut Operation) {
        let now = Instant::ZERO;
        let mut present = self
            .engine
            .backends(now)
            .filter(|b| !b.removed && b.state == State::Up);
        if self.engine.backend(operation.backend(), now).is_none()
            && let Some(victim) = present.next()
        {
            *operation = Operation::Disable(victim.key());
            self.redirected = true;
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
    }

    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        match self.sabotage {
            Sabotage::AlwaysDue => Some(now),
            _ => self.engine.next_deadline(),
        }
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        if let Some(echo) = self.echo.take() {
            return Some(echo);
        }
        let action = self.engine.poll_action()?;
        match (self.sabotage, &action) {
            (Sabotage::ProbeTwice, Action::Probe { .. }) => self.echo = Some(twin(&action)),
            (Sabotage::EjectAll, Action::Plan(plan)) => {
                return Some(Action::Plan(self.disguise(plan)));
            }
            (Sabotage::CopyParts, Action::Plan(plan)) => return Some(Action::Plan(copied(plan))),
            (Sabotage::ActOnRefusals, Action::Answer(Ok(()))) if self.redirected => {
                self.redirected = false;
                return Some(Action::Answer(Err(Refusal::NoSuchBackend)));
            }
            _ => {}
        }
        Some(action)
    }
}

fn eject_all(spec: &Spec) -> Spec {
    let lenient = |pool: &Arc<PoolSpec>| {
        let mut pool = PoolSpec::clone(pool);
        pool.passive.max_ejected = Share::ALL;
        Arc::new(pool)
    };
    Spec {
        pools: spec.pools.iter().map(lenient).collect(),
        ..spec.clone()
    }
}

fn twin(action: &Action) -> Action {
    match action {
        Action::Probe {
            backend,
            check,
            id,
            spec,
            target,
            state,
        } => Action::Probe {
            backend: backend.clone(),
            check: *check,
            id: id + 1_000_000,
            spec: Arc::clone(spec),
            target: *target,
            state: *state,
        },
        _ => unreachable!("only probes have twins"),
    }
}

fn copied(plan: &Plan) -> Arc<Plan> {
    let copy = |pool: &Arc<PoolPlan>| {
        Arc::new(PoolPlan {
            spec: Arc::clone(&pool.spec),
            members: pool.members.clone(),
            panic: pool.panic,
        })
    };
    let mut plan = plan.clone();
    plan.pools.values_mut().for_each(|pool| *pool = copy(pool));
    Arc::new(plan)
}
