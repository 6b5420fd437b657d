//! What always holds between two calls; checked in debug builds at the end of each.

use super::Engine;

impl Engine {
    #[cfg(not(debug_assertions))]
    #[inline]
    pub(super) fn check_invariants(&self) {}

    #[cfg(debug_assertions)]
    pub(super) fn check_invariants(&self) {
        use super::ward::Tally;

        let ward = &self.ward;
        assert_eq!(ward.ids.len(), ward.beds.len(), "each backend has one key");
        let members: usize = ward.pools.values().map(|pool| pool.members.len()).sum();
        assert_eq!(members, ward.beds.len(), "each backend is in one pool");
        let waiting = ward
            .beds
            .iter()
            .filter(|(_, bed)| bed.deadline.is_some())
            .count();
        assert_eq!(
            waiting,
            ward.timers.len(),
            "one timer for each backend that waits"
        );

        for (name, pool) in &ward.pools {
            let mut tally = Tally::default();
            let mut trailing = false;
            for id in &pool.members {
                let bed = &ward.beds[id.0];
                let backend = &bed.backend;
                assert_eq!(ward.ids[&backend.key], *id, "the key leads to the backend");
                assert_eq!(bed.fact, backend.fact(), "{}: settled", backend.key);
                assert_eq!(bed.deadline, backend.deadline(), "{}: timed", backend.key);
                assert!(
                    backend.is_removed() || !(pool.removed || trailing),
                    "{}: the removed come last",
                    backend.key
                );
                trailing |= backend.is_removed();
                tally.count_in(&bed.fact, backend.is_ejected());
            }
            assert_eq!(tally, pool.tally, "{name}: counted");
            assert!(
                tally.ejected <= pool.most_ejected(),
                "{name}: too many ejected"
            );
            assert!(
                !pool.removed || !pool.members.is_empty(),
                "{name}: an empty shell"
            );
        }
    }
}
