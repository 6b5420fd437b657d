//! Counts of connections put right: what a sweep counted against what the program keeps.
//!
//! Where nothing happened meanwhile the two must be the same, and the difference is what was lost (an entry thrown out
//! of a full table, say). Where connections came and went, the sweep cannot know which of them it saw; then only what
//! is beyond all of them is taken for a difference. So a count is exact as soon as it rests, and never far off.

use std::{collections::HashMap, mem::offset_of, sync::atomic::Ordering::Relaxed};

use xdp::abi::Load;

use crate::maps::Maps;

/// What was counted of one backend.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) active: u32,
    pub(crate) inactive: u32,
    pub(crate) templates: u32,
    /// Of those that the sweep itself took out.
    ended: [u32; 2],
    before: Load,
    connections: Option<u64>,
    /// It was there when the sweep began.
    known: bool,
}

/// What was counted of all backends, by slot.
#[derive(Debug)]
pub(crate) struct Counts {
    of: HashMap<u32, Count>,
}

impl Counts {
    pub(crate) fn begin(maps: &Maps, slots: impl Iterator<Item = (u32, Option<u64>)>) -> Self {
        let of = slots.map(|(slot, connections)| {
            let count = Count {
                before: maps.loads.get(slot).unwrap_or_default(),
                connections,
                known: true,
                ..Count::default()
            };
            (slot, count)
        });
        Self { of: of.collect() }
    }

    pub(crate) fn add(&mut self, backend: u32, active: bool) {
        let count = self.of.entry(backend).or_default();
        *(if active {
            &mut count.active
        } else {
            &mut count.inactive
        }) += 1;
    }

    pub(crate) fn add_template(&mut self, backend: u32) {
        self.of.entry(backend).or_default().templates += 1;
    }

    pub(crate) fn ended(&mut self, backend: u32, active: bool) {
        let count = self.of.entry(backend).or_default();
        count.ended[usize::from(!active)] += 1;
    }

    /// What was counted of a backend; none if it was not there when the sweep began.
    pub(crate) fn get(&self, slot: u32) -> Option<&Count> {
        self.of.get(&slot).filter(|count| count.known)
    }

    /// Puts the program's counts right. How many had to be. `connections` asks how many a backend was given until now.
    pub(crate) fn settle(&self, maps: &Maps, mut connections: impl FnMut(u32) -> u64) -> u64 {
        let mut corrected = 0;
        for (slot, count) in self.of.iter().filter(|(_, count)| count.known) {
            let Some(load) = maps.loads.get(*slot) else {
                continue;
            };
            let set = |offset: usize, by: i32| {
                if let Some(number) = maps.loads.word(*slot, offset) {
                    number.fetch_add(by as u32, Relaxed);
                }
            };
            if let Some(number) = maps.loads.word(*slot, offset_of!(Load, persistent)) {
                number.store(count.templates, Relaxed);
            }
            let [active, inactive] = count.ended;
            let numbers = [
                (
                    offset_of!(Load, active),
                    count.active,
                    load.active,
                    count.before.active.wrapping_sub(active),
                ),
                (
                    offset_of!(Load, inactive),
                    count.inactive,
                    load.inactive,
                    count.before.inactive.wrapping_sub(inactive),
                ),
            ];
            let mut new = None;
            for (offset, counted, is, was) in numbers {
                if counted == is {
                    continue;
                }
                let new = *new.get_or_insert_with(|| match count.connections {
                    Some(before) => connections(*slot).saturating_sub(before),
                    None => u64::from(u32::MAX),
                });
                let churn =
                    new.saturating_add(is.wrapping_sub(was).cast_signed().unsigned_abs().into());
                let by = correction(counted, is, churn);
                if by != 0 {
                    set(offset, by);
                    corrected += 1;
                }
            }
        }
        corrected
    }
}

/// What is to be added to a count: the difference, as far as it is more than what came and went.
fn correction(counted: u32, is: u32, churn: u64) -> i32 {
    let difference = counted.wrapping_sub(is).cast_signed();
    let churn = i32::try_from(churn).unwrap_or(i32::MAX);
    if difference.unsigned_abs() <= churn.unsigned_abs() {
        return 0;
    }
    difference - difference.signum() * churn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections() {
        assert_eq!(correction(5, 5, 0), 0);
        assert_eq!(correction(5, 8, 0), -3, "three were thrown out");
        assert_eq!(correction(5, 8, 3), 0, "or came meanwhile");
        assert_eq!(correction(100, 8, 3), 89);
        assert_eq!(correction(0, u32::MAX, 0), 1, "one too many was taken off");
    }
}
