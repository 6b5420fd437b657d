//! The tables of flows in this process' memory, against a map of the standard library's and among threads.

#![allow(clippy::unwrap_used)]

use std::{
    boxed::Box, cell::UnsafeCell, collections::HashMap, sync::atomic::AtomicU32,
    sync::atomic::Ordering::Relaxed, vec::Vec,
};

use proptest::prelude::*;

use super::*;
use crate::abi::{Addr6, V4, V6, buckets, near};

/// A table alone.
struct Alone<F: Family> {
    secret: u64,
    buckets: Box<[UnsafeCell<Bucket<F>>]>,
}

// SAFETY: it is changed as the kernel's is: tags atomically, the rest by whom a place belongs to.
unsafe impl<F: Family> Sync for Alone<F> {}

impl<F: Family> Alone<F> {
    fn new(flows: u32) -> Self {
        let empty = Bucket {
            tags: [0; 2],
            over: 0,
            slots: [Slot {
                key: Tuple::new(F::Addr::default(), F::Addr::default(), 0, 0, 0),
                flow: Flow::default(),
            }; LANES],
        };
        let buckets = (0..buckets(flows)).map(|_| UnsafeCell::new(empty));
        Self {
            secret: 0x1234_5678_9abc_def0,
            buckets: buckets.collect(),
        }
    }

    fn insert(&self, key: &Tuple<F>, backend: u32, expires: u32) -> Inserted {
        let mut flow = Flow {
            backend,
            expires,
            ..Flow::default()
        };
        // SAFETY: the flow outlives the call.
        let draft = unsafe { Entry::new(NonNull::from(&mut flow)) };
        match insert(self, Table::Pending, key, draft) {
            Inserted::Full => replace(self, Table::Pending, key, draft, Tick(1000)),
            other => other,
        }
    }

    fn get(&self, key: &Tuple<F>) -> Option<u32> {
        let place = Place::of(key, self.secret);
        find(self, Table::Pending, place, key).map(|flow| get!(flow.backend))
    }

    fn remove(&self, key: &Tuple<F>) -> bool {
        remove(self, Table::Pending, key)
    }

    fn len(&self) -> u64 {
        let all = 0..self.count(Table::Pending);
        let taken = all.map(|i| Hits::taken(words(self.bucket(Table::Pending, i).unwrap())));
        taken.map(Hits::count).sum()
    }
}

impl<F: Family> Buckets<F> for Alone<F> {
    fn secret(&self) -> u64 {
        self.secret
    }

    fn count(&self, _: Table) -> u32 {
        self.buckets.len() as u32
    }

    fn near(&self, _: Table) -> u32 {
        near(self.buckets.len() as u32)
    }

    fn bucket(&self, _: Table, index: u32) -> Option<Entry<Bucket<F>>> {
        let bucket = self.buckets.get(index as usize)?;
        // SAFETY: it lives as long as the table.
        Some(unsafe { Entry::new(NonNull::new(bucket.get()).unwrap()) })
    }
}

/// One of many clients of a service.
fn client(n: u32) -> Tuple<V4> {
    Tuple::new(
        (0x0a00_0000 + (n >> 14)).to_be(),
        1,
        ((n & 0x3fff) as u16 + 1024).to_be(),
        80_u16.to_be(),
        6,
    )
}

fn client6(n: u32) -> Tuple<V6> {
    let four = client(n);
    let src = Addr6 {
        a: 0x20,
        d: four.src,
        ..Addr6::default()
    };
    let dst = Addr6 {
        a: 0x20,
        ..Addr6::default()
    };
    Tuple::new(src, dst, four.sport, four.dport, 6)
}

#[test]
fn a_table_holds_what_it_is_meant_to_hold() {
    fn fill<F: Family>(key: fn(u32) -> Tuple<F>) {
        const FLOWS: u32 = 200_000;
        let table = Alone::new(FLOWS);
        for n in 0..FLOWS {
            assert_eq!(table.insert(&key(n), n, 2000), Inserted::Yes);
        }
        assert_eq!(table.len(), u64::from(FLOWS), "nobody gave way");
        for n in 0..FLOWS {
            assert_eq!(table.get(&key(n)), Some(n));
            assert_eq!(table.insert(&key(n), 0, 2000), Inserted::Taken);
        }
        assert_eq!(table.get(&key(FLOWS)), None);
        for n in (0..FLOWS).step_by(2) {
            assert!(table.remove(&key(n)));
            assert!(!table.remove(&key(n)));
        }
        for n in 0..FLOWS {
            assert_eq!(table.get(&key(n)), (n % 2 == 1).then_some(n));
        }
    }
    fill::<V4>(client);
    fill::<V6>(client6);
}

#[test]
fn the_flow_that_ends_first_gives_way() {
    let table = Alone::<V4>::new(1);
    let places = table.buckets.len() as u32 * LANES as u32;
    // Far more than there is room for, each to end later than all before.
    let many = places * 20;
    for n in 0..many {
        assert_eq!(table.insert(&client(n), n, 2000 + n), Inserted::Yes);
        assert_eq!(table.get(&client(n)), Some(n), "the newest is always in");
    }
    assert_eq!(table.len(), u64::from(places));
    let alive: Vec<u32> = (0..many)
        .filter(|n| table.get(&client(*n)).is_some())
        .collect();
    assert_eq!(alive.len() as u32, places);
    assert!(alive[0] > many - places * 10, "none of the old is left");
}

#[test]
fn flows_live_as_long_in_all_buckets() {
    let table = Alone::<V4>::new(200_000);
    let (all, near) = (table.count(Table::Pending), table.near(Table::Pending));
    assert!(
        near < all / 2,
        "there are more of the others: {near} of {all}"
    );
    let places = all * LANES as u32;
    let many = places * 4;
    for n in 0..many {
        assert_eq!(table.insert(&client(n), n, 2000 + n), Inserted::Yes);
    }
    // Of the last ones, as many as half of the places.
    let late = |index: u32| {
        let bucket = table.bucket(Table::Pending, index).unwrap();
        let backend = |n| {
            let flow = flow(slot(bucket, n));
            get!(flow.backend)
        };
        (0..LANES)
            .filter(|n| backend(*n) >= many - places / 2)
            .count()
    };
    let count = |part: core::ops::Range<u32>| -> f64 {
        let length = part.len() as f64;
        part.map(late).sum::<usize>() as f64 / length
    };
    let (near, far) = (count(0..near), count(near..all));
    assert!(
        (3.6..=4.0).contains(&near) && (3.6..=4.0).contains(&far),
        "{near} {far}"
    );
}

/// What each bucket should count, by the keys that are there.
fn gone_on(table: &Alone<V4>) -> Vec<u64> {
    let mut counts = std::vec![0; table.buckets.len()];
    for index in 0..table.buckets.len() as u32 {
        let bucket = table.bucket(Table::Pending, index).unwrap();
        let mut taken = Hits::taken(words(bucket));
        while !taken.is_empty() {
            let slot = slot(bucket, taken.lowest().slot());
            taken = taken.without(taken.lowest());
            let place = Place::of(&get!(slot.key), table.secret);
            let at = |step| place.index(table, Table::Pending, step);
            if index != at(NEAR) {
                counts[at(NEAR) as usize] += 1;
                if index != at(FIRST) {
                    assert_eq!(index, at(SECOND));
                    counts[at(FIRST) as usize] += 1;
                }
            }
        }
    }
    counts
}

#[test]
fn buckets_count_who_went_on() {
    let table = Alone::<V4>::new(2000);
    let counted = || -> Vec<u64> {
        let all = 0..table.buckets.len() as u32;
        let bucket = |index| table.bucket(Table::Pending, index).unwrap();
        // SAFETY: a word of a bucket.
        all.map(|index| unsafe { atomic::load(over(bucket(index))) })
            .collect()
    };
    // So many that others give way, in all three buckets.
    for n in 0..20_000 {
        assert_eq!(table.insert(&client(n), n, 2000 + n % 777), Inserted::Yes);
        if n % 1999 == 0 {
            assert_eq!(counted(), gone_on(&table));
        }
    }
    assert_eq!(counted(), gone_on(&table));
    assert!(counted().iter().sum::<u64>() > 500, "many went on");
    for n in 0..20_000 {
        let _ = table.remove(&client(n));
    }
    assert_eq!(table.len(), 0);
    assert_eq!(counted().iter().sum::<u64>(), 0);
}

#[test]
fn nobody_is_put_where_the_secret_does_not_say() {
    let place = |secret| Place::of(&client(7), secret);
    assert_ne!(place(1), place(2));
    let (one, other) = (place(1), place(1));
    assert_eq!(one, other);
}

/// That flows which another processor puts in and takes out are never mistaken for one's own, and that none is lost.
#[test]
fn many_change_it_at_once() {
    const EACH: u32 = 3000;
    const THREADS: u32 = 4;
    let table = Alone::<V4>::new(THREADS * EACH);
    let wrong = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (table, wrong) = (&table, &wrong);
            let _ = scope.spawn(move || {
                let mine = |n: u32| n * THREADS + thread;
                for round in 0..6 {
                    for n in 0..EACH {
                        let done = table.insert(&client(mine(n)), mine(n), 2000);
                        let right = done == Inserted::Yes;
                        let _ = wrong.fetch_add(u32::from(!right), Relaxed);
                    }
                    for n in 0..EACH {
                        let right = table.get(&client(mine(n))) == Some(mine(n));
                        let _ = wrong.fetch_add(u32::from(!right), Relaxed);
                    }
                    for n in (0..EACH).filter(|_| round < 5) {
                        let right = table.remove(&client(mine(n)));
                        let _ = wrong.fetch_add(u32::from(!right), Relaxed);
                    }
                }
            });
        }
    });
    // A place is given up if others change its bucket's word four times in between.
    assert!(wrong.load(Relaxed) < 20, "{wrong:?}");
    let all = 0..THREADS * EACH;
    let lost = all.filter(|n| table.get(&client(*n)) != Some(*n)).count();
    assert!(lost < 20, "{lost}");
}

proptest! {
    #[test]
    fn it_is_a_map(steps in prop::collection::vec((0..3_u8, 0..40_u32), 1..400)) {
        let table = Alone::<V4>::new(60);
        let mut model = HashMap::new();
        for (step, n) in steps {
            let key = client(n);
            match step {
                0 => {
                    let there = model.contains_key(&n);
                    let done = table.insert(&key, n + 1, 2000);
                    prop_assert_eq!(done, if there { Inserted::Taken } else { Inserted::Yes });
                    let _ = model.entry(n).or_insert(n + 1);
                }
                1 => prop_assert_eq!(table.remove(&key), model.remove(&n).is_some()),
                _ => prop_assert_eq!(table.get(&key), model.get(&n).copied()),
            }
            prop_assert_eq!(table.len(), model.len() as u64);
        }
    }
}
