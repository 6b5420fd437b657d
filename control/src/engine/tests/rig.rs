//! An engine on a bench: virtual time, backends that answer as they are told, the plan as a line of text.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    engine::{
        Action, Answer, Engine, Event, Failure, Operation, PassiveSample, ProbeFailure, ProbeResult,
    },
    health::Transition,
    name::BackendKey,
    plan::{Duty, Plan, PoolPlan},
    spec::{
        AgentSpec, BackendSpec, Balance, CheckSpec, PoolSpec, ProbeKind, ServiceSpec, Share, Spec,
        check::PassiveSpec,
        pool::{ConnectSpec, QueueSpec},
        service::{Listen, Scheme, ServiceKind, TcpSpec},
    },
    status::BackendStatus,
    time::Instant,
};

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 80))
}

pub(super) fn key(pool: &str, host: u8) -> BackendKey {
    format!("{pool}/{}", address(host)).parse().unwrap()
}

pub(super) fn backend(host: u8) -> BackendSpec {
    BackendSpec {
        weight: 10,
        ..BackendSpec::at(address(host))
    }
}

pub(super) fn check() -> CheckSpec {
    CheckSpec {
        probe: ProbeKind::Tcp {
            send: None,
            expect: None,
        },
        interval: secs(2),
        interval_down: secs(2),
        jitter: Share::NONE,
        timeout: secs(1),
        rise: 2,
        fall: 3,
        port: None,
        source: None,
        damping: None,
    }
}

pub(super) fn agent() -> AgentSpec {
    AgentSpec {
        port: 9999,
        send: None,
        interval: secs(2),
        timeout: secs(1),
    }
}

/// A pool with backends 10.0.0.N:80 for each N in `hosts`, checked by [`check`].
pub(super) fn pool(name: &str, hosts: &[u8]) -> PoolSpec {
    PoolSpec {
        name: name.parse().unwrap(),
        balance: Balance::RoundRobin,
        checks: vec![check()],
        agent: None,
        passive: PassiveSpec::default(),
        panic_below: Share::NONE,
        slow_start: Duration::ZERO,
        queue: QueueSpec::default(),
        drain: Some(secs(30)),
        connect: ConnectSpec::default(),
        backends: hosts.iter().copied().map(backend).collect(),
    }
}

pub(super) fn unchecked(name: &str, hosts: &[u8]) -> PoolSpec {
    PoolSpec {
        checks: Vec::new(),
        ..pool(name, hosts)
    }
}

pub(super) fn service(name: &str, pool: &str) -> ServiceSpec {
    ServiceSpec {
        name: name.parse().unwrap(),
        listen: vec![Listen::new(Scheme::Tcp, ([127, 0, 0, 1], 8080).into())],
        kind: ServiceKind::Tcp(TcpSpec::to_pool(pool.parse().unwrap())),
        accept_proxy_protocol: Vec::new(),
        max_connections: None,
        access_log: None,
    }
}

pub(super) fn spec(pools: impl IntoIterator<Item = PoolSpec>) -> Spec {
    Spec {
        pools: pools.into_iter().map(Arc::new).collect(),
        ..Spec::default()
    }
}

pub(super) struct Rig {
    pub(super) engine: Engine,
    pub(super) now: Instant,
    /// What probes of a backend find; those not named here pass.
    pub(super) ill: BTreeMap<BackendKey, Failure>,
    /// What agents say; those not named here cannot be reached.
    pub(super) agents: BTreeMap<BackendKey, String>,
    pub(super) probes: usize,
    pub(super) transitions: Vec<Transition>,
    pub(super) plans: Vec<Arc<Plan>>,
    pub(super) answers: Vec<Answer>,
}

impl Rig {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            now: Instant::at(secs(1000)),
            ill: BTreeMap::new(),
            agents: BTreeMap::new(),
            probes: 0,
            transitions: Vec::new(),
            plans: Vec::new(),
            answers: Vec::new(),
        }
    }

    pub(super) fn with(pools: impl IntoIterator<Item = PoolSpec>) -> Self {
        let mut rig = Self::new(Engine::new(1, Instant::at(secs(1000))));
        rig.apply(spec(pools));
        rig
    }

    pub(super) fn event(&mut self, event: Event) {
        self.engine.handle(event, self.now);
        self.perform();
    }

    pub(super) fn apply(&mut self, spec: Spec) {
        self.event(Event::Apply(Arc::new(spec)));
    }

    pub(super) fn operate(&mut self, operation: Operation) -> Answer {
        self.event(Event::Operate(operation));
        self.answers.pop().unwrap()
    }

    pub(super) fn sample(&mut self, backend: BackendKey, passed: u32, failed: u32) {
        self.event(Event::Traffic(PassiveSample {
            backend,
            passed,
            failed,
            failed_in_a_row: failed,
        }));
    }

    /// Backend `key` fails its probes from now on.
    pub(super) fn break_down(&mut self, key: &BackendKey) {
        self.ill.insert(key.clone(), Failure::Connect);
    }

    /// Lets time pass; probes are answered at once.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.now = next.max(self.now);
            self.engine.handle_timeout(self.now);
            self.perform();
        }
        self.now = end;
    }

    fn perform(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            let answer = match action {
                Action::Plan(plan) => {
                    self.plans.push(plan);
                    continue;
                }
                Action::Transition(transition) => {
                    self.transitions.push(transition);
                    continue;
                }
                Action::Answer(answer) => {
                    self.answers.push(answer);
                    continue;
                }
                Action::Probe {
                    backend, check, id, ..
                } => {
                    self.probes += 1;
                    let ill = self.ill.get(&backend);
                    Event::Probed {
                        result: ProbeResult {
                            outcome: ill.map_or(Ok(()), |kind| Err(failure(*kind))),
                            took: Duration::from_millis(3),
                        },
                        backend,
                        check,
                        id,
                    }
                }
                Action::AskAgent { backend, id, .. } => Event::Agent {
                    reply: self
                        .agents
                        .get(&backend)
                        .cloned()
                        .ok_or(failure(Failure::Connect)),
                    backend,
                    id,
                },
            };
            self.engine.handle(answer, self.now);
        }
    }

    pub(super) fn status(&self, key: &BackendKey) -> BackendStatus {
        self.engine.backend(key, self.now).unwrap()
    }

    pub(super) fn pool(&self, name: &str) -> Arc<PoolPlan> {
        let name = name.parse().unwrap();
        Arc::clone(&self.engine.plan().pools[&name])
    }

    /// The pool's members in order, as `1:take 2:avoid 3:finish`, and ` panic` if it does.
    pub(super) fn duties(&self, name: &str) -> String {
        let pool = self.pool(name);
        let member = |m: &crate::plan::MemberPlan| {
            let SocketAddr::V4(v4) = m.address() else {
                return "?".into();
            };
            let duty = match m.duty {
                Duty::Take => "take",
                Duty::Finish { .. } => "finish",
                Duty::Avoid => "avoid",
            };
            format!("{}:{duty}", v4.ip().octets()[3])
        };
        let mut members: Vec<String> = pool.members.iter().map(member).collect();
        members.extend(pool.panic.then(|| "panic".into()));
        members.join(" ")
    }

    /// The transitions since the last look, as `up>down`.
    pub(super) fn changes(&mut self) -> Vec<String> {
        let all = self.transitions.drain(..);
        all.map(|t| format!("{} {}>{}", t.backend, t.from, t.to))
            .collect()
    }
}

fn failure(kind: Failure) -> ProbeFailure {
    ProbeFailure {
        kind,
        detail: "connection refused".into(),
    }
}
