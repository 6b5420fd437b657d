//! Where backends of address translation answer from, of all services together: by that the program tells an answer whose
//! flow is still to come from another node from what is none of its business. And the sources of full NAT that they answer to,
//! which other connections of this machine may have too.
//!
//! Services share backends and sources, so it is counted how many name each. It takes what room listeners leave in the table of
//! endpoints; one without a place there is as if nobody knew it.

use std::collections::{BTreeMap, BTreeSet};

use super::{place::Place, write::Stages};

/// Places of the table of endpoints from which backends answer, or to which.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// By how many services each is wanted.
    wanted: BTreeMap<Place, u32>,
    /// Those in the table.
    there: BTreeSet<Place>,
    /// The two differ by more than what changes next: a predecessor's are there, or there was no room.
    doubted: bool,
}

impl Answers {
    /// As a predecessor left them.
    pub(super) fn found(there: BTreeSet<Place>) -> Self {
        Self {
            doubted: !there.is_empty(),
            there,
            wanted: BTreeMap::new(),
        }
    }

    /// Goes by what services have said; there may be `room` of them.
    pub(super) fn settle(&mut self, room: usize, stages: &mut Stages) {
        let changes = std::mem::take(&mut stages.answers);
        if changes.is_empty() && self.there.len() <= room {
            return;
        }
        let mut touched = BTreeSet::new();
        for (place, comes) in changes {
            let count = self.wanted.entry(place).or_default();
            *count = if comes {
                count.saturating_add(1)
            } else {
                count.saturating_sub(1)
            };
            if *count == 0 {
                self.wanted.remove(&place);
            }
            touched.insert(place);
        }
        if self.doubted {
            touched.extend(self.there.iter().chain(self.wanted.keys()));
        }
        self.doubted = false;
        for place in &touched {
            if !self.wanted.contains_key(place) && self.there.remove(place) {
                stages.make_room(*place);
            }
        }
        while self.there.len() > room
            && let Some(place) = self.there.pop_last()
        {
            self.doubted = true;
            stages.make_room(place);
        }
        for place in touched {
            if !self.wanted.contains_key(&place) || self.there.contains(&place) {
                continue;
            }
            if self.there.len() >= room {
                self.doubted = true;
                break;
            }
            self.there.insert(place);
            // What it leads to does not count.
            stages.lead(place, Some(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::write::Write;

    fn place(host: u8) -> Place {
        Place::Backend([10, 0, 0, host].into(), 80, 6)
    }

    /// What is written once services have said this.
    fn said(answers: &mut Answers, room: usize, changes: &[(u8, bool)]) -> Vec<(Place, bool)> {
        let mut stages = Stages::default();
        let changes = changes.iter().map(|(host, comes)| (place(*host), *comes));
        stages.answers = changes.collect();
        answers.settle(room, &mut stages);
        let writes = stages.finish([].iter()).writes.into_iter();
        let lead = |write| match write {
            Write::Lead { place, slot } => Some((place, slot.is_some())),
            _ => None,
        };
        writes.filter_map(lead).collect()
    }

    #[test]
    fn a_backend_of_two_services_answers_until_neither_has_it() {
        let mut answers = Answers::default();
        assert_eq!(said(&mut answers, 9, &[(1, true)]), [(place(1), true)]);
        assert_eq!(said(&mut answers, 9, &[(1, true)]), []);
        assert_eq!(said(&mut answers, 9, &[(1, false)]), []);
        assert_eq!(said(&mut answers, 9, &[(1, false)]), [(place(1), false)]);
    }

    #[test]
    fn what_a_predecessor_left_goes_unless_it_is_wanted() {
        let mut answers = Answers::found([place(1), place(2)].into());
        let written = said(&mut answers, 9, &[(2, true), (3, true)]);
        assert_eq!(written, [(place(1), false), (place(3), true)]);
        assert_eq!(said(&mut answers, 9, &[(2, false)]), [(place(2), false)]);
    }

    #[test]
    fn listeners_have_the_room_first() {
        let mut answers = Answers::default();
        let all = [(1, true), (2, true), (3, true)];
        let two = [(place(1), true), (place(2), true)];
        assert_eq!(said(&mut answers, 2, &all), two);
        assert_eq!(said(&mut answers, 1, &[]), [(place(2), false)]);
        // Any change is the time to look who has room now.
        let written = said(&mut answers, 3, &[(1, false)]);
        assert_eq!(
            written,
            [(place(1), false), (place(2), true), (place(3), true)]
        );
    }
}
