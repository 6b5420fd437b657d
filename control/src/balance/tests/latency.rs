//! `least-time` over time: a pool under load in virtual time.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::*;

/// How a backend behaves at a time, with so many requests in flight: how long it takes, and whether it fails.
type Behaviour = Box<dyn Fn(u64, u32) -> (f64, bool)>;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Answers after this many milliseconds, whatever the load.
fn steady(ms: f64) -> Behaviour {
    Box::new(move |_, _| (ms, false))
}

/// A pool under load from several workers. Microseconds, so that it is exact.
struct Site {
    workers: Vec<Balancer>,
    list: Vec<Member>,
    behaviours: Vec<Behaviour>,
    now: u64,
    requests: u64,
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    running: std::collections::HashMap<u64, (Slot, Outcome, usize)>,
    counts: Vec<u64>,
    most: Vec<u32>,
    latencies: Vec<f64>,
}

impl Site {
    fn new(weights: &[u32], behaviours: Vec<Behaviour>, workers: u64) -> Self {
        let list = members(weights);
        let shared = Arc::new(Members::new(Algorithm::LeastTime, list.clone(), None));
        let count = list.len();
        Self {
            workers: (0..workers)
                .map(|w| Balancer::new(Arc::clone(&shared), w))
                .collect(),
            list,
            behaviours,
            now: 1_000_000,
            requests: 0,
            ends: BinaryHeap::new(),
            running: std::collections::HashMap::new(),
            counts: vec![0; count],
            most: vec![0; count],
            latencies: Vec::new(),
        }
    }

    fn instant(&self) -> Instant {
        Instant::at(Duration::from_micros(self.now))
    }

    fn replace(&mut self, list: Vec<Member>) {
        let members = Arc::new(Members::new(Algorithm::LeastTime, list.clone(), None));
        for worker in &mut self.workers {
            worker.replace(Arc::clone(&members));
        }
        self.counts.resize(list.len(), 0);
        self.most.resize(list.len(), 0);
        self.list = list;
    }

    /// Runs for `seconds` at `rate` requests a second; what was counted before is forgotten.
    fn run(&mut self, seconds: u64, rate: u64) -> &mut Self {
        self.counts.fill(0);
        self.most.fill(0);
        self.latencies.clear();
        let (gap, end) = (1_000_000 / rate, self.now + seconds * 1_000_000);
        while self.now < end {
            self.request();
            let next = self.now + gap;
            while let Some(&Reverse((at, id))) = self.ends.peek().filter(|r| r.0.0 <= next) {
                let _ = self.ends.pop();
                self.now = at;
                let (slot, outcome, _) = self.running.remove(&id).unwrap();
                slot.observe(self.instant(), outcome);
            }
            self.now = next;
        }
        self
    }

    fn request(&mut self) {
        let pick = Pick {
            now: self.instant(),
            ..Pick::default()
        };
        let worker = self.requests as usize % self.workers.len();
        self.requests += 1;
        let Picked { index, slot } = self.workers[worker].pick(&pick).unwrap();
        let in_flight = self.list[index].load.in_flight();
        let (ms, fails) = self.behaviours[index](self.now, in_flight);
        let took = Duration::from_secs_f64(ms / 1e3);
        let outcome = if fails {
            Outcome::Failed(TIMEOUT)
        } else {
            Outcome::Answered(took)
        };
        self.counts[index] += 1;
        self.most[index] = self.most[index].max(in_flight);
        self.latencies.push(ms);
        self.ends
            .push(Reverse((self.now + took.as_micros() as u64, self.requests)));
        assert!(
            self.running
                .insert(self.requests, (slot, outcome, index))
                .is_none()
        );
    }

    fn shares(&self) -> Vec<f64> {
        let total: u64 = self.counts.iter().sum();
        self.counts
            .iter()
            .map(|&c| c as f64 / total as f64)
            .collect()
    }
}

#[test]
fn equals_share_equally() {
    for rate in [50, 2000] {
        let mut site = Site::new(&[1; 4], (0..4).map(|_| steady(5.0)).collect(), 2);
        for share in site.run(20, rate).shares() {
            assert!(
                (0.22..0.28).contains(&share),
                "at {rate}/s: {:?}",
                site.shares()
            );
        }
    }
}

#[test]
fn equals_share_by_weight() {
    let mut site = Site::new(&[4, 3, 2, 1], (0..4).map(|_| steady(5.0)).collect(), 2);
    for rate in [50, 4000] {
        let shares = site.run(20, rate).shares();
        for (share, wanted) in shares.iter().zip([0.4, 0.3, 0.2, 0.1]) {
            assert!((share - wanted).abs() < 0.06, "at {rate}/s: {shares:?}");
        }
    }
}

#[test]
fn a_slow_one_gets_less_but_some() {
    // Ten times as slow. With little to do the quick ones suffice, and the slow one is only looked at.
    let mut site = Site::new(&[1; 3], vec![steady(10.0), steady(10.0), steady(100.0)], 2);
    let _ = site.run(10, 200);
    let light = site.run(30, 200).shares();
    assert!((0.001..0.02).contains(&light[2]), "{light:?}");
}

/// Servers that do one thing at a time, one of them ten times as slow, asked for more than the quick two can
/// do: each must get about what it can do, a twenty-first for the slow one.
#[test]
fn busy_servers_get_what_they_can_do() {
    let queue = |ms: f64| -> Behaviour { Box::new(move |_, n| (ms * f64::from(n), false)) };
    let mut site = Site::new(&[1; 3], vec![queue(1.0), queue(1.0), queue(10.0)], 2);
    let _ = site.run(10, 2050);
    let shares = site.run(30, 2050).shares();
    assert!((0.02..0.055).contains(&shares[2]), "{shares:?}");
    let mean = site.latencies.iter().sum::<f64>() / site.latencies.len() as f64;
    assert!(mean < 20.0, "{mean} ms");
}

/// So little traffic that every backend is always unheard of: still at most one request in ten finds out.
#[test]
fn exploring_is_bounded_where_there_is_little_traffic() {
    let mut site = Site::new(&[1; 3], vec![steady(5.0), steady(5.0), steady(90.0)], 1);
    let _ = site.run(60, 1);
    let shares = site.run(600, 1).shares();
    assert!((0.01..0.06).contains(&shares[2]), "{shares:?}");
}

#[test]
fn nobody_starves() {
    let mut site = Site::new(&[1; 3], vec![steady(1.0), steady(1.0), steady(3000.0)], 4);
    let _ = site.run(10, 500);
    for _ in 0..10 {
        let counts = &site.run(15, 500).counts;
        assert!(counts[2] >= 1, "{counts:?}");
        assert!(counts[2] <= 4, "looked at, no more: {counts:?}");
    }
}

#[test]
fn a_fast_failing_one_is_not_flooded() {
    let failing: Behaviour = Box::new(|_, _| (0.2, true));
    let mut site = Site::new(&[1; 3], vec![steady(20.0), steady(20.0), failing], 4);
    let first = site.run(1, 2000).counts[2];
    assert!(first <= 20, "{first} of 2000 in the first second");
    let later = site.run(60, 2000).counts[2];
    assert!(later <= 7, "{later} in the minute after");
}

/// Nothing is known of anybody, and the first to be heard of is the one that fails, long before the others
/// answer.
#[test]
fn a_fast_failing_one_is_not_flooded_from_the_start() {
    let failing: Behaviour = Box::new(|_, _| (0.2, true));
    let mut site = Site::new(&[1; 3], vec![steady(2000.0), steady(2000.0), failing], 4);
    let first = site.run(2, 1000).counts[2];
    assert!(first <= 10, "{first} of 2000 before anybody else answered");
}

/// Half of its requests fail: it must not be welcomed back each time that one succeeds.
#[test]
fn a_half_failing_one_is_not_flooded() {
    let flip = std::cell::Cell::new(false);
    let failing: Behaviour = Box::new(move |_, _| (0.2, flip.replace(!flip.get())));
    let mut site = Site::new(&[1; 3], vec![steady(20.0), steady(20.0), failing], 4);
    let _ = site.run(5, 1000);
    let later = site.run(60, 1000).shares();
    assert!(later[2] < 0.005, "{later:?}");
}

#[test]
fn one_that_recovers_is_found() {
    const RECOVERS: u64 = 61_000_000;
    let failing: Behaviour = Box::new(|now, _| {
        if now < RECOVERS {
            (0.2, true)
        } else {
            (20.0, false)
        }
    });
    let mut site = Site::new(&[1; 3], vec![steady(20.0), steady(20.0), failing], 4);
    let _ = site.run(60, 500);
    let after = |site: &mut Site, seconds| site.run(seconds, 500).shares()[2];
    let _ = after(&mut site, 45);
    let share = after(&mut site, 15);
    assert!(
        (0.28..0.38).contains(&share),
        "{share} of a third, 45 s after"
    );
}

#[test]
fn a_hung_one_holds_few() {
    let hung: Behaviour = Box::new(|_, _| (10_000.0, true));
    let mut site = Site::new(&[1; 3], vec![steady(5.0), steady(5.0), hung], 4);
    let _ = site.run(60, 1000);
    // Until the first timeout it looks new; it is given as many as the others have at a time, plus what
    // explores.
    let most = site.run(60, 1000).most[2];
    assert!(most <= 4, "{most} at a time");
}

#[test]
fn a_new_one_is_tried_gently() {
    let behaviours = vec![steady(5.0), steady(5.0), steady(400.0)];
    let mut site = Site::new(&[1; 2], behaviours, 4);
    let _ = site.run(5, 2000);
    let mut list = site.list.clone();
    list.push(member(2, 1));
    site.replace(list);
    let most = site.run(2, 2000).most[2];
    // Before its first answer after 400 ms, 800 requests pass; the others hold 5 each.
    assert!(most <= 10, "{most} at a time");
}

/// One slow answer (a garbage collection, say) does not cost a backend its share for long.
#[test]
fn a_single_slow_answer_is_forgiven() {
    let hiccup = std::cell::Cell::new(0);
    let slow_once: Behaviour = Box::new(move |_, _| {
        hiccup.set(hiccup.get() + 1);
        (if hiccup.get() == 2000 { 500.0 } else { 5.0 }, false)
    });
    let mut site = Site::new(&[1; 3], vec![steady(5.0), steady(5.0), slow_once], 2);
    let _ = site.run(20, 1000);
    let share = site.run(10, 1000).shares()[2];
    assert!(share > 0.28, "{share} of a third");
}

/// With a third of a large pool slow, sampling three leaves few requests to the slow.
#[test]
fn large_pools_avoid_their_slow_third() {
    let speed = |i: usize| steady(if i.is_multiple_of(3) { 200.0 } else { 10.0 });
    let mut site = Site::new(&[1; 90], (0..90).map(speed).collect(), 4);
    let _ = site.run(20, 2000);
    let slow = |site: &Site| -> f64 { site.shares().iter().step_by(3).sum() };
    let share = slow(site.run(20, 2000));
    assert!(share < 0.06, "{share}");
    assert!(site.counts.iter().all(|&c| c > 0), "all are looked at");
}
