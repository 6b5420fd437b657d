//! The thread that makes probes.

use std::{
    io,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use control::{
    engine::{Event, Failure, ProbeResult},
    health::{PROBE_GRACE, State},
    name::BackendKey,
    spec::{AgentSpec, CheckSpec, ProbeKind},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::LocalSet,
};

use super::{
    Job, Verdict, agent, attempt::Attempt, dns, exec, failure::fail, http, tcp, tls, tools::Tools,
    udp,
};

/// How long a probe may wait for its turn. The engine takes one for failed that is not answered some time after
/// its timeout; a node that probes more than it can must not take backends down.
const TURN: Duration = Duration::from_secs(1);
const _: () = assert!(TURN.as_millis() < PROBE_GRACE.as_millis());

/// Makes probes on a thread of its own; dropped, it gives up those under way.
#[derive(Debug)]
pub struct Prober {
    /// Unbounded, since the engine never waits; it has at most one probe of each check of each backend under way,
    /// and that bounds what can be in here.
    jobs: mpsc::UnboundedSender<(Job, Instant)>,
}

impl Prober {
    /// Starts the thread. At most `at_once` probes are under way, each with one descriptor (a script: three);
    /// further ones wait, and those that wait too long are given up as this node's own fault. What comes of each
    /// goes to `events`; while that is full, no new probe starts.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(events: mpsc::Sender<Event>, at_once: usize) -> io::Result<Self> {
        let (jobs, arriving) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let _ = thread::Builder::new()
            .name("probes".into())
            .spawn(move || LocalSet::new().block_on(&runtime, run(arriving, events, at_once)))?;
        Ok(Self { jobs })
    }

    /// Queues one thing to ask.
    pub fn queue(&self, job: Job) {
        // The thread ends only with the process; a probe that is not made then has nobody to tell.
        let _ = self.jobs.send((job, Instant::now()));
    }
}

async fn run(
    mut jobs: mpsc::UnboundedReceiver<(Job, Instant)>,
    events: mpsc::Sender<Event>,
    at_once: usize,
) {
    let tools = Rc::new(Tools::new());
    let permits = Arc::new(Semaphore::new(at_once));
    while let Some((job, queued)) = jobs.recv().await {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let (tools, events) = (Rc::clone(&tools), events.clone());
        drop(tokio::task::spawn_local(async move {
            let event = if queued.elapsed() > TURN {
                give_up(job)
            } else {
                carry_out(job, tools).await
            };
            let _ = events.send(event).await;
            drop(permit);
        }));
    }
}

async fn carry_out(job: Job, tools: Rc<Tools>) -> Event {
    match job {
        Job::Check {
            backend,
            check,
            id,
            spec,
            target,
            state,
        } => {
            let attempt = Attempt::new(backend.clone(), target, spec.source, tools);
            let started = Instant::now();
            let outcome = attempt_check(&attempt, &spec, state).await;
            let took = started.elapsed();
            Event::Probed {
                backend,
                check,
                id,
                result: ProbeResult { outcome, took },
            }
        }
        Job::Agent {
            backend,
            id,
            spec,
            target,
        } => ask_agent(backend, id, &spec, target, tools).await,
    }
}

async fn attempt_check(attempt: &Attempt, spec: &CheckSpec, state: State) -> Verdict {
    if let ProbeKind::Udp { send, expect: None } = &spec.probe {
        return udp::probe_for_refusal(attempt, send, spec.timeout).await;
    }
    let probing = async {
        match &spec.probe {
            ProbeKind::Tcp { send, expect } => {
                tcp::probe(attempt, send.as_deref(), expect.as_ref()).await
            }
            ProbeKind::Http(http) => http::probe(attempt, http).await,
            ProbeKind::Tls(tls) => tls::probe(attempt, tls).await,
            ProbeKind::Udp { send, expect } => udp::probe(attempt, send, expect.as_ref()).await,
            ProbeKind::Dns {
                name,
                record,
                expect,
            } => dns::probe(attempt, name, record, expect.as_deref()).await,
            ProbeKind::Exec(script) => exec::probe(attempt, script, state).await,
        }
    };
    attempt.within(spec.timeout, probing).await
}

async fn ask_agent(
    backend: BackendKey,
    id: u64,
    spec: &AgentSpec,
    target: std::net::SocketAddr,
    tools: Rc<Tools>,
) -> Event {
    let attempt = Attempt::new(backend.clone(), target, None, tools);
    let reply = attempt
        .within(spec.timeout, agent::ask(&attempt, spec))
        .await;
    Event::Agent { backend, id, reply }
}

/// The answer to a job whose turn came too late.
fn give_up(job: Job) -> Event {
    let busy = fail(Failure::Local, "too many probes are under way on this node");
    match job {
        Job::Check {
            backend, check, id, ..
        } => Event::Probed {
            backend,
            check,
            id,
            result: ProbeResult {
                outcome: Err(busy),
                took: Duration::ZERO,
            },
        },
        Job::Agent { backend, id, .. } => Event::Agent {
            backend,
            id,
            reply: Err(busy),
        },
    }
}
