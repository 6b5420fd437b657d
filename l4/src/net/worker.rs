//! The monitor's thread: waits for messages, commands and deadlines, and does what they ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    Device, Monitor, NextHop, Sink,
    keep::Keeper,
    link, neighbour,
    picture::Picture,
    socket::{Events, Requests},
};

/// Datagrams read before what they say is passed on.
const AT_A_TIME: usize = 256;
/// After an error of the socket, so that one that stays does not take the whole CPU.
const RESPITE: Duration = Duration::from_millis(200);

/// What the monitor is told to do.
#[derive(Debug)]
pub(super) enum Command {
    /// See [`Monitor::watch`].
    Watch(BTreeSet<IpAddr>),
    /// See [`Monitor::resolve`].
    Resolve(Vec<NextHop>),
    /// End the thread.
    End,
}

/// The thread's own.
pub(super) struct Worker {
    commands: mpsc::Receiver<Command>,
    bell: Arc<OwnedFd>,
    events: Events,
    keeper: Keeper,
    picture: Picture,
    shown: Arc<Mutex<BTreeMap<u32, Device>>>,
    sink: Box<dyn Sink>,
    /// Something to be told as soon as the pace allows.
    routing: bool,
    locals: bool,
    told: Instant,
}

impl Worker {
    /// Opens its sockets and takes in what there is.
    pub(super) fn new(
        commands: mpsc::Receiver<Command>,
        bell: Arc<OwnedFd>,
        shown: Arc<Mutex<BTreeMap<u32, Device>>>,
        sink: Box<dyn Sink>,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let mut worker = Self {
            commands,
            bell,
            // Before asking what there is: nothing that changes in between is missed.
            events: Events::open()?,
            keeper: Keeper::new(Requests::open()?, now),
            picture: Picture::default(),
            shown,
            sink,
            routing: false,
            locals: false,
            told: now,
        };
        worker.take_in()?;
        worker.pass_on(now);
        Ok(worker)
    }

    /// Works until it is told to end.
    pub(super) fn run(mut self) {
        loop {
            if !self.obey() {
                return;
            }
            self.hear();
            let now = Instant::now();
            self.pass_on(now);
            self.keeper.work(now);
            self.wait(now);
        }
    }

    /// Does what it was told; `false`: to end.
    fn obey(&mut self) -> bool {
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.bell, &mut count);
        loop {
            match self.commands.try_recv() {
                Ok(Command::Watch(addresses)) => self.keeper.watch(addresses, Instant::now()),
                Ok(Command::Resolve(hops)) => self.keeper.resolve(&hops, Instant::now()),
                Ok(Command::End) | Err(mpsc::TryRecvError::Disconnected) => return false,
                Err(mpsc::TryRecvError::Empty) => return true,
            }
        }
    }

    fn hear(&mut self) {
        let Self {
            events, picture, ..
        } = self;
        let heard = events.read(AT_A_TIME, &mut |message| picture.handle(message));
        let Err(error) = heard else {
            return;
        };
        tracing::debug!(%error, "changes of the network were lost; reading all anew");
        self.picture.lost();
        if let Err(error) = self.take_in() {
            tracing::warn!(%error, "the kernel does not tell about devices");
            std::thread::sleep(RESPITE);
        }
    }

    /// Asks for all devices and neighbours.
    fn take_in(&mut self) -> io::Result<()> {
        let picture = &mut self.picture;
        let requests = self.keeper.requests();
        let mut seen = Vec::new();
        requests.dump(link::GET, &[0; link::FIXED], &mut |message| {
            seen.extend(Device::read(message).map(|device| device.index));
            picture.handle(message);
        })?;
        picture.keep_devices(&seen);
        requests.dump(neighbour::GET, &[0; neighbour::FIXED], &mut |message| {
            picture.handle(message);
        })
    }

    /// Tells the sink what changed: devices at once, the rest as the pace allows.
    fn pass_on(&mut self, now: Instant) {
        let news = self.picture.take_news();
        for (index, device) in &news.devices {
            self.sink.device(*index, device.as_ref());
        }
        if !news.devices.is_empty() {
            // Nobody panics while holding it.
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.clone_from(self.picture.devices());
        }
        for hop in &news.forgotten {
            self.keeper.forgotten(hop, now);
        }
        if news.routing {
            self.keeper.changed(now);
        }
        self.routing |= news.routing;
        self.locals |= news.locals;
        if now < self.told + Monitor::PACE || !(self.routing || self.locals) {
            return;
        }
        self.told = now;
        if std::mem::take(&mut self.routing) {
            self.sink.routing_changed();
        }
        if std::mem::take(&mut self.locals) {
            self.sink.locals_changed();
        }
    }

    /// Waits for a message, a command, or the next thing that is due.
    fn wait(&self, now: Instant) {
        let mut due = self.keeper.due();
        if self.routing || self.locals {
            due = due.min(self.told + Monitor::PACE);
        }
        let due = due.saturating_duration_since(now);
        let limit = Timespec {
            tv_sec: due.as_secs().cast_signed(),
            tv_nsec: due.subsec_nanos().into(),
        };
        let mut on = [
            PollFd::from_borrowed_fd(self.events.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN),
        ];
        // Interrupted or not: the loop looks after everything anyway.
        let _ = poll(&mut on, Some(&limit));
    }
}
