//! The tags of a bucket, eight at a time: numbers of 16 bits, four in each of two words.

/// One in each lane.
const ONES: u64 = 0x0001_0001_0001_0001;
/// The highest bit of each lane.
const TOPS: u64 = ONES << 15;
/// A tag of a place that somebody fills.
const BUSY: u64 = 1;
/// By this, one of the bits of [`Hits`] becomes a number below eight, each another one: where the bit is, three bits of
/// this come to the top (a de Bruijn sequence, in pieces of four bits).
const NUMBERS: u64 = 0x1000_4000_7000_d000;

/// The highest bit of each lane that is 0. Above one that is, there may be bits of lanes that are not.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & TOPS
}

/// Places of a bucket, as a set: the four of the first word at bits 0, 16, 32 and 48, those of the second one higher.
///
/// The lowest is one that was looked for. Others may not be: whoever takes another must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hits(u64);

impl Hits {
    #[inline(always)]
    fn of(first: u64, second: u64) -> Self {
        Self(first >> 15 | second >> 14)
    }

    /// Places whose tag is this.
    #[inline(always)]
    pub(super) fn tagged(words: [u64; 2], tag: u64) -> Self {
        let tags = tag.wrapping_mul(ONES);
        Self::of(zeros(words[0] ^ tags), zeros(words[1] ^ tags))
    }

    /// Places that are free.
    #[inline(always)]
    pub(super) fn free(words: [u64; 2]) -> Self {
        Self::of(zeros(words[0]), zeros(words[1]))
    }

    /// Places that are taken: exact, all of them.
    #[inline(always)]
    pub fn taken(words: [u64; 2]) -> Self {
        Self::of(words[0] & TOPS, words[1] & TOPS)
    }

    /// The n-th place of a bucket, in whatever order.
    #[inline(always)]
    pub fn nth(n: usize) -> Self {
        Self(1 << ((n & 3) * 16 + (n >> 2 & 1)))
    }

    /// The lowest of them.
    #[inline(always)]
    pub fn lowest(self) -> Self {
        Self(self.0 & self.0.wrapping_neg())
    }

    /// Those that one of these is not.
    #[inline(always)]
    pub fn without(self, one: Self) -> Self {
        Self(self.0 & !one.0)
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    #[inline(always)]
    pub fn count(self) -> u64 {
        // Each 16 bits hold two; the sum of all comes to the top.
        let pairs = (self.0 & ONES).wrapping_add(self.0 >> 1 & ONES);
        pairs.wrapping_mul(ONES) >> 48
    }

    /// The number of a single place, below eight.
    #[inline(always)]
    pub fn slot(self) -> usize {
        (self.0.wrapping_mul(NUMBERS) >> 61) as usize
    }

    /// Which of the two words a single place's tag is in, and by how much the tag is multiplied there.
    #[inline(always)]
    pub(super) fn lane(self) -> (usize, u64) {
        let second = self.0 & ONES << 1;
        if second != 0 {
            (1, second >> 1)
        } else {
            (0, self.0)
        }
    }
}

/// The word with the tag of a free lane made that of one that is being filled.
#[inline(always)]
pub(super) fn claimed(word: u64, unit: u64) -> u64 {
    word | unit.wrapping_mul(BUSY)
}

/// Whether somebody is in a lane.
#[inline(always)]
pub(super) fn is_taken(word: u64, unit: u64) -> bool {
    word & unit << 15 != 0
}

/// The word with the tag of a taken lane made that of one that is being filled.
#[inline(always)]
pub(super) fn retaken(word: u64, unit: u64) -> u64 {
    claimed(word ^ lane(word, unit), unit)
}

/// What is to be added to the word to make that tag this one.
#[inline(always)]
pub(super) fn published(tag: u64, unit: u64) -> u64 {
    (tag - BUSY).wrapping_mul(unit)
}

/// The word's lane.
#[inline(always)]
pub(super) fn lane(word: u64, unit: u64) -> u64 {
    word & unit.wrapping_mul(0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of eight tags, in the order of bits.
    fn words(tags: [u64; 8]) -> [u64; 2] {
        let word = |from: usize| (0..4).fold(0, |w, k| w | tags[from + k] << (16 * k));
        [word(0), word(4)]
    }

    fn hits(mut hits: Hits) -> std::vec::Vec<usize> {
        let mut slots = std::vec::Vec::new();
        while !hits.is_empty() {
            slots.push(hits.lowest().slot());
            hits = hits.without(hits.lowest());
        }
        slots
    }

    #[test]
    fn each_place_has_a_number_of_its_own() {
        let mut all = hits(Hits::taken([u64::MAX; 2]));
        assert_eq!(Hits::taken([u64::MAX; 2]).count(), 8);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn the_lowest_is_right_and_none_is_missed() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut tags = [0; 8];
            for tag in &mut tags {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                // Few different ones, among them neighbours and what is free or being filled.
                *tag = [0, 1, 0x8000, 0x8001, 0xffff][(state >> 60) as usize % 5];
            }
            let words = words(tags);
            let at = |hits: Hits| {
                let (word, unit) = hits.lane();
                lane(words[word], unit) / unit
            };
            for wanted in [0x8000, 0x8001, 0xffff] {
                let mut found = Hits::tagged(words, wanted);
                let there = tags.iter().filter(|t| **t == wanted).count();
                assert_eq!(found.is_empty(), there == 0);
                if there > 0 {
                    assert_eq!(at(found.lowest()), wanted);
                }
                let mut right = 0;
                while !found.is_empty() {
                    right += usize::from(at(found.lowest()) == wanted);
                    found = found.without(found.lowest());
                }
                assert_eq!(right, there);
            }
            let taken = tags.iter().filter(|t| **t >= 0x8000).count();
            assert_eq!(Hits::taken(words).count(), taken as u64);
            let free = Hits::free(words);
            assert_eq!(free.is_empty(), !tags.contains(&0));
            if !free.is_empty() {
                assert_eq!(at(free.lowest()), 0);
            }
        }
    }

    #[test]
    fn a_place_is_claimed_and_published() {
        let words = words([0x8123, 0, 0xffff, 0x8000, 0x9000, 0x8001, 0x8002, 0x8003]);
        let (word, unit) = Hits::free(words).lowest().lane();
        let busy = claimed(words[word], unit);
        let done = busy.wrapping_add(published(0xabcd, unit));
        assert_eq!(done, 0x8000_ffff_abcd_8123);
        assert_eq!(lane(done, unit), 0xabcd * unit);
    }
}
