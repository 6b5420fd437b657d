//! Members move together.

use std::sync::Arc;

use super::{Group, GroupOutput, Member};
use crate::{
    time::Instant,
    vrrp::machine::{Input, Router, State},
};

/// The name of the fault that a member has because another has one; no tracker is called so.
const FAULT: &str = "(group)";

impl Group {
    pub(super) fn tell(&mut self, member: Member, input: Input, now: Instant) {
        if let Some(router) = self.members.get_mut(member.0) {
            router.handle(input, now);
        }
        self.collect(member);
    }

    pub(super) fn tell_all(&mut self, input: &Input, now: Instant) {
        for member in 0..self.members.len() {
            self.tell(Member(member), input.clone(), now);
        }
    }

    fn collect(&mut self, member: Member) {
        let Some(router) = self.members.get_mut(member.0) else {
            return;
        };
        while let Some(output) = router.poll_output() {
            self.outputs.push_back(GroupOutput::Member(member, output));
        }
    }

    /// All members take over, if each of them can.
    pub(super) fn promote(&mut self, now: Instant) {
        let declines = |(at, router): (usize, &Router)| {
            router.declines_promotion().map(|why| (Member(at), why))
        };
        if let Some((member, why)) = self.members.iter().enumerate().find_map(declines) {
            self.outputs.push_back(GroupOutput::Declined(member, why));
            return;
        }
        self.tell_all(&Input::Promote, now);
    }

    /// Brings members that have moved apart together again.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.members.len() > 1 {
            self.share_faults(now);
            self.share_mastery(now);
        }
        let state = self.common_state();
        let from = std::mem::replace(&mut self.state, state);
        if from != state {
            self.outputs
                .push_back(GroupOutput::Moved { from, to: state });
        }
    }

    /// One at fault by itself makes all others at fault by the group, as long as it lasts.
    fn share_faults(&mut self, now: Instant) {
        let own: Vec<bool> = self.members.iter().map(is_at_fault_itself).collect();
        let culprits = own.iter().filter(|own| **own).count();
        for (at, own) in own.into_iter().enumerate() {
            let wanted = culprits > usize::from(own);
            let has = self.members[at].faults().any(|(name, _)| name == FAULT);
            if wanted != has {
                let why =
                    wanted.then(|| Arc::from("another virtual router of the group is at fault"));
                self.tell(Member(at), Input::Fault(Arc::from(FAULT), why), now);
            }
        }
    }

    /// One that stepped back takes all others with it; all become master once each would.
    fn share_mastery(&mut self, now: Instant) {
        let masters = self.count(|router| router.state() == State::Master);
        let ready = self.count(|router| router.state() == State::Master || router.wants_mastery());
        let all = self.members.len();
        if ready == all && masters < all {
            self.each(now, |router, now| router.assume(now));
        } else if masters > 0 && masters < all {
            self.each(now, |router, now| router.step_back(now));
        }
    }

    fn each(&mut self, now: Instant, act: impl Fn(&mut Router, Instant)) {
        for at in 0..self.members.len() {
            act(&mut self.members[at], now);
            self.collect(Member(at));
        }
    }

    fn count(&self, is: impl Fn(&Router) -> bool) -> usize {
        self.members.iter().filter(|router| is(router)).count()
    }

    /// The least of what its members are: those in a start delay, and those at fault, come first.
    fn common_state(&self) -> State {
        let states = self.members.iter().map(Router::state);
        states.min().unwrap_or(State::Initialize)
    }

    pub(super) fn check(&self) {
        let masters = self.count(|router| router.state() == State::Master);
        debug_assert!(
            masters == 0 || masters == self.members.len(),
            "all are master, or none is"
        );
    }
}

fn is_at_fault_itself(router: &Router) -> bool {
    let idle = router.state() == State::Initialize;
    let tracked = router.faults().any(|(name, _)| name != FAULT);
    tracked || (router.primary().is_none() && !idle)
}
