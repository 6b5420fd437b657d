//! What virtual routers decide is done here: adverts, addresses, announcements, and what is to be said of it.

use proto::{
    time::Instant,
    vrrp::{
        group::{Group, GroupInput, GroupOutput, Member, Opened},
        machine::{Output, Router, State},
    },
};

use super::{
    bundle::Bundle,
    report::{Report, cause},
    tools::Tools,
};

impl Bundle {
    /// Tells the group, and does what follows.
    pub(super) fn handle(&mut self, input: GroupInput, tools: &Tools, now: Instant) {
        let Some(group) = &mut self.group else { return };
        group.handle(input, now);
        while let Some(output) = self.group.as_mut().and_then(Group::poll_output) {
            match output {
                GroupOutput::Member(Member(at), output) => self.perform(at, output, tools, now),
                GroupOutput::Moved { from, to } => self.moved(from, to, tools),
                GroupOutput::Declined(_, why) => self.declined = Some(why.to_string()),
                GroupOutput::GateOpened(Opened::Timeout(_)) => self.gate_timed_out(tools),
                GroupOutput::GateOpened(_) => {}
            }
        }
    }

    fn gate_timed_out(&self, tools: &Tools) {
        for vip in &self.vips {
            tools.report(Report::Trouble {
                vip: vip.plan.spec.name.clone(),
                what: "it may preempt, though connections of the other node are not known: that took too long"
                    .into(),
            });
        }
    }

    fn perform(&mut self, at: usize, output: Output, tools: &Tools, now: Instant) {
        let router = self
            .group
            .as_ref()
            .and_then(|group| group.member(Member(at)));
        let (Some(router), Some(seat)) = (router, self.seats.get_mut(at)) else {
            return;
        };
        let vip = seat.plan.spec.name.clone();
        match output {
            Output::Advertise(advert) => seat.advertise(&advert, router.primary(), tools),
            Output::Take(_) => seat.take(tools),
            // A master's that changed: `readdress` does it.
            Output::GiveUp(_) if router.state() == State::Master => {}
            Output::GiveUp(_) => seat.give(tools),
            Output::Announce => seat.burst.again(now),
            Output::Moved(moved) => {
                seat.why = moved.why.to_string();
                let kind = (moved.to, cause(&moved.why));
                *seat.transitions.entry(kind).or_default() += 1;
                tools.report(Report::Moved {
                    vip,
                    family: seat.family,
                    from: moved.from,
                    to: moved.to,
                    why: seat.why.clone(),
                    priority: router.priority().0,
                });
            }
            Output::Refused(refusal) => seat.complain(None, &refusal, tools, now),
            Output::Noted(refusal) => tools.report(Report::Trouble {
                vip,
                what: format!("an advert is obeyed, though: {refusal}"),
            }),
            Output::SplitBrain { peer, priority } if seat.tells_split(now) => {
                tools.report(Report::Trouble {
                    vip,
                    what: format!("split brain: {peer} is master too, with priority {priority}"),
                });
            }
            Output::SplitBrainOver { lasted } if seat.tells_end_of_split() => {
                tools.report(Report::Note {
                    vip,
                    what: format!("the split brain is over, it lasted {lasted:?}"),
                });
            }
            Output::SplitBrain { .. } | Output::SplitBrainOver { .. } => {}
            Output::Declined(why) => self.declined = Some(why.to_string()),
        }
    }

    fn moved(&self, from: State, to: State, tools: &Tools) {
        for (at, vip) in self.vips.iter().enumerate() {
            let spec = &vip.plan.spec;
            let Some(vrrp) = &spec.vrrp else { continue };
            let seat = self.seats.iter().position(|seat| seat.vip == at);
            let priority = seat
                .and_then(|seat| self.router(seat))
                .map(Router::priority);
            tools.report(Report::Role {
                vip: spec.name.clone(),
                group: self.name.clone(),
                from,
                to,
                why: seat.map_or_else(String::new, |seat| self.seats[seat].why.clone()),
                priority: priority.map_or(0, |priority| priority.0),
                notify: vrrp.notify.clone(),
            });
        }
    }
}
