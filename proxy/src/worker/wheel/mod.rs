//! A worker's deadlines: a hashed timer wheel that costs a write per change and one of tokio's timers in all.
//!
//! A [`Timer`] belongs to one task and is armed again with every phase. Most deadlines only ever move away, so
//! arming later than before is a write: the entry stays where it is, and moves on when the wheel comes by.
//! Wakers are kept, so the wheel can also wake every task at once ([`Wheel::wake_all`]): so tasks learn that
//! something changed that they look at when polled, without each of them listening for it. [`slots`] is the wheel
//! without clocks and tasks.

mod slots;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use self::slots::{NEVER, Slots};
use super::clock;
use control::time::Instant;

/// A tick is 2^24 ns, about 17 ms: fine enough for timeouts of people and networks.
const TICK_SHIFT: u32 = 24;
/// The deadlines of one worker.
pub(crate) struct Wheel {
    inner: RefCell<Slots>,
    /// What wakes the task that turns the wheel.
    turner: RefCell<Option<Waker>>,
    /// The tick that the turner sleeps until.
    turns_at: Cell<u64>,
}

/// One task's deadline, one at a time. Dropping it forgets it.
pub(crate) struct Timer {
    wheel: Rc<Wheel>,
    key: u32,
}

impl Wheel {
    /// An empty wheel at the present time.
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            inner: RefCell::new(Slots::new(tick_of(clock::coarse()))),
            turner: RefCell::new(None),
            turns_at: Cell::new(NEVER),
        })
    }

    /// A timer that is not armed.
    pub(crate) fn timer(self: &Rc<Self>) -> Timer {
        let key = self.inner.borrow_mut().insert();
        Timer {
            wheel: Rc::clone(self),
            key,
        }
    }

    /// Wakes the task of every timer that has been polled.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> = {
            let inner = self.inner.borrow();
            inner
                .entries
                .iter()
                .filter_map(|(_, e)| e.waker.clone())
                .collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Turns the wheel, for as long as the worker lives: the one task that sleeps on a timer of tokio's.
    pub(crate) async fn turn(self: Rc<Self>) {
        loop {
            let next = self.inner.borrow().next_occupied();
            self.turns_at.set(next);
            match next {
                NEVER => self.disturbed().await,
                tick => {
                    let wait = start_of(tick).saturating_since(clock::now());
                    let _ = tokio::time::timeout(wait, self.disturbed()).await;
                }
            }
            let due = self.inner.borrow_mut().advance(tick_of(clock::now()));
            due.into_iter().for_each(Waker::wake);
        }
    }

    /// Resolves when something became due before what the turner sleeps for.
    async fn disturbed(&self) {
        let asleep_for = self.turns_at.get();
        poll_fn(|cx| {
            if self.turns_at.get() < asleep_for {
                return Poll::Ready(());
            }
            *self.turner.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn arm(&self, key: u32, due: u64) {
        let mut inner = self.inner.borrow_mut();
        let entry = &mut inner.entries[key as usize];
        entry.due = due;
        if entry.linked <= due {
            return;
        }
        inner.unlink(key);
        let at = inner.link(key);
        drop(inner);
        if at < self.turns_at.get() {
            self.turns_at.set(at);
            if let Some(turner) = self.turner.borrow_mut().take() {
                turner.wake();
            }
        }
    }
}

impl Timer {
    /// Sets the deadline to `after` from now, in place of the one before.
    pub(crate) fn arm(&self, after: Duration) {
        self.arm_at(clock::coarse() + after);
    }

    /// Sets the deadline, in place of the one before.
    pub(crate) fn arm_at(&self, deadline: Instant) {
        self.wheel
            .arm(self.key, tick_of(deadline).saturating_add(1));
    }

    /// There is no deadline now.
    pub(crate) fn disarm(&self) {
        self.wheel.inner.borrow_mut().entries[self.key as usize].due = NEVER;
    }

    /// Ready once the deadline has passed, until armed anew; else the task will be woken then, and whenever the
    /// wheel wakes all. One task at a time may poll a timer.
    pub(crate) fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.wheel.inner.borrow_mut();
        let tick = inner.tick;
        let entry = &mut inner.entries[self.key as usize];
        if entry.due <= tick {
            return Poll::Ready(());
        }
        match &mut entry.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Wakes the task that polled it last, whatever the time.
    pub(crate) fn wake(&self) {
        let inner = self.wheel.inner.borrow();
        let waker = inner.entries[self.key as usize].waker.clone();
        drop(inner);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Resolves once the deadline has passed.
    pub(crate) async fn expired(&self) {
        poll_fn(|cx| self.poll_expired(cx)).await;
    }

    /// The outcome of `future`, or none if the deadline passes first.
    pub(crate) async fn guard<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll_expired(cx).map(|()| None),
        })
        .await
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut inner = self.wheel.inner.borrow_mut();
        inner.unlink(self.key);
        let entry = inner.entries.remove(self.key as usize);
        // A waker may be the last that holds a task, and the task may hold timers: dropped after the borrow.
        drop(inner);
        drop(entry);
    }
}

fn tick_of(time: Instant) -> u64 {
    time.nanos() >> TICK_SHIFT
}

fn start_of(tick: u64) -> Instant {
    Instant::from_nanos(tick << TICK_SHIFT)
}
