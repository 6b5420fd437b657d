//! A master (RFC 9568, 6.4.3): it holds the addresses and says so, and yields to who is better.

use std::net::IpAddr;

use super::{Order, Output, Phase, Router, Why, backup::Backup};
use crate::{
    time::Instant,
    vrrp::{codec::Advert, terms::Priority},
};

#[derive(Clone, Debug)]
pub(super) struct Master {
    /// When the next advert is due.
    next: Instant,
    /// When the last was sent.
    sent: Instant,
    /// The next is out of turn.
    hurried: bool,
    rival: Option<Rival>,
}

/// Another node that is master too.
#[derive(Clone, Copy, Debug)]
struct Rival {
    peer: IpAddr,
    first: Instant,
    last: Instant,
}

impl Router {
    pub(super) fn become_master(&mut self, why: Why, now: Instant) {
        if self.order == Order::Released {
            self.order = Order::None;
        }
        let interval = self.config.interval.duration();
        self.counters.became_master += 1;
        self.say(self.priority());
        self.push(Output::Take(self.config.addresses.clone()));
        let master = Master {
            next: now + interval,
            sent: now,
            hurried: false,
            rival: None,
        };
        self.move_to(Phase::Master(master), why, now);
    }

    /// Gives up what a master holds, if it is one; with `aloud`, others hear that they may take over at once.
    pub(super) fn leave_master(&mut self, aloud: bool) {
        let Phase::Master(master) = &mut self.phase else {
            return;
        };
        let rival = master.rival.take();
        if aloud {
            self.say(Priority::RELEASE);
        }
        self.push(Output::GiveUp(self.config.addresses.clone()));
        self.end_rivalry(rival);
    }

    fn end_rivalry(&mut self, rival: Option<Rival>) {
        if let Some(rival) = rival {
            let lasted = rival.last.saturating_since(rival.first);
            self.push(Output::SplitBrainOver { lasted });
        }
    }

    pub(super) fn say(&mut self, priority: Priority) {
        self.counters.sent += 1;
        self.counters.sent_releases += u64::from(priority == Priority::RELEASE);
        self.push(Output::Advertise(self.advert(priority)));
    }

    /// An advert out of turn: at once, or when the last is long enough ago.
    pub(super) fn say_soon(&mut self, now: Instant) {
        let gap = self.least_gap();
        let Phase::Master(master) = &mut self.phase else {
            return;
        };
        let soon = master.sent + gap;
        if soon < master.next {
            master.next = soon;
            master.hurried = true;
        }
        if master.next <= now {
            self.advertise(now);
        }
    }

    fn advertise(&mut self, now: Instant) {
        let interval = self.config.interval.duration();
        let Phase::Master(master) = &mut self.phase else {
            return;
        };
        // In step with the last, unless it is out of turn or much too late: what was missed is not made up for.
        let late = now.saturating_since(master.next);
        let in_step = !master.hurried && late < interval / 2;
        master.next = if in_step { master.next } else { now } + interval;
        master.hurried = false;
        master.sent = now;
        self.say(self.priority());
    }

    pub(super) fn master_deadline(&self, master: &Master) -> Instant {
        match master.rival {
            Some(rival) => master.next.min(rival.last + self.master_down_interval()),
            None => master.next,
        }
    }

    pub(super) fn tick_master(&mut self, now: Instant) {
        let quiet = self.master_down_interval();
        let Phase::Master(master) = &mut self.phase else {
            return;
        };
        let due = master.next <= now;
        let over = master.rival.take_if(|rival| rival.last + quiet <= now);
        if due {
            self.advertise(now);
        }
        if over.is_some() {
            self.push(Output::Announce);
            self.end_rivalry(over);
        }
    }

    pub(super) fn master_hears(&mut self, from: IpAddr, advert: &Advert, now: Instant) {
        let ours = self.priority();
        if advert.priority == Priority::RELEASE {
            self.say_soon(now);
            return;
        }
        if advert.priority > ours {
            let why = Why::HigherPriority {
                peer: from,
                theirs: advert.priority,
                ours,
            };
            self.yield_to(from, advert, why, now);
            return;
        }
        if advert.priority == ours && self.primary.is_some_and(|primary| from > primary) {
            self.yield_to(from, advert, Why::HigherAddress { peer: from }, now);
            return;
        }
        self.meet_rival(from, advert.priority, now);
        self.say_soon(now);
    }

    fn yield_to(&mut self, from: IpAddr, advert: &Advert, why: Why, now: Instant) {
        self.leave_master(false);
        self.become_backup(Backup::under(from, advert, now), why, now);
    }

    /// Another node is master while we are: two of us tell the link where the addresses are.
    pub(super) fn meet_rival(&mut self, peer: IpAddr, priority: Priority, now: Instant) {
        if priority == Priority::RELEASE {
            return;
        }
        let Phase::Master(master) = &mut self.phase else {
            return;
        };
        if let Some(rival) = &mut master.rival {
            rival.peer = peer;
            rival.last = now;
            return;
        }
        master.rival = Some(Rival {
            peer,
            first: now,
            last: now,
        });
        self.counters.split_brains += 1;
        self.push(Output::SplitBrain { peer, priority });
        self.push(Output::Announce);
    }

    /// The other node that is master too, if one was heard of late.
    #[must_use]
    pub const fn rival(&self) -> Option<IpAddr> {
        match &self.phase {
            Phase::Master(Master {
                rival: Some(rival), ..
            }) => Some(rival.peer),
            _ => None,
        }
    }
}
