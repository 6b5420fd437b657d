//! Which services this node serves just now: those whose packets come by here. When an address has moved to another node,
//! that one knows what becomes of its flows.

use std::time::Duration;

use xdp::abi::{SERVICES, Tick};

use super::to_ticks;

/// When a packet of each service came by last.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// By service slot; 0: none did yet.
    last: Vec<u32>,
    /// After how many ticks without one a service is another node's.
    quiet: Option<u32>,
}

impl Served {
    pub(super) fn quiet_after(&mut self, quiet: Duration) {
        self.quiet = Some(to_ticks(quiet));
    }

    /// The same of tables whose slots are others.
    pub(super) fn anew(self) -> Self {
        Self {
            last: Vec::new(),
            ..self
        }
    }

    /// A packet of a service came by so many ticks ago.
    pub(super) fn saw(&mut self, service: u32, now: Tick, idle: u32) {
        let at = service as usize;
        if service >= SERVICES {
            return;
        }
        if self.last.len() <= at {
            self.last.resize(at + 1, 0);
        }
        let then = now.0.wrapping_sub(idle).max(1);
        if let Some(last) = self.last.get_mut(at)
            && (*last == 0 || Tick(then).is_past(*last))
        {
            *last = then;
        }
    }

    /// Whether a service's packets came by here of late.
    pub(super) fn is_here(&self, service: u32, now: Tick) -> bool {
        let Some(quiet) = self.quiet else {
            return true;
        };
        let last = self.last.get(service as usize).copied().unwrap_or(0);
        last != 0 && now.0.wrapping_sub(last) <= quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_here_while_its_packets_are() {
        let mut served = Served::default();
        assert!(served.is_here(7, Tick(1000)), "nobody asks");
        served.quiet_after(Duration::from_secs(10));
        assert!(!served.is_here(7, Tick(1000)));
        served.saw(7, Tick(1000), 20);
        served.saw(7, Tick(1000), 900);
        let quiet = to_ticks(Duration::from_secs(10));
        assert!(served.is_here(7, Tick(980 + quiet)));
        assert!(!served.is_here(7, Tick(981 + quiet)));
        assert!(!served.is_here(8, Tick(1000)), "another one");
        let served = served.anew();
        assert!(!served.is_here(7, Tick(1000)), "of other tables");
    }
}
