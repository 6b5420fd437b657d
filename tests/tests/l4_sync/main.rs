//! Connection sync: two directors; connections through one go on through the other when the first fails, and it catches up
//! when it is back. [`by_vrrp`] is about many connections and addresses that VRRP moves, [`by_hand`] about all that is
//! told beside plain TCP, and by multicast, [`by_ipvs`] about IPVS's own protocol between two of ours. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

mod by_hand;
mod by_ipvs;
mod by_vrrp;
mod directors;
