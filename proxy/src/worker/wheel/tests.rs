//! Deadlines are met, in time and in order.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use super::{slots::SLOTS, *};

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
