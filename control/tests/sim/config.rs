//! Configurations that follow each other as an operator's edits would.

use std::{sync::Arc, time::Duration};

use control::{
    name::{BackendKey, Name},
    spec::{
        AgentSpec, BackendSpec, Balance, CheckSpec, Forward, KernelSpec, PoolSpec, ProbeKind,
        ServiceSpec, Share, Spec,
        check::{DampingSpec, PassiveSpec},
        pool::{ConnectSpec, QueueSpec},
        service::{Listen, Scheme, ServiceKind, TcpSpec},
    },
};

use crate::{
    dice::Dice,
    servers::{SERVERS, address},
};

const POOLS: [&str; 4] = ["web", "api", "img", "raw"];

fn name(text: &str) -> Name {
    text.parse().expect("these names are names")
}

/// The configuration as it is now, and how it goes on.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pools: Vec<PoolSpec>,
    services: Vec<ServiceSpec>,
}

impl Config {
    pub(crate) fn initial(dice: &mut Dice) -> Self {
        let mut config = Self::default();
        for _ in 0..3 {
            config.add_pool(dice);
        }
        config.add_service(dice);
        config
    }

    pub(crate) fn spec(&self) -> Spec {
        Spec {
            pools: self.pools.iter().cloned().map(Arc::new).collect(),
            services: self.services.iter().cloned().map(Arc::new).collect(),
            ..Spec::default()
        }
    }

    pub(crate) fn any_backend(&self, dice: &mut Dice) -> Option<BackendKey> {
        let pool = self.pools.get(dice.below(self.pools.len()))?;
        let backend = pool.backends.get(dice.below(pool.backends.len()))?;
        Some(BackendKey {
            pool: pool.name.clone(),
            address: backend.address,
        })
    }

    /// A few edits.
    pub(crate) fn edit(&mut self, dice: &mut Dice) {
        for _ in 0..=dice.below(3) {
            self.edit_once(dice);
        }
    }

    fn edit_once(&mut self, dice: &mut Dice) {
        match dice.below(12) {
            0 => self.add_pool(dice),
            1 => self.remove_pool(dice),
            2 => self.add_service(dice),
            3 if !self.services.is_empty() => {
                let gone = dice.below(self.services.len());
                let _service = self.services.remove(gone);
            }
            n => {
                let pool = dice.below(self.pools.len());
                if let Some(pool) = self.pools.get_mut(pool) {
                    edit_pool(pool, n, dice);
                }
            }
        }
    }

    fn add_pool(&mut self, dice: &mut Dice) {
        let unused = |n: &&&str| self.pools.iter().all(|p| p.name.as_str() != **n);
        let Some(unused) = POOLS.iter().find(unused).copied() else {
            return;
        };
        let mut backends = Vec::new();
        for host in 1..=SERVERS {
            if dice.percent(40) {
                backends.push(backend(host, dice));
            }
        }
        self.pools.push(PoolSpec {
            name: name(unused),
            balance: Balance::RoundRobin,
            checks: (0..dice.below(3)).map(|_| check(dice)).collect(),
            agent: dice.percent(30).then(|| agent(dice)),
            passive: passive(dice),
            panic_below: dice.pick(&[Share::NONE, Share::NONE, Share::percent(50)]),
            slow_start: dice.pick(&[Duration::ZERO, Duration::from_secs(5)]),
            queue: QueueSpec::default(),
            drain: dice.pick(&[None, Some(Duration::from_secs(2)), Some(Duration::ZERO)]),
            connect: ConnectSpec::default(),
            backends,
        });
    }

    fn remove_pool(&mut self, dice: &mut Dice) {
        if self.pools.is_empty() {
            return;
        }
        let gone = self.pools.remove(dice.below(self.pools.len()));
        self.services
            .retain(|service| !service.pools().contains(&&gone.name));
    }

    fn add_service(&mut self, dice: &mut Dice) {
        let number = dice.below(3);
        self.services
            .retain(|s| s.name.as_str() != format!("s{number}"));
        let Some(pool) = self.pools.get(dice.below(self.pools.len())) else {
            return;
        };
        self.services.push(ServiceSpec {
            name: name(&format!("s{number}")),
            listen: vec![Listen::new(
                Scheme::Tcp,
                ([127, 0, 0, 1], 8000 + number as u16).into(),
            )],
            kind: if dice.percent(30) {
                let kernel = KernelSpec::new(Forward::Nat, pool.name.clone());
                ServiceKind::Kernel(Box::new(kernel))
            } else {
                ServiceKind::Tcp(TcpSpec::to_pool(pool.name.clone()))
            },
            accept_proxy_protocol: Vec::new(),
            max_connections: None,
            access_log: None,
        });
    }
}

fn edit_pool(pool: &mut PoolSpec, edit: usize, dice: &mut Dice) {
    let backends = pool.backends.len();
    match edit {
        3 | 4 => {
            let host = 1 + dice.below(usize::from(SERVERS)) as u8;
            if pool.backends.iter().all(|b| b.address != address(host)) {
                pool.backends
                    .insert(dice.below(backends + 1), backend(host, dice));
            }
        }
        5 if backends > 0 => {
            let _gone = pool.backends.remove(dice.below(backends));
        }
        6 if backends > 0 => {
            let backend = &mut pool.backends[dice.below(backends)];
            backend.weight = dice.pick(&[0, 1, 10, 100]);
        }
        7 if backends > 0 => {
            let backend = &mut pool.backends[dice.below(backends)];
            backend.disabled = !backend.disabled;
        }
        8 => match pool.checks.len() {
            0 => pool.checks.push(check(dice)),
            n if dice.percent(50) => pool.checks[dice.below(n)] = check(dice),
            n => {
                let _gone = pool.checks.remove(dice.below(n));
            }
        },
        9 => {
            pool.agent = match pool.agent {
                Some(_) => None,
                None => Some(agent(dice)),
            }
        }
        10 => pool.passive = passive(dice),
        _ => pool.backends.reverse(),
    }
}

fn backend(host: u8, dice: &mut Dice) -> BackendSpec {
    BackendSpec {
        weight: dice.pick(&[1, 10, 10, 200]),
        backup: dice.percent(15),
        disabled: dice.percent(5),
        ..BackendSpec::at(address(host))
    }
}

fn check(dice: &mut Dice) -> CheckSpec {
    CheckSpec {
        probe: ProbeKind::Tcp {
            send: None,
            expect: None,
        },
        interval: dice.millis(200, 2_000),
        interval_down: dice.millis(200, 2_000),
        jitter: dice.pick(&[
            Share::NONE,
            Share::percent(10),
            Share::percent(50),
            Share::ALL,
        ]),
        timeout: dice.millis(100, 1_000),
        rise: 1 + dice.below(3) as u16,
        fall: 1 + dice.below(4) as u16,
        port: None,
        source: None,
        damping: dice.percent(30).then(|| DampingSpec {
            changes: 1 + dice.below(3) as u16,
            window: Duration::from_secs(20),
            hold: Duration::from_secs(1),
            max_hold: Duration::from_secs(8),
        }),
    }
}

fn agent(dice: &mut Dice) -> AgentSpec {
    AgentSpec {
        port: 9999,
        send: None,
        interval: dice.millis(300, 2_000),
        timeout: dice.millis(100, 1_000),
    }
}

fn passive(dice: &mut Dice) -> PassiveSpec {
    PassiveSpec {
        consecutive: dice.pick(&[None, Some(3), Some(5)]),
        error_rate: dice.pick(&[None, Some(Share::percent(30))]),
        min_requests: 10,
        window: Duration::from_secs(3),
        eject: Duration::from_secs(2),
        max_eject: Duration::from_secs(10),
        max_ejected: dice.pick(&[Share::NONE, Share::percent(10), Share::percent(50)]),
    }
}
