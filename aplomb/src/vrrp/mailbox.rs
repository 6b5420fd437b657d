//! What the thread of virtual routers is told, and how it is woken. That of routes is woken in the same way.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, mpsc},
};

use control::{name::Name, plan::VipPlan};
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

use crate::api::model::VipStatus;

/// What an operator can ask of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Hand over.
    Release,
    /// Take over.
    Promote,
    /// What the configuration says counts again.
    Resume,
}

/// What goes with addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Routes and rules.
    Ways,
    /// Packets to them are refused.
    Refusal,
}

/// What the thread is told.
pub(super) enum Command {
    /// These vips, and no others.
    Plan(Arc<[Arc<VipPlan>]>),
    /// A vip's tracked thing, by its place: why it fails, if it does.
    Tracked(Name, usize, Option<String>),
    /// Whether the connections that peers know are known here.
    InSync(bool),
    /// Addresses of a seat are on their interface, or why not.
    Taken(u64, Result<(), String>),
    /// What goes with a seat's addresses is as it should be, or why not.
    Beside(u64, Beside, Result<(), String>),
    /// An operator asks something of a group; the answer says why it is not done, or none if there is no such group.
    Order(Name, Order, oneshot::Sender<Option<Result<(), String>>>),
    /// How things are.
    Status(oneshot::Sender<Vec<VipStatus>>),
    /// Give all up, say so to the others, and end.
    Stop(oneshot::Sender<()>),
    /// End, and leave all as it is: another process goes on.
    Rest,
}

/// Wakes who waits at a mailbox.
#[derive(Clone, Debug)]
pub(super) struct Bell(Arc<OwnedFd>);

impl Bell {
    pub(super) fn ring(&self) {
        // Full means that it rings already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// Puts commands in, from any thread, without waiting.
pub(super) struct Sender<T = Command> {
    queue: mpsc::Sender<T>,
    bell: Bell,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            bell: self.bell.clone(),
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> Sender<T> {
    pub(super) fn send(&self, command: T) {
        // A thread that has ended needs to know nothing.
        if self.queue.send(command).is_ok() {
            self.bell.ring();
        }
    }

    /// What rings there.
    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }
}

/// Where commands arrive.
pub(super) struct Mailbox<T = Command> {
    queue: mpsc::Receiver<T>,
    bell: Bell,
}

/// A mailbox, and the way into it.
pub(super) fn mailbox<T>() -> io::Result<(Sender<T>, Mailbox<T>)> {
    let (sender, queue) = mpsc::channel();
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let bell = Bell(Arc::new(bell));
    let sender = Sender {
        queue: sender,
        bell: bell.clone(),
    };
    Ok((sender, Mailbox { queue, bell }))
}

impl<T> Mailbox<T> {
    /// The next command.
    pub(super) fn next(&self) -> Option<T> {
        self.queue.try_recv().ok()
    }

    /// Quiets the bell; to be done before commands are looked for.
    pub(super) fn quiet(&self) {
        let _ = rustix::io::read(&*self.bell.0, &mut [0; 8]);
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.0.as_fd()
    }
}
