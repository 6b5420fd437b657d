//! Slow start in virtual time.

use super::*;

const OVER: Duration = Duration::from_secs(9);

fn secs(seconds: u64) -> Instant {
    Instant::at(Duration::from_secs(seconds))
}

/// A pool of members of these weights, of which the first came up at the tenth second.
fn rising(name: &str, balance: Balance, members: &[(&str, u32)]) -> Arc<PoolPlan> {
    let mut pool = Arc::into_inner(pool(name, balance, members)).unwrap();
    let mut spec = PoolSpec::clone(&pool.spec);
    spec.slow_start = OVER;
    pool.spec = Arc::new(spec);
    pool.members[0].rising_since = Some(secs(10));
    Arc::new(pool)
}

const THREE: [(&str, u32); 3] = [("10.1.0.1:80", 1), ("10.1.0.2:80", 1), ("10.1.0.3:80", 2)];

/// One service, stepped whenever its tables say so.
struct Site {
    tables: Tables,
    model: Model,
    plan: Plan,
    now: Instant,
}

impl Site {
    fn of(balance: Balance) -> Self {
        let services = [service("a", "10.0.0.1:80", "p", false)];
        let mut site = Self {
            tables: Tables::default(),
            model: Model::default(),
            plan: plan(&services, &[rising("p", balance, &THREE)]),
            now: secs(10),
        };
        let _ = site.apply();
        site
    }

    fn apply(&mut self) -> Changes {
        let changes = self
            .tables
            .apply(&self.plan, self.now, &self.model)
            .unwrap();
        self.model.write(&changes.writes);
        self.tables.settle();
        changes
    }

    /// Goes on to the next step; none when there is none.
    fn step(&mut self) -> Option<Changes> {
        self.now = self.tables.deadline()?;
        Some(self.apply())
    }

    fn share_of_first(&self) -> f64 {
        let ring = self.model.list(self.model.services[&0].table);
        let first = self.model.slot_of(THREE[0].0);
        let there = ring.iter().filter(|slot| **slot == first).count();
        there as f64 / ring.len() as f64
    }

    fn weights(&self) -> [u32; 3] {
        THREE.map(|(address, _)| self.model.backends[&self.model.slot_of(address)].weight)
    }
}

#[test]
fn a_ring_gives_more_step_by_step_until_the_whole() {
    let mut site = Site::of(Balance::WeightedRoundRobin);
    let mut shares = vec![site.share_of_first()];
    while site.step().is_some() {
        shares.push(site.share_of_first());
    }
    // From a tenth of 1 beside 1 and 2, by tenths, to 1.
    let wanted = (1..=10).map(|parts| f64::from(parts) / f64::from(30 + parts));
    assert_eq!(shares, wanted.collect::<Vec<_>>());
    assert_eq!(site.now, secs(10) + OVER);
    assert_eq!(site.weights(), [1, 1, 2], "a ring alone says who is chosen");
    assert_eq!(site.tables.deadline(), None);
}

#[test]
fn records_rise_and_only_the_one_of_who_rises() {
    for balance in [
        Balance::WeightedLeastConnections,
        Balance::ShortestExpectedDelay,
        Balance::NeverQueue,
        Balance::LeastOfTwo,
    ] {
        let mut site = Site::of(balance.clone());
        let first = site.model.slot_of(THREE[0].0);
        for parts in 1..=10 {
            assert_eq!(site.weights(), [parts, 10, 20], "{balance:?}");
            let Some(changes) = site.step() else {
                assert_eq!(parts, 10);
                continue;
            };
            let records = changes.writes.iter().filter_map(|w| match w {
                Write::Backend { slot, .. } => Some(*slot),
                _ => None,
            });
            assert_eq!(records.collect::<Vec<_>>(), [first]);
            let disturbing = |w: &Write| {
                matches!(w, Write::Fresh { .. } | Write::Lead { .. })
                    || matches!(w, Write::Backend { record, .. } if record.flags & backend_flags::REMOVED != 0)
            };
            assert!(!changes.writes.iter().any(disturbing));
        }
    }
}

#[test]
fn the_ring_goes_on_where_it_was() {
    let mut site = Site::of(Balance::WeightedRoundRobin);
    let length = |site: &Site| site.model.services[&0].table >> 32;
    assert_eq!(length(&site), 31);
    site.model.cursors.insert(0, 31 * 5 + 17);
    let _ = site.step().unwrap();
    assert_eq!(length(&site), 16, "1, 5 and 10: the divisor is 2");
    assert_eq!(site.model.cursors[&0], 17 * 16 / 31);
}

#[test]
fn keys_and_counts_stay_where_they_are() {
    for balance in [
        Balance::Maglev(HashKey::Source),
        Balance::Hash(HashKey::Source),
        Balance::DestinationHash,
        Balance::RoundRobin,
        Balance::LeastConnections,
        Balance::Overflow,
        Balance::Failover,
    ] {
        let site = Site::of(balance.clone());
        assert_eq!(site.weights(), [1, 1, 2], "{balance:?}");
        assert_eq!(site.tables.deadline(), None, "{balance:?}");
    }
}

#[test]
fn heavy_members_rise_among_destinations_at_home() {
    let members = [("10.1.0.1:80", 50), ("10.1.0.2:80", 50)];
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let pools = [rising("p", Balance::LocalityLeastConnections, &members)];
    let plan = plan(&[service("a", "10.0.0.1:80", "p", false)], &pools);
    let mut weights = Vec::new();
    for at in [10, 14, 19] {
        let changes = tables.apply(&plan, secs(at), &model).unwrap();
        model.write(&changes.writes);
        weights.push(model.backends[&model.slot_of("10.1.0.1:80")].weight);
        assert_eq!(model.backends[&model.slot_of("10.1.0.2:80")].weight, 50);
    }
    assert_eq!(weights, [5, 25, 50]);
}

#[test]
fn many_services_that_rise_take_turns() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let name = |n: u32| format!("s{n}");
    let services: Vec<_> = (0..500)
        .map(|n| {
            service(
                &name(n),
                &format!("10.0.{}.{}:80", n >> 8, n & 255),
                &name(n),
                false,
            )
        })
        .collect();
    let pools: Vec<_> = (0..500)
        .map(|n| rising(&name(n), Balance::WeightedRoundRobin, &THREE))
        .collect();
    let plan = plan(&services, &pools);
    let changes = tables.apply(&plan, secs(10), &model).unwrap();
    assert_eq!(changes.services, 500);
    for write in &changes.writes {
        if let Write::Cursor { service, turns } = write {
            model.cursors.insert(*service, *turns);
        }
    }

    let (mut turns, mut steps, mut last) = (0, 0, secs(10));
    while let Some(at) = tables.deadline() {
        assert!(turns == 0 || at.saturating_since(last) >= Duration::from_millis(100));
        let changes = tables.apply(&plan, at, &model).unwrap();
        assert!(
            (1..=50).contains(&changes.services),
            "{} in one turn",
            changes.services
        );
        (turns, steps, last) = (turns + 1, steps + changes.services, at);
        let again = tables.apply(&plan, at, &model).unwrap();
        assert_eq!(again.services, 0, "once a turn, whatever else happens");
        tables.settle();
        assert!(turns < 1000);
    }
    // Nine steps for each, of which some were late and were taken together.
    assert!((500..=4500).contains(&steps), "{steps}");
    assert!(last.saturating_since(secs(10)) < OVER + Duration::from_secs(3));
}

#[test]
fn a_plan_that_no_longer_rises_is_whole_at_once() {
    let mut site = Site::of(Balance::WeightedLeastConnections);
    let mut pool = PoolPlan {
        spec: Arc::clone(&site.plan.pools.values().next().unwrap().spec),
        members: site.plan.pools.values().next().unwrap().members.clone(),
        panic: false,
    };
    pool.members[0].rising_since = None;
    site.plan.pools.insert("p".parse().unwrap(), Arc::new(pool));
    let _ = site.apply();
    assert_eq!(site.weights(), [10, 10, 20]);
    assert_eq!(site.tables.deadline(), None);
}
