//! How long a change of one backend takes to be in the kernel's tables, among 1,000 services and among 1,000 backends.
//!
//! `cargo run --release -p l4 --example changes [ROUNDS]` (as root) does what the daemon does: an event goes to the engine, the
//! plan that comes of it to the tables, and what differs is written into maps of the real program, which is attached
//! nowhere. A line tells the case, the change, microseconds from the event to the plan, from the plan to the last write by
//! the clock, and of this thread's time in that, separated by tabs; `cargo xtask bench l4` makes a table of them.

#![expect(clippy::expect_used, reason = "an example has nobody to report to")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use control::{
    config::{self, NoSources},
    engine::{Action, Engine, Event, Operation},
    name::BackendKey,
    plan::Plan,
    spec::{L4Spec, Spec},
    time::Instant,
};
use l4::harness::Harness;

/// Services, and backends of one service.
const MANY: u32 = 1000;
/// Schedulers: those with rings, with hash tables, and with lists that the program goes through.
const BALANCES: [&str; 8] = ["rr", "wrr", "twos", "sh", "dh", "mh", "wlc", "lblc"];

/// Where the backends are.
#[derive(Clone, Copy)]
enum Layout {
    /// Each service has a pool of its own, with two.
    Services,
    /// One service has all.
    Backends,
    /// The same, of different weights.
    Weights,
}

impl Layout {
    const ALL: [(&'static str, Self); 3] = [
        ("services", Self::Services),
        ("backends", Self::Backends),
        ("weights", Self::Weights),
    ];
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    for (name, layout) in Layout::ALL {
        for balance in BALANCES {
            if !(name == "weights" && balance == "rr") {
                measure(
                    &format!("{balance}-{name}"),
                    layout,
                    balance,
                    rounds.unwrap_or(20),
                );
            }
        }
    }
}

/// One case: in each round another backend goes through all changes.
fn measure(case: &str, layout: Layout, balance: &str, rounds: u32) {
    let whole = spec(layout, balance, None);
    let mut world = World::new();
    let _ = world.change(Event::Apply(Arc::clone(&whole)));
    for round in 0..rounds {
        // A prime step, so that backends are met all over the pool.
        let n = (round * 379 + 7) % MANY;
        let without = spec(layout, balance, Some(n));
        let key = key(layout, n);
        let changes = [
            ("down", Event::Operate(Operation::Disable(key.clone()))),
            ("up", Event::Operate(Operation::Enable(key.clone()))),
            (
                "weight",
                Event::Operate(Operation::Weight(key.clone(), Some(7))),
            ),
            ("as before", Event::Operate(Operation::Weight(key, None))),
            ("removed", Event::Apply(without)),
            ("added", Event::Apply(Arc::clone(&whole))),
        ];
        for (change, event) in changes {
            let [planned, written, worked] = world.change(event);
            println!("{case}\t{change}\t{planned:.1}\t{written:.1}\t{worked:.1}");
        }
    }
}

/// The engine and the tables that go by its plans.
struct World {
    engine: Engine,
    harness: Harness,
    begun: Clock,
}

impl World {
    fn new() -> Self {
        Self {
            engine: Engine::new(1, Instant::ZERO),
            harness: Harness::new(&L4Spec {
                max_flows: 1024,
                max_handshakes: 1024,
                ..L4Spec::default()
            })
            .expect("the program, which needs root"),
            begun: Clock::now(),
        }
    }

    /// Makes a change; microseconds from the event to the plan, from there to the last write, and of the thread's time
    /// in that.
    fn change(&mut self, event: Event) -> [f64; 3] {
        let now = Instant::at(self.begun.elapsed());
        let first = Clock::now();
        self.engine.handle(event, now);
        let plan = self.plan();
        let (second, begun) = (Clock::now(), worked());
        self.harness.apply(&plan).expect("room and rights");
        let (third, ended) = (Clock::now(), worked());
        let spans = [second - first, third - second, ended.saturating_sub(begun)];
        spans.map(|span| span.as_secs_f64() * 1e6)
    }

    fn plan(&mut self) -> Arc<Plan> {
        let mut plan = None;
        while let Some(action) = self.engine.poll_action() {
            if let Action::Plan(new) = action {
                plan = Some(new);
            }
        }
        plan.expect("each change makes another plan")
    }
}

/// What this thread has had of a processor.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The backend that changes, by its number.
fn key(layout: Layout, n: u32) -> BackendKey {
    let (pool, address) = match layout {
        Layout::Services => (n, format!("10.10.{}.{}:80", n >> 8, n & 255)),
        Layout::Backends | Layout::Weights => (0, format!("10.10.{}.{}:80", n >> 8, n & 255)),
    };
    BackendKey {
        pool: format!("p{pool}").parse().expect("a name"),
        address: address.parse().expect("an address"),
    }
}

/// The configuration, without one of its backends if wanted.
fn spec(layout: Layout, balance: &str, without: Option<u32>) -> Arc<Spec> {
    let mut text = String::new();
    let numbers: BTreeSet<u32> = (0..MANY).filter(|n| Some(*n) != without).collect();
    match layout {
        Layout::Services => {
            for n in 0..MANY {
                let own = numbers.contains(&n).then_some((n, 1));
                let other = (n + (64 << 8), 1);
                pool(&mut text, n, balance, own.into_iter().chain([other]));
            }
        }
        Layout::Backends => pool(&mut text, 0, balance, numbers.into_iter().map(|n| (n, 1))),
        Layout::Weights => {
            let members = numbers.into_iter().map(|n| (n, 1 + n % 4));
            pool(&mut text, 0, balance, members);
        }
    }
    match config::parse(&text, "changes.toml", &NoSources) {
        Ok(admitted) => Arc::new(admitted.spec),
        Err(problems) => panic!("{problems}"),
    }
}

/// Writes a pool of backends (by number and weight) and its service.
fn pool(text: &mut String, n: u32, balance: &str, members: impl Iterator<Item = (u32, u32)>) {
    let _ = writeln!(
        text,
        "[[pool]]\nname = \"p{n}\"\nbalance = \"{balance}\"\nbackends = ["
    );
    for (member, weight) in members {
        let (high, low) = (member >> 8, member & 255);
        let _ = writeln!(
            text,
            "{{ address = \"10.10.{high}.{low}:80\", weight = {weight} }},"
        );
    }
    let _ = writeln!(
        text,
        "]\n[[service]]\nname = \"s{n}\"\nlisten = \"tcp://10.9.{}.{}:80\"\nforward = \"direct\"\npool = \"p{n}\"",
        n >> 8,
        n & 255
    );
}
