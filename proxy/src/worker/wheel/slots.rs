//! The wheel itself: entries in slots by tick, without clocks or tasks.

use std::task::Waker;

use slab::Slab;

/// The wheel goes round in about 69 s; what is due later goes round again.
pub(super) const SLOTS: u64 = 4096;
/// No tick at all.
pub(super) const NEVER: u64 = u64::MAX;
/// No entry.
const NIL: u32 = u32::MAX;

/// Entries by the tick that they are due at.
pub(super) struct Slots {
    pub(super) entries: Slab<Entry>,
    /// The first entry of each slot.
    heads: Box<[u32]>,
    /// A bit for each slot that has an entry.
    occupied: [u64; SLOTS as usize / 64],
    /// The last tick that was dealt with.
    pub(super) tick: u64,
}

/// One deadline.
pub(super) struct Entry {
    /// The tick that it is due at; NEVER: not armed.
    pub(super) due: u64,
    /// The tick whose slot it is linked into; NEVER: into none.
    pub(super) linked: u64,
    prev: u32,
    next: u32,
    pub(super) waker: Option<Waker>,
}

impl Slots {
    /// No entries, at this tick.
    pub(super) fn new(tick: u64) -> Self {
        Self {
            entries: Slab::new(),
            heads: vec![NIL; SLOTS as usize].into(),
            occupied: [0; SLOTS as usize / 64],
            tick,
        }
    }

    /// Adds an entry that is not due.
    pub(super) fn insert(&mut self) -> u32 {
        let entry = Entry {
            due: NEVER,
            linked: NEVER,
            prev: NIL,
            next: NIL,
            waker: None,
        };
        self.entries.insert(entry) as u32
    }

    /// Links an entry into the slot of its tick, or the farthest there is; says which tick.
    pub(super) fn link(&mut self, key: u32) -> u64 {
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

    /// Takes an entry out of its slot.
    pub(super) fn unlink(&mut self, key: u32) {
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
    pub(super) fn next_occupied(&self) -> u64 {
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
    pub(super) fn advance(&mut self, now: u64) -> Vec<Waker> {
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
