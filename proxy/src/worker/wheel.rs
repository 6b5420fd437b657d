//! A worker's deadlines: a hashed timer wheel that costs a write per change and one of tokio's timers in all.
//!
//! A [`Timer`] belongs to one task and is armed again with every phase. Most deadlines only ever move away, so
//! arming later than before is a write: the entry stays where it is, and moves on when the wheel comes by.
//! Wakers are kept, so the wheel can also wake every task at once ([`Wheel::wake_all`]): so tasks learn that
//! something changed that they look at when polled, without each of them listening for it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use control::time::Instant;
use slab::Slab;

use super::clock;

/// A tick is 2^24 ns, about 17 ms: fine enough for timeouts of people and networks.
const TICK_SHIFT: u32 = 24;
/// The wheel goes round in about 69 s; what is due later goes round again.
const SLOTS: u64 = 4096;
const NEVER: u64 = u64::MAX;
const NIL: u32 = u32::MAX;

/// The deadlines of one worker.
pub(crate) struct Wheel {
    inner: RefCell<Inner>,
    /// What wakes the task that turns the wheel.
    turner: RefCell<Option<Waker>>,
    /// The tick that the turner sleeps until.
    turns_at: Cell<u64>,
}

struct Inner {
    entries: Slab<Entry>,
    /// The first entry of each slot.
    heads: Box<[u32]>,
    /// A bit for each slot that has an entry.
    occupied: [u64; SLOTS as usize / 64],
    /// The last tick that was dealt with.
    tick: u64,
}

struct Entry {
    /// The tick that it is due at; NEVER: not armed.
    due: u64,
    /// The tick whose slot it is linked into; NEVER: into none.
    linked: u64,
    prev: u32,
    next: u32,
    waker: Option<Waker>,
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
            inner: RefCell::new(Inner {
                entries: Slab::new(),
                heads: vec![NIL; SLOTS as usize].into(),
                occupied: [0; SLOTS as usize / 64],
                tick: tick_of(clock::coarse()),
            }),
            turner: RefCell::new(None),
            turns_at: Cell::new(NEVER),
        })
    }

    /// A timer that is not armed.
    pub(crate) fn timer(self: &Rc<Self>) -> Timer {
        let key = self.inner.borrow_mut().entries.insert(Entry {
            due: NEVER,
            linked: NEVER,
            prev: NIL,
            next: NIL,
            waker: None,
        });
        Timer {
            wheel: Rc::clone(self),
            key: key as u32,
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

impl Inner {
    /// Links an entry into the slot of its tick, or the farthest there is; says which tick.
    fn link(&mut self, key: u32) -> u64 {
        let tick = self.entries[key as usize]
            .due
            .clamp(self.tick + 1, self.tick + SLOTS - 1);
        let slot = (tick % SLOTS) as usize;
        let next = std::mem::replace(&mut self.heads[slot], key);
        let entry = &mut self.entries[key as usize];
        (entry.linked, entry.prev, entry.next) = (tick, NIL, next);
        if next != NIL {
            self.entries[next as usize].prev = key;
        }
        self.occupied[slot / 64] |= 1 << (slot % 64);
        tick
    }

    fn unlink(&mut self, key: u32) {
        let entry = &mut self.entries[key as usize];
        let (linked, prev, next) = (entry.linked, entry.prev, entry.next);
        if linked == NEVER {
            return;
        }
        entry.linked = NEVER;
        if next != NIL {
            self.entries[next as usize].prev = prev;
        }
        if prev != NIL {
            self.entries[prev as usize].next = next;
            return;
        }
        let slot = (linked % SLOTS) as usize;
        self.heads[slot] = next;
        if next == NIL {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }

    /// The next tick whose slot has an entry, or NEVER.
    fn next_occupied(&self) -> u64 {
        let first = self.tick + 1;
        let start = (first % SLOTS) as usize;
        let words = self.occupied.len();
        for i in 0..=words {
            let index = (start / 64 + i) % words;
            let mut word = self.occupied[index];
            if i == 0 {
                word &= u64::MAX << (start % 64);
            } else if i == words {
                word &= !(u64::MAX << (start % 64));
            }
            if word != 0 {
                let slot = (index * 64) as u64 + u64::from(word.trailing_zeros());
                return first + (slot + SLOTS - start as u64) % SLOTS;
            }
        }
        NEVER
    }

    /// Deals with all ticks up to `now`, and says whom to wake.
    fn advance(&mut self, now: u64) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let from = self.tick + 1;
        if now < from {
            return wakers;
        }
        self.tick = now;
        for tick in from..=now.min(from + SLOTS - 1) {
            let slot = (tick % SLOTS) as usize;
            let mut key = self.heads[slot];
            while key != NIL {
                let entry = &mut self.entries[key as usize];
                let (next, due) = (entry.next, entry.due);
                if due <= now {
                    wakers.extend(entry.waker.take());
                }
                self.unlink(key);
                if due > now && due != NEVER {
                    self.link(key);
                }
                key = next;
            }
        }
        wakers
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// Turns the wheel to a tick, as [`Wheel::turn`] does.
    fn turn_to(wheel: &Rc<Wheel>, tick: u64) {
        let due = wheel.inner.borrow_mut().advance(tick);
        due.into_iter().for_each(Waker::wake);
    }

    fn polled(timer: &Timer, count: &Arc<Count>) -> bool {
        let waker = Waker::from(Arc::clone(count));
        timer
            .poll_expired(&mut Context::from_waker(&waker))
            .is_ready()
    }

    #[test]
    fn a_deadline_is_met_at_its_tick_and_not_before() {
        let wheel = Wheel::new();
        let start = wheel.inner.borrow().tick;
        for after in [1, 2, 63, 64, 65, 4095, 4096, 4097, 20_000] {
            let (timer, count) = (wheel.timer(), Arc::new(Count::default()));
            let begin = wheel.inner.borrow().tick;
            wheel.arm(timer.key, begin + after);
            assert!(!polled(&timer, &count));
            loop {
                let next = wheel.inner.borrow().next_occupied();
                turn_to(&wheel, next);
                if next >= begin + after {
                    assert_eq!(next, begin + after);
                    break;
                }
                assert!(!polled(&timer, &count), "{after}");
            }
            assert!(polled(&timer, &count));
            assert_eq!(count.0.load(Relaxed), 1);
        }
        assert!(wheel.inner.borrow().tick > start);
        assert_eq!(wheel.inner.borrow().next_occupied(), NEVER);
    }

    #[test]
    fn later_moves_lazily_and_earlier_at_once() {
        let wheel = Wheel::new();
        let (timer, count) = (wheel.timer(), Arc::new(Count::default()));
        let start = wheel.inner.borrow().tick;
        wheel.arm(timer.key, start + 10);
        wheel.arm(timer.key, start + 100);
        assert_eq!(wheel.inner.borrow().next_occupied(), start + 10);
        turn_to(&wheel, start + 10);
        assert!(!polled(&timer, &count));
        assert_eq!(wheel.inner.borrow().next_occupied(), start + 100);
        wheel.arm(timer.key, start + 20);
        turn_to(&wheel, start + 25);
        assert!(polled(&timer, &count));
    }

    #[test]
    fn a_gap_of_many_rounds_misses_nobody() {
        let wheel = Wheel::new();
        let start = wheel.inner.borrow().tick;
        let count = Arc::new(Count::default());
        let timers: Vec<Timer> = (0..500).map(|_| wheel.timer()).collect();
        for (i, timer) in (1..).zip(&timers) {
            wheel.arm(timer.key, start + i * 37);
            assert!(!polled(timer, &count));
        }
        timers[3].disarm();
        turn_to(&wheel, start + 10 * SLOTS);
        assert_eq!(count.0.load(Relaxed), 499);
        assert!(!polled(&timers[3], &count));
    }

    #[test]
    fn dropped_and_disarmed_timers_are_forgotten() {
        let wheel = Wheel::new();
        let (one, two) = (wheel.timer(), wheel.timer());
        one.arm(Duration::from_secs(1));
        two.arm(Duration::from_secs(1));
        drop(one);
        two.disarm();
        let tick = wheel.inner.borrow().tick;
        turn_to(&wheel, tick + 200);
        assert!(!polled(&two, &Arc::default()));
        assert_eq!(wheel.inner.borrow().next_occupied(), NEVER);
        assert_eq!(wheel.inner.borrow().entries.len(), 1);
    }

    #[test]
    fn the_turner_wakes_sleepers_in_order() {
        let runtime = tokio::runtime::LocalRuntime::new().expect("a runtime");
        runtime.block_on(async {
            let wheel = Wheel::new();
            tokio::task::spawn_local(Rc::clone(&wheel).turn());
            let order = Rc::new(RefCell::new(Vec::new()));
            let sleepers = [90, 30, 60].map(|ms| {
                let (timer, order) = (wheel.timer(), Rc::clone(&order));
                tokio::task::spawn_local(async move {
                    timer.arm(Duration::from_millis(ms));
                    timer.expired().await;
                    order.borrow_mut().push(ms);
                })
            });
            for sleeper in sleepers {
                sleeper.await.expect("a sleeper");
            }
            assert_eq!(*order.borrow(), [30, 60, 90]);
        });
    }
}
