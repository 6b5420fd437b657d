//! Refuses packets to addresses whose vip has `accept = false` (RFC 9568, section 6.4.3), by a table of nftables of our own
//! that is written by netlink: it needs no program beside this one.
//!
//! Why not by routes or rules: the kernel answers ARP for an address only while its route says `local`, for IPv4 as a whole and
//! for unicast solicitations over IPv6; whoever takes that away, or forbids it by a rule, takes the address off the link. A
//! filter at `input` sees packets of IP that this host would take, and nothing else: ARP, what the XDP program forwards and
//! what is routed on never come there. IPv6's neighbour discovery does, and goes through.
//!
//! Addresses are in the table while they are configured, whoever is master: a backup must not take packets to them either
//! (section 6.4.2), and taking over does not wait for the table. It outlives a process that crashes, as the address does that
//! it is about, and is replaced as a whole, in one transaction, by the next.

mod nft;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Addresses that take no packets, by the seat that they belong to.
#[derive(Debug, Default)]
pub(super) struct Filter {
    refused: BTreeMap<u64, BTreeSet<IpAddr>>,
    /// All that is to be refused at the start has been said. Until then a predecessor's table stays as it is.
    settled: bool,
    /// What the kernel was told last; none: not yet, or it went wrong.
    written: Option<BTreeSet<IpAddr>>,
    /// It went wrong, and there may be some that it does not know.
    failed: bool,
}

/// Why packets to the addresses of a seat are taken all the same, if they are.
pub(super) type Refused = (u64, Result<(), String>);

impl Filter {
    /// Has a seat's addresses take no packets, and none else of that seat's. What came of it for that one, and for
    /// others if the kernel has just learnt of them.
    pub(super) fn refuse(
        &mut self,
        seat: u64,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Vec<Refused> {
        let addresses: BTreeSet<IpAddr> = addresses.into_iter().collect();
        let refuses = !addresses.is_empty();
        if refuses {
            let _ = self.refused.insert(seat, addresses);
        } else {
            let _ = self.refused.remove(&seat);
        }
        if !self.settled {
            return Vec::new();
        }
        let failed = self.failed;
        let written = self.write();
        let mut outcomes = Vec::new();
        if !refuses {
            // Who takes packets misses nothing, whatever the kernel says.
            outcomes.push((seat, Ok(())));
        }
        // What the kernel does not take leaves it with what it had.
        let mends = failed && written.is_ok();
        let tells = |other: &&u64| **other == seat || mends;
        let others = self.refused.keys().filter(tells);
        outcomes.extend(others.map(|other| (*other, written.clone())));
        outcomes
    }

    /// All that is to be refused at the start has been said: the table is that from now on, whatever was left behind.
    pub(super) fn settle(&mut self) -> Vec<Refused> {
        self.settled = true;
        let written = self.write();
        let seats = self.refused.keys();
        seats.map(|seat| (*seat, written.clone())).collect()
    }

    fn write(&mut self) -> Result<(), String> {
        let all: BTreeSet<IpAddr> = self.refused.values().flatten().copied().collect();
        if self.written.as_ref() == Some(&all) {
            return Ok(());
        }
        self.written = None;
        let written = nft::replace(&all).map_err(|error| {
            format!("packets to it are taken all the same: nftables cannot be told: {error}")
        });
        self.failed = written.is_err();
        if written.is_ok() {
            self.written = Some(all);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{net::Ipv6Addr, process::Command, thread};

    use rustix::{
        process::geteuid,
        thread::{CapabilitySet, UnshareFlags, capabilities, set_capabilities, unshare_unsafe},
    };

    use super::*;

    /// What the kernel has in a set, as `nft` counts it.
    fn count(set: &str) -> usize {
        let listed = Command::new("nft")
            .args(["list", "set", "inet", "aplomb", set])
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        listed.matches([',', '}']).count().saturating_sub(2)
    }

    /// Runs a test in a thread with a network namespace of its own, if it may.
    fn apart(name: &str, test: impl FnOnce() + Send + 'static) {
        if !geteuid().is_root() {
            let skip = std::env::var_os("APLOMB_NO_SKIP").is_none();
            assert!(skip, "it needs root");
            eprintln!("SKIPPED: {name} needs root");
            return;
        }
        let apart = || {
            // SAFETY: a network namespace of this thread's own takes nothing from others.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            test();
        };
        thread::spawn(apart).join().unwrap();
    }

    /// Has this thread be one that may, or may not, tell the kernel of filters.
    fn may_filter(may: bool) {
        let mut sets = capabilities(None).unwrap();
        sets.effective.set(CapabilitySet::NET_ADMIN, may);
        set_capabilities(None, sets).unwrap();
    }

    #[test]
    fn a_kernel_that_refuses_is_told_of_and_asked_again() {
        apart("a_kernel_that_refuses", || {
            let ours = [IpAddr::from([10, 0, 0, 1])];
            let theirs = [IpAddr::from([10, 0, 0, 2])];
            let mut filter = Filter::default();
            assert_eq!(filter.refuse(1, ours), []);
            may_filter(false);
            let outcomes = filter.settle();
            let [(1, Err(why))] = &outcomes[..] else {
                panic!("{outcomes:?}");
            };
            assert!(
                why.contains("taken all the same") && why.contains("not permitted"),
                "{why}"
            );
            // Of another's change the first is not told again, and who takes packets misses nothing.
            assert_eq!(filter.refuse(2, theirs), [(2, Err(why.clone()))]);
            assert_eq!(filter.refuse(3, []), [(3, Ok(()))]);
            may_filter(true);
            assert_eq!(count("addresses4"), 0);
            // What holds now holds for all.
            let all = [(3, Ok(())), (1, Ok(())), (2, Ok(()))];
            assert_eq!(filter.refuse(3, []), all);
            assert_eq!(count("addresses4"), 2);
            assert_eq!(filter.refuse(2, []), [(2, Ok(()))]);
            may_filter(false);
            assert_eq!(filter.refuse(2, theirs), [(2, Err(why.clone()))]);
            assert_eq!(count("addresses4"), 1);
        });
    }

    /// More than a message and a transaction hold.
    #[test]
    fn many_addresses_are_refused_and_none_again() {
        apart("many_addresses_are_refused", || {
            let v4 = (0..2500_u32).map(|n| IpAddr::from((0x0a00_0000 + n).to_be_bytes()));
            let v6 = (0..2500_u128).map(|n| IpAddr::from(Ipv6Addr::from((0xfd << 120) + n)));
            let mut filter = Filter::default();
            // Nothing is written before all has been said.
            assert_eq!(filter.refuse(1, v4), []);
            assert_eq!(count("addresses4"), 0);
            assert_eq!(filter.settle(), [(1, Ok(()))]);
            assert_eq!(filter.refuse(2, v6), [(2, Ok(()))]);
            assert_eq!((count("addresses4"), count("addresses6")), (2500, 2500));
            assert_eq!(filter.refuse(1, []), [(1, Ok(()))]);
            assert_eq!((count("addresses4"), count("addresses6")), (0, 2500));
            assert_eq!(filter.refuse(2, []), [(2, Ok(()))]);
            assert_eq!(count("addresses6"), 0);
            // What a process that died left is gone when the next has none.
            assert_eq!(
                filter.refuse(3, [IpAddr::from([10, 0, 0, 1])]),
                [(3, Ok(()))]
            );
            assert_eq!(count("addresses4"), 1);
            assert_eq!(Filter::default().settle(), []);
            assert_eq!(count("addresses4"), 0);
        });
    }
}
