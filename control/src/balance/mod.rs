//! Choosing a backend: one implementation, with one meaning, for every plane.
//!
//! Three things live for different times, and that is why there are three types:
//!
//! - [`Load`] lives as long as a backend is configured. It holds what is in flight on it and how long it
//!   takes to answer, as atomics in a cache line of their own, so that all workers and all generations of the
//!   plan see the same numbers. A request costs it two relaxed atomic additions, some tens of nanoseconds when
//!   another core had the line; the least-connections algorithms are worth nothing without it.
//! - [`Members`] is what one plan says may be used: an immutable list with the tables built from it, shared
//!   by all workers.
//! - [`Balancer`] is one worker's place in the schedule over a `Members`. Nothing in it is shared, so
//!   choosing takes no lock. [`Balancer::replace`] moves it to a new list without starting over at the first
//!   backend.
//!
//! Who may be used at all (health, panic, drain, disabled) is decided by the plan: members are those that
//! may. Weight 0 is the one exception: such a member gets no new work but stays in the list, for `explain` to
//! speak of. Backups get work only when no other member has a weight: they stand in for absent primaries, not
//! for full ones (requests wait for those) nor for ones that a request has tried already.
//!
//! | algorithm | file | cost of a choice | by weight |
//! |---|---|---|---|
//! | `rr`, `first` | `turns`, `balancer` | O(1) unless members are full | no |
//! | `wrr` | `turns`, `smooth` | O(1) in pools above 32, else a scan | yes |
//! | `lc` `wlc` `sed` `nq` | `scan` | O(n) | all but `lc` |
//! | `random` `p2c` `hash` | `draw`, `alias` | O(1) | yes |
//! | `maglev` | `draw`, `maglev` | O(1) | yes |
//! | `least-time` | `least_time` | O(n) up to 16 members, O(1) above | yes |
//!
//! Measured on one core of an AMD EPYC, loads in its cache: 27 ns for the O(1) ones with the place taken and given
//! back, 22 ns more for an outcome, and 3 ns for each member that is scanned. With many hundreds of members, `p2c`
//! does what `wlc` does at a hundredth of the cost.
//!
//! **Slow start** ([`SlowStart`]) scales a weight linearly from a tenth to the whole. It bears on `wrr`,
//! `wlc`, `sed`, `nq`, `random`, `p2c` and `least-time`. It does not on `rr`, `lc` and `first`, which know no
//! weights, nor on `hash` and `maglev`: there it would move keys twice, against what they are chosen for.
//!
//! **A key's second choice.** Where the member that a key leads to is full or was tried already, `hash` and
//! `maglev` hash the key again, so that what one member sheds spreads over all others rather than onto a
//! neighbour. Requests without a key are placed at random, by weight.

mod alias;
mod balancer;
mod draw;
mod explain;
mod hash;
mod least_time;
mod load;
pub mod maglev;
mod members;
mod scan;
pub mod smooth;
#[cfg(test)]
mod tests;
mod turns;

pub use self::{
    balancer::{Balancer, NoBackend, Pick, Picked},
    explain::{Explanation, Reason, Verdict},
    hash::{hash64, mix64},
    load::{Load, Outcome, Slot},
    members::{Algorithm, BackendId, Member, Members, SlowStart},
};
