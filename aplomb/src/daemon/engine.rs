//! The thread that owns the engine: it waits for nothing but events and deadlines.
//!
//! Carrying an action out only queues it to who does it: probes to the prober, plans to the workers. So nothing
//! that is slow, be it a backend, a disk or an operator, ever delays what the engine has to say next.

use std::{collections::VecDeque, io, sync::Arc, thread, time::Duration};

use control::{
    engine::{Action, Answer, Engine, Event, Operation},
    health::{State, Transition},
    plan::Plan,
    spec::Spec,
    status::{BackendStatus, Saved},
};
use proxy::plane::{Done, Plane, Prepared};
use tokio::sync::{mpsc, oneshot};

use super::{clock, kernel::Kernel, vips::Vips};
use crate::probe::{Job, Prober};

/// Events that may wait for the engine. It takes some microseconds over each; past this, samples of traffic are
/// dropped and probes wait.
pub(super) const EVENTS: usize = 4096;

/// Questions that may wait. Each has somebody waiting behind it.
const ASKS: usize = 64;

/// Events taken in before the plan they lead to is made.
const BATCH: usize = 256;

/// What can be asked of the engine.
pub(super) enum Ask {
    /// What it knows.
    Snapshot(oneshot::Sender<Snapshot>),
    /// To go by another configuration.
    Apply {
        /// Which.
        spec: Arc<Spec>,
        /// The sockets prepared for it.
        prepared: Prepared,
        /// Where the answer goes.
        reply: oneshot::Sender<Applied>,
    },
    /// To do something to a backend.
    Operate {
        /// What.
        operation: Operation,
        /// Where the answer goes.
        reply: oneshot::Sender<Answer>,
    },
    /// What a successor must know.
    Export(oneshot::Sender<Saved>),
    /// Whether it is alive.
    Ping(oneshot::Sender<()>),
    /// To end.
    Stop,
}

/// What the engine knows.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) spec: Arc<Spec>,
    pub(super) plan: Arc<Plan>,
    pub(super) backends: Vec<BackendStatus>,
}

/// A configuration is in force; the workers are about to know.
pub(super) struct Applied {
    pub(super) generation: u64,
    pub(super) workers: Done,
}

impl std::fmt::Debug for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Applied({})", self.generation)
    }
}

/// What reaches the engine from elsewhere than those who ask.
pub(super) struct Inputs {
    /// What happens.
    pub(super) events: mpsc::Receiver<Event>,
    /// Backends that finished in a plane: [`Event::Drained`], [`Event::DrainedInKernel`].
    pub(super) drained: mpsc::UnboundedReceiver<Event>,
}

/// Starts the thread.
pub(super) fn start(
    engine: Engine,
    (plane, kernel, vips): (Arc<Plane>, Arc<Kernel>, Arc<Vips>),
    prober: Prober,
    inputs: Inputs,
) -> io::Result<(mpsc::Sender<Ask>, thread::JoinHandle<()>)> {
    let (asks, asked) = mpsc::channel(ASKS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let driver = Driver {
        engine,
        plane,
        kernel,
        vips,
        prober,
        waiting: VecDeque::new(),
    };
    let thread = thread::Builder::new()
        .name("engine".into())
        .spawn(move || runtime.block_on(driver.run(asked, inputs)))?;
    Ok((asks, thread))
}

struct Driver {
    engine: Engine,
    plane: Arc<Plane>,
    kernel: Arc<Kernel>,
    vips: Arc<Vips>,
    prober: Prober,
    /// Who waits for the engine's answers, in the order that they come.
    waiting: VecDeque<Waiting>,
}

enum Waiting {
    Apply {
        prepared: Option<Prepared>,
        workers: Option<Done>,
        reply: oneshot::Sender<Applied>,
    },
    Operate(oneshot::Sender<Answer>),
}

impl Driver {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>, mut inputs: Inputs) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.carry_out();
            let idle = self.until_deadline();
            tokio::select! {
                biased;
                Some(ask) = asked.recv() => {
                    if matches!(ask, Ask::Stop) {
                        return;
                    }
                    self.answer(ask);
                }
                Some(event) = inputs.drained.recv() => self.handle(event),
                _ = inputs.events.recv_many(&mut batch, BATCH) => {
                    batch.drain(..).for_each(|event| self.handle(event));
                }
                () = tokio::time::sleep(idle) => {}
            }
            // Also when events never let the sleep above end.
            if self.until_deadline().is_zero() {
                self.engine.handle_timeout(clock::now());
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.engine.handle(event, clock::now());
    }

    fn until_deadline(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(3600);
        self.engine
            .next_deadline()
            .map_or(LONG, |at| at.saturating_since(clock::now()))
    }

    fn answer(&mut self, ask: Ask) {
        // Whoever has given up waiting is not told.
        match ask {
            Ask::Snapshot(reply) => {
                let _ = reply.send(self.snapshot());
            }
            Ask::Apply {
                spec,
                prepared,
                reply,
            } => {
                self.waiting.push_back(Waiting::Apply {
                    prepared: Some(prepared),
                    workers: None,
                    reply,
                });
                self.handle(Event::Apply(spec));
            }
            Ask::Operate { operation, reply } => {
                self.waiting.push_back(Waiting::Operate(reply));
                self.handle(Event::Operate(operation));
            }
            Ask::Export(reply) => {
                let _ = reply.send(self.engine.export(clock::now()));
            }
            Ask::Ping(reply) => {
                let _ = reply.send(());
            }
            Ask::Stop => {}
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            spec: Arc::clone(self.engine.spec()),
            plan: Arc::clone(self.engine.plan()),
            backends: self.engine.backends(clock::now()).collect(),
        }
    }

    /// Queues everything that the engine has to say.
    fn carry_out(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Plan(plan) => self.plan(&plan),
                Action::Probe {
                    backend,
                    check,
                    id,
                    spec,
                    target,
                    state,
                } => self.prober.queue(Job::Check {
                    backend,
                    check,
                    id,
                    spec,
                    target,
                    state,
                }),
                Action::AskAgent {
                    backend,
                    id,
                    spec,
                    target,
                } => self.prober.queue(Job::Agent {
                    backend,
                    id,
                    spec,
                    target,
                }),
                Action::Answer(answer) => self.pass_on(answer),
                Action::Transition(transition) => log(&transition),
            }
        }
    }

    /// Has the workers become what the plan says, with the sockets of the configuration it came from, if it is new.
    fn plan(&mut self, plan: &Arc<Plan>) {
        self.kernel.apply(plan);
        self.vips.apply(plan);
        let waiting = self.waiting.iter_mut().find_map(|waiting| match waiting {
            Waiting::Apply {
                prepared: prepared @ Some(_),
                workers,
                ..
            } => Some((prepared.take(), workers)),
            _ => None,
        });
        match waiting {
            Some((prepared, workers)) => *workers = Some(self.plane.apply(plan, prepared)),
            None => drop(self.plane.apply(plan, None)),
        }
    }

    fn pass_on(&mut self, answer: Answer) {
        match self.waiting.pop_front() {
            Some(Waiting::Operate(reply)) => {
                let _ = reply.send(answer);
            }
            Some(Waiting::Apply {
                prepared,
                workers,
                reply,
            }) => {
                // A configuration without a difference for planes has led to no plan.
                let plan = self.engine.plan();
                let workers = workers.unwrap_or_else(|| self.plane.apply(plan, prepared));
                let _ = reply.send(Applied {
                    generation: plan.generation,
                    workers,
                });
            }
            None => {}
        }
    }
}

fn log(transition: &Transition) {
    let Transition {
        backend,
        from,
        to,
        why,
    } = transition;
    if *to == State::Down {
        tracing::warn!(%backend, %from, %to, why, "backend is {to}");
    } else {
        tracing::info!(%backend, %from, %to, why, "backend is {to}");
    }
}
