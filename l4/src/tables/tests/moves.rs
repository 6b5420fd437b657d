//! How many clients of hash schedulers go to another backend when one of a thousand goes, comes or changes.

use super::*;

/// The whole table after each of several plans.
struct Site {
    tables: Tables,
    model: Model,
    service: Arc<ServicePlan>,
}

impl Site {
    fn new() -> Self {
        Self {
            tables: Tables::default(),
            model: Model::default(),
            service: service("a", "10.0.0.1:80", "p", false),
        }
    }

    fn table(&mut self, pool: PoolPlan) -> Vec<u32> {
        let plan = plan(&[Arc::clone(&self.service)], &[Arc::new(pool)]);
        // Without the checks after each write, which take minutes for tables as large as these.
        let changes = self
            .tables
            .apply(&plan, Instant::ZERO, &self.model)
            .unwrap();
        self.tables.settle();
        for write in changes.writes {
            match write {
                Write::Service { slot, record } => drop(self.model.services.insert(slot, record)),
                Write::Backend { slot, record } => drop(self.model.backends.insert(slot, record)),
                Write::Schedule { region, entries } => {
                    self.model.schedule.extend((region.start..).zip(entries));
                }
                _ => {}
            }
        }
        self.model.list(self.model.services[&0].table)
    }
}

fn address(n: u32) -> String {
    format!("10.1.{}.{}:80", n >> 8, n & 255)
}

fn many(count: u32, balance: &Balance, weight: impl Fn(u32) -> u32) -> PoolPlan {
    let addresses: Vec<_> = (0..count).map(address).collect();
    let members: Vec<_> = (0..)
        .zip(&addresses)
        .map(|(n, a)| (&**a, weight(n)))
        .collect();
    Arc::into_inner(pool("p", balance.clone(), &members)).unwrap()
}

fn without(mut pool: PoolPlan, n: u32) -> PoolPlan {
    let mut spec = PoolSpec::clone(&pool.spec);
    let _ = spec.backends.remove(n as usize);
    let _ = pool.members.remove(n as usize);
    PoolPlan {
        spec: Arc::new(spec),
        ..pool
    }
}

/// Slots that are another backend's, and were not `one`'s before nor are now.
fn moved_beyond(before: &[u32], after: &[u32], one: u32) -> usize {
    assert_eq!(
        before.len(),
        after.len(),
        "another length moves half of all"
    );
    let pairs = before.iter().zip(after);
    pairs
        .filter(|(old, new)| old != new && **old != one && **new != one)
        .count()
}

fn check(balance: &Balance, weight: impl Fn(u32) -> u32 + Copy) {
    let mut site = Site::new();
    let before = site.table(many(1000, balance, weight));
    let one = site.model.slot_of(&address(700));
    let share = before.iter().filter(|slot| **slot == one).count();
    assert!(share > 0);

    let mut down = many(1000, balance, weight);
    down.members[700].duty = Duty::Avoid;
    let changes = [
        ("down", down),
        ("up", many(1000, balance, weight)),
        ("removed", without(many(1000, balance, weight), 700)),
        ("added", many(1000, balance, weight)),
    ];
    let mut last = before.clone();
    for (change, pool) in changes {
        let table = site.table(pool);
        let beyond = moved_beyond(&last, &table, one);
        assert!(
            beyond * 1000 <= table.len(),
            "{balance:?}, {change}: {beyond} of {} moved",
            table.len()
        );
        let there = table.iter().filter(|slot| **slot == one).count();
        assert_eq!(
            there,
            if matches!(change, "down" | "removed") {
                0
            } else {
                share
            }
        );
        last = table;
    }
    assert_eq!(last, before, "all is as it was");
}

#[test]
fn one_of_a_thousand_of_mh() {
    check(&Balance::Maglev(HashKey::Source), |n| 1 + n % 4);
}

#[test]
fn one_of_a_thousand_of_sh() {
    check(&Balance::Hash(HashKey::Source), |_| 1);
}

#[test]
fn one_of_a_thousand_of_dh() {
    check(&Balance::DestinationHash, |_| 1);
}

#[test]
fn another_weight_moves_clients_to_or_from_it_alone() {
    let balance = Balance::Maglev(HashKey::Source);
    let mut site = Site::new();
    let mut last = site.table(many(100, &balance, |_| 10));
    let one = site.model.slot_of(&address(70));
    for weight in [1, 5, 20, 10] {
        let mut pool = many(100, &balance, |_| 10);
        pool.members[70].weight = weight;
        let table = site.table(pool);
        assert_eq!(moved_beyond(&last, &table, one), 0, "weight {weight}");
        assert_ne!(last, table);
        last = table;
    }
}
