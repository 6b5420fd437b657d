//! A plane in this process, backends on loopback, and a plan made by hand.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use control::{
    engine::PassiveSample,
    name::{BackendKey, Name},
    plan::{Duty, MemberPlan, Plan, PoolPlan, ServicePlan},
    spec::{
        AccessLogSpec, Balance, HttpSpec, Listen, PoolSpec, ProxySpec, RouteSpec, Scheme,
        ServiceKind, ServiceSpec, Share, Spec,
        check::PassiveSpec,
        pool::{ConnectSpec, QueueSpec},
        service::{TcpSpec, UdpSpec},
    },
};
use proxy::plane::{Options, Plane, Reports};

/// Long enough for anything that must happen; nothing waits this long unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the plane told of backends.
#[derive(Default)]
pub struct Told {
    pub samples: Mutex<Vec<PassiveSample>>,
    pub drained: Mutex<Vec<BackendKey>>,
}

impl Reports for Told {
    fn traffic(&self, sample: PassiveSample) {
        self.samples.lock().unwrap().push(sample);
    }
    fn drained(&self, backend: BackendKey) {
        self.drained.lock().unwrap().push(backend);
    }
}

/// A plane and what it was told to be.
pub struct Rig {
    pub plane: Plane,
    pub told: Arc<Told>,
    pub spec: Spec,
    plan: Plan,
}

impl Rig {
    pub fn new(workers: u16) -> Self {
        Self::inheriting(workers, Vec::new())
    }

    pub fn inheriting(workers: u16, inherited: Vec<(Listen, std::os::fd::OwnedFd)>) -> Self {
        let told = Arc::<Told>::default();
        let options = Options {
            workers: Some(workers),
            inherited,
            seed: 1,
            reports: Arc::clone(&told) as Arc<dyn Reports>,
        };
        Self {
            plane: Plane::start(options).unwrap(),
            told,
            spec: Spec::default(),
            plan: Plan::default(),
        }
    }

    /// A pool of the name `pool` with these backends.
    pub fn pool(
        &mut self,
        addresses: &[SocketAddr],
        edit: impl FnOnce(&mut PoolSpec),
    ) -> &mut Self {
        let mut spec = pool_spec(addresses);
        edit(&mut spec);
        let members = addresses.iter().map(|&address| member(address)).collect();
        self.members(spec, members)
    }

    /// That pool with members as given.
    pub fn members(&mut self, spec: PoolSpec, members: Vec<MemberPlan>) -> &mut Self {
        let plan = PoolPlan {
            spec: Arc::new(spec),
            members,
            panic: false,
        };
        self.plan.pools.insert(name("pool"), Arc::new(plan));
        self
    }

    /// A service before that pool.
    pub fn service(&mut self, kind: Kind, edit: impl FnOnce(&mut ServiceSpec)) -> &mut Self {
        let mut spec = ServiceSpec {
            name: name(kind.name()),
            listen: vec![kind.listen()],
            kind: kind.kind(),
            accept_proxy_protocol: Vec::new(),
            max_connections: None,
            access_log: None::<AccessLogSpec>,
        };
        edit(&mut spec);
        let spec = Arc::new(spec);
        self.spec.services.retain(|s| s.name != spec.name);
        self.spec.services.push(Arc::clone(&spec));
        let plan = Arc::new(ServicePlan { spec });
        self.plan.services.insert(plan.spec.name.clone(), plan);
        self
    }

    pub fn remove_service(&mut self, kind: Kind) -> &mut Self {
        self.spec
            .services
            .retain(|s| s.name.as_str() != kind.name());
        self.plan.services.remove(&name(kind.name()));
        self
    }

    pub fn proxy(&mut self, proxy: ProxySpec) -> &mut Self {
        self.plan.proxy = Arc::new(proxy);
        self
    }

    /// Binds and applies, and waits until every worker has.
    pub fn apply(&mut self) {
        let prepared = self.plane.prepare(&self.spec).unwrap();
        self.plan.generation += 1;
        self.plane
            .apply(&Arc::new(self.plan.clone()), Some(prepared))
            .wait_blocking();
    }

    /// Where the service is.
    pub fn address(&self, kind: Kind) -> SocketAddr {
        let listening = self.plane.listening();
        listening
            .iter()
            .find(|(l, _)| l.scheme == kind.scheme())
            .unwrap()
            .1
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.address(Kind::Tcp))
    }

    /// Waits until the plane's own counts say so.
    pub fn until(&self, what: impl Fn(&proxy::stats::Stats) -> bool) {
        wait_for(|| what(&self.plane.stats()));
    }
}

/// The services that tests have.
#[allow(
    dead_code,
    reason = "not every test program that has this file has them all"
)]
#[derive(Clone, Copy)]
pub enum Kind {
    Tcp,
    Udp,
    Http,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Http => "http",
        }
    }

    fn scheme(self) -> Scheme {
        match self {
            Self::Tcp => Scheme::Tcp,
            Self::Udp => Scheme::Udp,
            Self::Http => Scheme::Http,
        }
    }

    fn listen(self) -> Listen {
        Listen::new(self.scheme(), "127.0.0.1:0".parse().unwrap())
    }

    fn kind(self) -> ServiceKind {
        match self {
            Self::Tcp => ServiceKind::Tcp(TcpSpec::to_pool(name("pool"))),
            Self::Udp => ServiceKind::Udp(UdpSpec::to_pool(name("pool"))),
            Self::Http => {
                let routes = vec![RouteSpec::to_pool(name("pool"))];
                ServiceKind::Http(Box::new(HttpSpec::to_routes(routes)))
            }
        }
    }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn key(address: SocketAddr) -> BackendKey {
    BackendKey {
        pool: name("pool"),
        address,
    }
}

pub fn member(address: SocketAddr) -> MemberPlan {
    MemberPlan {
        key: key(address),
        weight: 1,
        backup: false,
        max_connections: None,
        kernel: Default::default(),
        duty: Duty::Take,
        rising_since: None,
    }
}

pub fn pool_spec(_: &[SocketAddr]) -> PoolSpec {
    PoolSpec {
        name: name("pool"),
        balance: Balance::RoundRobin,
        checks: Vec::new(),
        agent: None,
        passive: PassiveSpec::default(),
        panic_below: Share::NONE,
        slow_start: Duration::ZERO,
        queue: QueueSpec::default(),
        drain: None,
        connect: ConnectSpec::default(),
        backends: Vec::new(),
    }
}

pub fn tcp(spec: &mut ServiceSpec) -> &mut TcpSpec {
    match &mut spec.kind {
        ServiceKind::Tcp(tcp) => tcp,
        _ => panic!("not a TCP service"),
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `text` and expects `answer`.
pub fn talk(stream: &mut TcpStream, text: &str, answer: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut back = vec![0; answer.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(String::from_utf8_lossy(&back), answer);
}

/// Starts a backend that runs `serve` in a thread for each connection.
pub fn backend(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.unwrap(), Arc::clone(&serve));
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A backend that sends back what it gets, each piece after `mark`, and `bye` at the end.
pub fn echo(mark: &'static str) -> SocketAddr {
    backend(move |mut stream| {
        let mut buffer = vec![0; 65536];
        while let Ok(n) = stream.read(&mut buffer) {
            let sent = if n == 0 {
                stream.write_all(b"bye")
            } else {
                let piece = [mark.as_bytes(), &buffer[..n]].concat();
                stream.write_all(&piece)
            };
            if n == 0 || sent.is_err() {
                return;
            }
        }
    })
}

/// An address on loopback that refuses connections.
pub fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

pub fn wait_for(what: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !what() {
        assert!(std::time::Instant::now() < end, "it did not come to pass");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Samples by backend, summed: passed and failed.
pub fn tally(told: &Told) -> BTreeMap<SocketAddr, (u32, u32)> {
    let mut tally = BTreeMap::new();
    for sample in told.samples.lock().unwrap().iter() {
        let entry: &mut (u32, u32) = tally.entry(sample.backend.address).or_default();
        entry.0 += sample.passed;
        entry.1 += sample.failed;
    }
    tally
}
