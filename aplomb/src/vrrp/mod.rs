//! The net plane: virtual addresses, held by VRRP or always.
//!
//! The machines are in `proto`; here is what gives them sockets, clocks and interfaces. [`worker`] is the thread that
//! runs them and that nothing delays, for which [`pacemaker`] and [`leniency`] are; [`hand`] puts addresses on interfaces, with routes and rules ([`ways`]) and refusing what
//! is sent to them ([`filter`]), and [`grace`] is what others may tell of them meanwhile; [`aide`] logs, runs hooks and looks at what is tracked. [`bundle`] is what moves as one, [`seat`] one virtual router of it, [`perform`] does what they decide, [`track`] is what
//! makes them less fit. [`Vrrp`] is the way in.

mod aide;
mod bundle;
mod filter;
mod frame;
mod grace;
mod hand;
mod leniency;
mod links;
mod mailbox;
mod pacemaker;
mod perform;
mod report;
mod script;
mod seat;
mod show;
mod socket;
mod tools;
mod track;
mod ways;
mod worker;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use control::{engine::Event, name::Name, plan::VipPlan};
use tokio::sync::{
    mpsc::{UnboundedSender, unbounded_channel},
    oneshot,
};

pub use self::{aide::DataPlane, grace::Patience, mailbox::Order};
use self::{
    frame::Frames,
    grace::Grace,
    links::Links,
    mailbox::{Command, Sender},
    pacemaker::Pacemaker,
    tools::{Clock, Tools},
    ways::watch::{self, Watch},
    worker::Worker,
};
use crate::api::model::VipStatus;

/// How long giving all up may take before the process ends all the same.
const FAREWELL: Duration = Duration::from_secs(5);
/// Above what is ordinary, below what keeps a machine alive.
const REAL_TIME: i32 = 40;

/// Who is told of addresses that come and go.
pub struct Told {
    /// While no vip is held, and for a while from before addresses of one are put on: not to take long.
    pub patience: Patience,
    /// Before addresses of a vip are put on or taken off: the same.
    pub moves: Box<dyn Fn() + Send>,
}

/// The net plane of this process.
#[derive(Debug)]
pub struct Vrrp {
    mailbox: Sender,
    plans: UnboundedSender<Arc<[Arc<VipPlan>]>>,
    routes: Sender<Watch>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Vrrp {
    /// Starts it, without vips. `adopt`: those of the first plan were held by another process of this node until now, and
    /// are to be held on. `in_sync`: whether the connections that peers know are known here; until they are, no vip preempts.
    ///
    /// # Errors
    /// There are no raw sockets for this process, or no threads.
    pub fn start(
        engine: UnboundedSender<Event>,
        data_plane: DataPlane,
        told: Told,
        in_sync: Arc<AtomicBool>,
        adopt: bool,
    ) -> io::Result<Self> {
        let known = in_sync.load(Ordering::Relaxed);
        let (mailbox, arriving) = mailbox::mailbox()?;
        let (reports, said) = unbounded_channel();
        let (plans, planned) = unbounded_channel();
        let grace = Arc::new(Grace::new(told.patience));
        let moves = hand::Moves {
            grace: Arc::clone(&grace),
            told: told.moves,
        };
        let (hand, hand_thread) = hand::start(mailbox.clone(), moves, real_time)?;
        let (routes, routes_thread) = watch::start(mailbox.clone(), hand.clone())?;
        let tools = Tools {
            links: Links::open()?,
            frames: Frames::open()?,
            channels: Default::default(),
            hand,
            reports,
            clock: Clock::start(),
        };
        let aide = aide::start(aide::Inputs {
            reports: said,
            plans: planned,
            mailbox: mailbox.clone(),
            engine,
            data_plane,
            grace,
            in_sync,
        })?;
        let pacemaker = Pacemaker::start(tools.clock, mailbox.bell(), real_time)?;
        let worker = Worker::new(arriving, tools, pacemaker, adopt, known);
        let thread = thread::Builder::new().name("vrrp".into()).spawn(move || {
            real_time();
            worker.run();
        })?;
        Ok(Self {
            mailbox,
            plans,
            routes,
            // Each ends when those before it have.
            threads: vec![thread, routes_thread, hand_thread, aide],
        })
    }

    /// Whether this process may do what vips need.
    ///
    /// # Errors
    /// It may not.
    pub fn try_out() -> io::Result<()> {
        Frames::open().map(drop)
    }

    /// Has it hold these vips, and no others. Never waits.
    pub fn apply(&self, vips: &Arc<[Arc<VipPlan>]>) {
        self.mailbox.send(Command::Plan(Arc::clone(vips)));
        // They end after this, and what they say of vips comes after the plan.
        let _ = self.plans.send(Arc::clone(vips));
        self.routes.send(Watch::Plan(Arc::clone(vips)));
    }

    /// How things are; empty if it has ended.
    pub(crate) async fn status(&self) -> Vec<VipStatus> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(Command::Status(reply));
        answer.await.unwrap_or_default()
    }

    /// Has a group do what an operator asks: a vip without one by its own name. None: there is no such group.
    pub async fn order(&self, group: Name, order: Order) -> Option<Result<(), String>> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(Command::Order(group, order, reply));
        answer.await.unwrap_or(None)
    }

    /// Gives all up, tells the others, and ends.
    pub async fn stop(mut self) {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(Command::Stop(reply));
        if tokio::time::timeout(FAREWELL, answer).await.is_err() {
            tracing::warn!("addresses could not be taken off in time");
            return;
        }
        self.join();
    }

    /// Ends, and leaves all as it is: another process of this node goes on.
    pub fn rest(mut self) {
        self.mailbox.send(Command::Rest);
        self.join();
    }

    fn join(&mut self) {
        self.routes.send(Watch::End);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Gives the thread that calls it real-time priority, if it may have that.
fn real_time() {
    // SAFETY: all zeros are a valid `sched_param`.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = REAL_TIME;
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the parameters live for the call; 0 is this thread.
    let done = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if done != 0 {
        let error = io::Error::last_os_error();
        tracing::info!(%error, "virtual routers run without real-time priority");
    }
}
