//! One virtual router under a clock that is set by hand: what it does, and to the nanosecond when.
#![expect(clippy::unwrap_used, reason = "tests")]

mod change;
mod config;
mod protocol;
mod timing;

use std::{net::IpAddr, time::Duration};

use super::{Config, Input, Output, Preempt, Router, Settings, State, Why};
use crate::{
    time::Instant,
    vrrp::{
        codec::{Advert, V2Auth},
        terms::{Addresses, Interval, Priority, Version, Vrid},
    },
};

pub(super) const MS: Duration = Duration::from_millis(1);

pub(super) fn at(since: Duration) -> Instant {
    Instant::at(since)
}

pub(super) fn node(last: u8) -> IpAddr {
    IpAddr::from([10, 66, 0, last])
}

pub(super) fn vips(lasts: &[u8]) -> Addresses {
    Addresses::new(lasts.iter().map(|last| node(*last))).unwrap()
}

pub(super) fn settings() -> Settings {
    Settings::new(Vrid::new(51).unwrap(), vips(&[100]))
}

pub(super) fn config(change: impl FnOnce(&mut Settings)) -> Config {
    let mut settings = settings();
    change(&mut settings);
    Config::new(settings).unwrap()
}

/// A node at 10.66.0.2 with what it said; the clock only goes on.
pub(super) struct Rig {
    pub(super) router: Router,
    pub(super) now: Instant,
}

impl Rig {
    /// Not started.
    pub(super) fn idle(change: impl FnOnce(&mut Settings)) -> Self {
        Self {
            router: Router::new(config(change), Instant::ZERO),
            now: Instant::ZERO,
        }
    }

    /// Started at zero, link up.
    pub(super) fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut rig = Self::idle(change);
        rig.tell(Input::Start);
        rig.tell(Input::LinkUp(node(2)));
        rig
    }

    /// Started, and master because nobody else was there; what it said until then is left out.
    pub(super) fn master(change: impl FnOnce(&mut Settings)) -> Self {
        let mut rig = Self::new(change);
        rig.until_due();
        rig.tell(Input::Tick);
        assert_eq!(rig.router.state(), State::Master);
        rig
    }

    pub(super) fn tell(&mut self, input: Input) -> Vec<Output> {
        self.router.handle(input, self.now);
        std::iter::from_fn(|| self.router.poll_output()).collect()
    }

    /// Time goes on by so much, with a tick at each deadline.
    pub(super) fn wait(&mut self, by: Duration) -> Vec<Output> {
        let end = self.now + by;
        let mut outputs = Vec::new();
        while let Some(due) = self.router.next_deadline().filter(|due| *due <= end) {
            assert!(due >= self.now, "deadlines do not lie in the past for ever");
            self.now = due;
            outputs.extend(self.tell(Input::Tick));
        }
        self.now = end;
        outputs
    }

    /// The clock jumps to the next deadline, without a tick.
    pub(super) fn until_due(&mut self) -> Instant {
        self.now = self.router.next_deadline().unwrap();
        self.now
    }

    pub(super) fn hear(&mut self, from: u8, priority: u8) -> Vec<Output> {
        let advert = self.advert(priority);
        self.hear_advert(from, advert)
    }

    pub(super) fn hear_advert(&mut self, from: u8, advert: Advert) -> Vec<Output> {
        let from = node(from);
        self.tell(Input::Advert { from, advert })
    }

    /// As a node with our configuration and another priority would send.
    pub(super) fn advert(&self, priority: u8) -> Advert {
        let config = self.router.config();
        Advert {
            version: config.version,
            vrid: config.vrid,
            priority: Priority(priority),
            interval: config.interval,
            addresses: config.addresses.clone(),
            auth: V2Auth::None,
        }
    }

    pub(super) fn state(&self) -> State {
        self.router.state()
    }
}

pub(super) fn interval(version: Version, every: Duration) -> Interval {
    Interval::new(version, every).unwrap()
}

/// The priorities that were sent, in order.
pub(super) fn said(outputs: &[Output]) -> Vec<u8> {
    let each = outputs.iter().filter_map(|output| match output {
        Output::Advertise(advert) => Some(advert.priority.0),
        _ => None,
    });
    each.collect()
}

/// Why it became what it is.
pub(super) fn why(outputs: &[Output]) -> Option<&Why> {
    outputs.iter().rev().find_map(|output| match output {
        Output::Moved(transition) => Some(&transition.why),
        _ => None,
    })
}

pub(super) fn never(settings: &mut Settings) {
    settings.preempt = Preempt::Never;
}
