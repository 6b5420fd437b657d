//! The way in for all who want something of the kernel data plane.

use std::{
    fmt, io,
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use control::{
    name::Name,
    plan::Plan,
    spec::{L4Spec, ServiceKind, Spec},
};

use crate::{
    explain::{self, Explanation, Question},
    filter::Filter,
    load::{StartError, attach::Attachments, carry, object},
    net::Monitor,
    plane::{Condition, Plane, lock},
    report,
    status::{Connection, L4Status, ServiceStatus},
    sync::FlowSync,
    tables::Tables,
    trace::{Hub, Listener, Refused, Ring},
    worker::{Command, Network, Reports, Worker, rates, settle_settings},
};

/// What the kernel data plane begins with.
pub struct Options {
    /// What holds for it as a whole.
    pub spec: Arc<L4Spec>,
    /// Who is told of backends that have drained.
    pub reports: Box<dyn Reports>,
}

/// Why a plan is not in force; the tables are as they were, and it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyError(String);

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ApplyError {}

/// The kernel data plane. When this is dropped the program stays where it is, and goes on with what the tables hold;
/// [`L4::detach`] takes it off.
#[derive(Debug)]
pub struct L4 {
    plane: Arc<Plane>,
    worker: mpsc::Sender<Command>,
    trace: Hub,
    thread: Option<JoinHandle<()>>,
}

/// Whether a configuration needs the kernel data plane.
#[must_use]
pub fn is_needed(spec: &Spec) -> bool {
    spec.services
        .iter()
        .any(|s| matches!(s.kind, ServiceKind::Kernel(_)))
}

impl L4 {
    /// Loads the program, takes over what a predecessor left in its tables, and attaches it. Packets are forwarded as
    /// the tables say from then on.
    ///
    /// # Errors
    /// Why it cannot be: nothing has been attached that was not.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let Options { spec, reports } = options;
        let mut loaded = object::load(&spec)?;
        let of = StartError::of;
        settle_settings(&loaded.maps, &spec).map_err(of("writing settings"))?;
        let found = loaded.maps.found().map_err(of("reading tables"))?;
        // Those that began meanwhile.
        loaded.carry_over();
        // From here on the program is the one that forwards, where one did before.
        let attachments = Attachments::adopt(&spec.pin, loaded.program.as_fd())
            .map_err(of("taking over attachments"))?;
        loaded.forget_outgrown().map_err(of("writing settings"))?;
        // What a predecessor expected, nobody does any more.
        carry::end(&loaded.maps).map_err(of("writing settings"))?;
        carry::hold(&loaded.maps, false).map_err(of("writing settings"))?;
        carry::moving(&loaded.maps, false).map_err(of("writing settings"))?;
        let adopted = loaded.adopted;
        let loaded = Arc::new(RwLock::new(Arc::new(loaded)));
        let (sender, commands) = mpsc::channel();
        let network = Network::new(Arc::clone(&loaded), sender.clone());
        let monitor = Monitor::start(network).map_err(of("following the network"))?;
        let plane = Arc::new(Plane {
            loaded,
            tables: Mutex::new(Tables::adopt(found)),
            meter: Mutex::default(),
            condition: Mutex::new(Condition {
                spec,
                adopted,
                interfaces: Vec::new(),
                fills: Vec::new(),
                sweep: None,
                trouble: None,
            }),
            monitor,
            locals: Mutex::default(),
            expects: AtomicBool::new(false),
        });
        let mut worker = Worker::new(Arc::clone(&plane), commands, reports, attachments);
        worker.attach();
        let thread = thread::Builder::new()
            .name("l4".into())
            .spawn(|| worker.run())
            .map_err(of("starting a thread"))?;
        Ok(Self {
            trace: Hub::new(Box::new(Ring::new(Arc::clone(&plane)))),
            plane,
            worker: sender,
            thread: Some(thread),
        })
    }

    /// Whether it could be started: the program is loaded, and thrown away again.
    ///
    /// # Errors
    /// Why not.
    pub fn try_out(spec: &L4Spec) -> Result<(), StartError> {
        let small = L4Spec {
            max_flows: spec.max_flows.min(1024),
            max_handshakes: spec.max_handshakes.min(1024),
            ..L4Spec::clone(spec)
        };
        object::load_privately(&small).map(drop)
    }

    /// Has it go by a plan. Never waits; of several plans that come at once, the last counts.
    pub fn apply(&self, plan: Arc<Plan>) {
        // A worker that is gone has ended with the process.
        let _ = self.worker.send(Command::Apply(plan, None));
    }

    /// Has it go by a plan, and waits until it does. How many services were changed.
    ///
    /// # Errors
    /// Why it does not.
    pub fn applied(&self, plan: Arc<Plan>) -> Result<usize, ApplyError> {
        let (reply, answer) = mpsc::sync_channel(1);
        let _ = self.worker.send(Command::Apply(plan, Some(reply)));
        let answer = answer
            .recv()
            .unwrap_or_else(|_| Err("the kernel data plane has ended".into()));
        answer.map_err(ApplyError)
    }

    /// How it is as a whole.
    #[must_use]
    pub fn status(&self) -> L4Status {
        report::status(&self.plane)
    }

    /// All services with their backends, counters and rates.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceStatus> {
        report::services(&self.plane)
    }

    /// Connections and persistence templates, at most `limit`.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn connections(&self, limit: usize) -> io::Result<Vec<Connection>> {
        report::connections(&self.plane, limit)
    }

    /// Its flows, to be told to other nodes and learned from them. There should be one at a time, and none any more when
    /// a successor takes the tables over.
    #[must_use]
    pub fn sync(&self) -> FlowSync {
        FlowSync::new(Arc::clone(&self.plane))
    }

    /// Whether flows are on their way from another node. While they are, a packet in the middle of a connection that is not
    /// known is dropped: it is sent again, and may be known then. Otherwise the machine's stack resets its connection.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn expect_flows(&self, expected: bool) -> io::Result<()> {
        self.plane.expects.store(expected, Relaxed);
        let loaded = self.plane.loaded();
        let settle = if expected { carry::begin } else { carry::end };
        settle(&loaded.maps)
    }

    /// Whether those who begin to connect by TCP are not heard: another node is about to take over, and is to know all that
    /// began here. They try again a second later.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn hold(&self, hold: bool) -> io::Result<()> {
        carry::hold(&self.plane.loaded().maps, hold)
    }

    /// Whether an address has just come or gone. While one has, what a backend of address translation answers to somebody is
    /// dropped if its connection is not known: it would reach the client untranslated, and be reset.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn addresses_move(&self, moving: bool) -> io::Result<()> {
        carry::moving(&self.plane.loaded().maps, moving)
    }

    /// What would become of packets, and why: decided one after the other, and nothing comes of it.
    #[must_use]
    pub fn explain(&self, questions: &[Question]) -> Vec<Explanation> {
        explain::explain(&explain::Live::new(&self.plane), questions)
    }

    /// Decisions that pass `filter` as they are made, at most so many a second. Packets take a longer road while
    /// anybody listens.
    ///
    /// # Errors
    /// Too many listen already, or it does not work.
    pub fn trace(&self, filter: Filter, per_second: u32) -> Result<Listener, Refused> {
        self.trace.listen(filter, per_second)
    }

    /// Has counters and rates begin at zero: a service's, or all.
    pub fn zero(&self, service: Option<&Name>) {
        let maps = &self.plane.loaded().maps;
        let tables = lock(&self.plane.tables);
        let named = tables
            .services()
            .filter(|(name, _)| service.is_none_or(|s| s == *name));
        let slots: Vec<_> = named
            .flat_map(|(_, h)| h.backends.values().map(|k| k.slot))
            .collect();
        drop(tables);
        for slot in slots {
            if let Ok(now) = maps.counters.get(slot) {
                lock(&self.plane.meter).zero(slot, &rates::sum(&now));
            }
        }
    }

    /// Takes programs off their interfaces and everything out of the BPF file system at `pin`: packets are the
    /// machine's own again. How many interfaces there were.
    ///
    /// # Errors
    /// Some of it is still there.
    pub fn detach(pin: &Path) -> io::Result<usize> {
        crate::load::detach(pin)
    }
}

impl Drop for L4 {
    fn drop(&mut self) {
        self.trace.end();
        let _ = self.worker.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
