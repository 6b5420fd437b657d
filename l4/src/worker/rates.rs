//! Traffic of each backend: since when it counts, and how much there is by the second.
//!
//! The program's counters only ever grow; putting them to zero is remembering what they were. Rates are IPVS's: every
//! two seconds a quarter of the way to what was just seen.

use std::collections::HashMap;

use xdp::abi::Counters;

use crate::status::{Rates, Traffic};

/// Between two looks at the counters.
pub(crate) const PERIOD: std::time::Duration = std::time::Duration::from_secs(2);

/// Five numbers of a [`Counters`], in its order.
type Five<T> = [T; 5];

/// Traffic of all backends, by slot.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    slots: HashMap<u32, Metered>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Metered {
    zero: Five<u64>,
    last: Option<Five<u64>>,
    rates: Five<f64>,
}

/// The sum of a backend's counters over all CPUs.
pub(crate) fn sum(of: &[Counters]) -> Counters {
    of.iter().fold(Counters::default(), |all, one| Counters {
        connections: all.connections + one.connections,
        in_packets: all.in_packets + one.in_packets,
        in_bytes: all.in_bytes + one.in_bytes,
        out_packets: all.out_packets + one.out_packets,
        out_bytes: all.out_bytes + one.out_bytes,
    })
}

fn five(c: &Counters) -> Five<u64> {
    [
        c.connections,
        c.in_packets,
        c.in_bytes,
        c.out_packets,
        c.out_bytes,
    ]
}

impl Meter {
    /// A backend's counts begin here.
    pub(crate) fn zero(&mut self, slot: u32, now: &Counters) {
        let now = five(now);
        self.slots.insert(
            slot,
            Metered {
                zero: now,
                last: Some(now),
                rates: Five::default(),
            },
        );
    }

    /// Connections given to a backend as of the last look.
    pub(crate) fn connections(&self, slot: u32) -> Option<u64> {
        self.slots
            .get(&slot)?
            .last
            .map(|[connections, ..]| connections)
    }

    /// What was seen [`PERIOD`] after the last look.
    pub(crate) fn look(&mut self, slot: u32, now: &Counters) {
        let metered = self.slots.entry(slot).or_default();
        let now = five(now);
        if let Some(last) = metered.last.replace(now) {
            for ((rate, now), last) in metered.rates.iter_mut().zip(now).zip(last) {
                let seen = now.saturating_sub(last) as f64 / PERIOD.as_secs_f64();
                *rate += (seen - *rate) / 4.0;
            }
        }
    }

    /// Forgets a slot.
    pub(crate) fn forget(&mut self, slot: u32) {
        self.slots.remove(&slot);
    }

    /// A backend's traffic, and its rates as they are to be added up.
    pub(crate) fn of(&self, slot: u32, now: &Counters) -> (Traffic, Five<f64>) {
        let metered = self.slots.get(&slot).copied().unwrap_or_default();
        let mut since = five(now);
        for (now, zero) in since.iter_mut().zip(metered.zero) {
            *now = now.saturating_sub(zero);
        }
        let [connections, in_packets, in_bytes, out_packets, out_bytes] = since;
        let traffic = Traffic {
            connections,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        };
        (traffic, metered.rates)
    }
}

/// Rates as they are shown: whole numbers, a half rounded down as IPVS does.
pub(crate) fn shown(rates: &Five<f64>) -> Rates {
    let [connections, in_packets, in_bytes, out_packets, out_bytes] =
        rates.map(|rate| (rate - 0.5).ceil().max(0.0) as u64);
    Rates {
        connections,
        in_packets,
        out_packets,
        in_bytes,
        out_bytes,
    }
}

/// Adds traffic up.
pub(crate) fn add(to: &mut Traffic, more: &Traffic) {
    to.connections += more.connections;
    to.in_packets += more.in_packets;
    to.out_packets += more.out_packets;
    to.in_bytes += more.in_bytes;
    to.out_bytes += more.out_bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(packets: u64) -> Counters {
        Counters {
            in_packets: packets,
            ..Counters::default()
        }
    }

    #[test]
    fn a_quarter_of_the_way() {
        let mut meter = Meter::default();
        meter.zero(7, &counters(1000));
        meter.look(7, &counters(1800));
        let (traffic, rates) = meter.of(7, &counters(1900));
        assert_eq!(traffic.in_packets, 900);
        assert_eq!(
            shown(&rates).in_packets,
            100,
            "400 a second, a quarter of it"
        );
        meter.look(7, &counters(2600));
        assert_eq!(shown(&meter.of(7, &counters(2600)).1).in_packets, 175);
        meter.zero(7, &counters(2600));
        assert_eq!(meter.of(7, &counters(2600)).0, Traffic::default());
    }
}
