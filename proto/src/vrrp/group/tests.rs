//! Two virtual routers that move together, one wire each, under a clock that is set by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{GateSettings, Group, GroupError, GroupInput, GroupOutput, Member, Opened};
use crate::{
    time::Instant,
    vrrp::{
        codec::{Advert, V2Auth},
        machine::{Config, Decline, Input, Output, Preempt, Settings, State, Why},
        terms::{Addresses, Interval, Priority, Version, Vrid},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn node(member: usize, last: u8) -> IpAddr {
    IpAddr::from([10, 66, u8::try_from(member).unwrap(), last])
}

fn config(member: usize, change: impl Fn(&mut Settings)) -> Config {
    let addresses = Addresses::new([node(member, 100)]).unwrap();
    let mut settings = Settings::new(Vrid::new(51).unwrap(), addresses);
    change(&mut settings);
    Config::new(settings).unwrap()
}

struct Rig {
    group: Group,
    now: Instant,
}

impl Rig {
    /// Members that are started, with links up, at 10.66.MEMBER.2.
    fn new(members: usize, gate: Option<GateSettings>, change: impl Fn(&mut Settings)) -> Self {
        let configs = (0..members).map(|member| config(member, &change));
        let now = Instant::ZERO;
        let group = Group::new(configs, gate, now).unwrap();
        let mut rig = Self { group, now };
        rig.tell(GroupInput::Start);
        for member in 0..members {
            rig.tell_member(member, Input::LinkUp(node(member, 2)));
        }
        rig
    }

    fn tell(&mut self, input: GroupInput) -> Vec<GroupOutput> {
        self.group.handle(input, self.now);
        std::iter::from_fn(|| self.group.poll_output()).collect()
    }

    fn tell_member(&mut self, member: usize, input: Input) -> Vec<GroupOutput> {
        self.tell(GroupInput::Member(Member(member), input))
    }

    fn hear(&mut self, member: usize, priority: u8) -> Vec<GroupOutput> {
        let advert = Advert {
            version: Version::V3,
            vrid: Vrid::new(51).unwrap(),
            priority: Priority(priority),
            interval: Interval::DEFAULT,
            addresses: Addresses::new([node(member, 100)]).unwrap(),
            auth: V2Auth::None,
        };
        let from = node(member, 1);
        self.tell_member(member, Input::Advert { from, advert })
    }

    fn wait(&mut self, by: Duration) -> Vec<GroupOutput> {
        let end = self.now + by;
        let mut outputs = Vec::new();
        while let Some(due) = self.group.next_deadline().filter(|due| *due <= end) {
            assert!(due >= self.now, "deadlines do not lie in the past for ever");
            self.now = due;
            outputs.extend(self.tell(GroupInput::Tick));
        }
        self.now = end;
        outputs
    }

    fn states(&self) -> Vec<State> {
        let members = self.group.members().iter();
        members.map(|router| router.state()).collect()
    }
}

/// Which members said what priority, in order.
fn said(outputs: &[GroupOutput]) -> Vec<(usize, u8)> {
    let each = outputs.iter().filter_map(|output| match output {
        GroupOutput::Member(member, Output::Advertise(advert)) => {
            Some((member.0, advert.priority.0))
        }
        _ => None,
    });
    each.collect()
}

fn moved(outputs: &[GroupOutput]) -> Option<(State, State)> {
    outputs.iter().find_map(|output| match output {
        GroupOutput::Moved { from, to } => Some((*from, *to)),
        _ => None,
    })
}

#[test]
fn all_become_master_when_the_last_one_would() {
    let mut rig = Rig::new(2, None, |_| ());
    for _ in 0..10 {
        // The first would be master; the second hears one.
        rig.hear(1, 150);
        assert_eq!(said(&rig.wait(SECOND)), []);
    }
    assert_eq!(rig.states(), [State::Backup; 2]);
    let outputs = rig.wait(4 * SECOND);
    assert_eq!(said(&outputs)[..2], [(0, 100), (1, 100)]);
    assert_eq!(moved(&outputs), Some((State::Backup, State::Master)));
}

#[test]
fn who_hears_a_master_again_does_not_lead_any_more() {
    let mut rig = Rig::new(2, None, |_| ());
    for _ in 0..10 {
        rig.hear(1, 150);
        rig.wait(SECOND);
    }
    // Now the other way round: what the first wanted before does not count.
    for _ in 0..10 {
        rig.hear(0, 150);
        rig.wait(SECOND);
    }
    assert_eq!(rig.states(), [State::Backup; 2]);
}

#[test]
fn one_that_yields_takes_all_with_it() {
    let mut rig = Rig::new(3, None, |_| ());
    rig.wait(4 * SECOND);
    assert_eq!(rig.states(), [State::Master; 3]);
    let outputs = rig.hear(1, 150);
    // Who heard it need not say so; on the other links nobody else may be there yet.
    assert_eq!(said(&outputs), [(0, 0), (2, 0)]);
    assert_eq!(moved(&outputs), Some((State::Master, State::Backup)));
    let together = outputs.iter().filter(
        |output| matches!(output, GroupOutput::Member(_, Output::Moved(t)) if t.why == Why::Group),
    );
    assert_eq!(together.count(), 2);
}

#[test]
fn one_at_fault_is_all_at_fault_until_it_is_well() {
    let mut rig = Rig::new(2, None, |_| ());
    rig.wait(4 * SECOND);
    let outputs = rig.tell_member(0, Input::LinkDown);
    assert_eq!(said(&outputs), [(0, 0), (1, 0)]);
    assert_eq!(rig.states(), [State::Fault; 2]);
    let script: Arc<str> = Arc::from("script");
    rig.tell_member(
        1,
        Input::Fault(script.clone(), Some(Arc::from("it failed"))),
    );
    rig.tell_member(0, Input::LinkUp(node(0, 2)));
    assert_eq!(rig.states(), [State::Fault; 2]);
    let outputs = rig.tell_member(1, Input::Fault(script, None));
    assert_eq!(moved(&outputs), Some((State::Fault, State::Backup)));
    assert_eq!(rig.states(), [State::Backup; 2]);
    assert_eq!(rig.group.members()[1].faults().count(), 0);
}

#[test]
fn owners_are_master_together_from_the_start() {
    let rig = Rig::new(2, None, |s| s.priority = Priority::OWNER);
    assert_eq!(rig.states(), [State::Master; 2]);
}

#[test]
fn orders_are_for_all() {
    let mut rig = Rig::new(2, None, |_| ());
    rig.hear(0, 150);
    rig.hear(1, 150);
    let outputs = rig.tell(GroupInput::Promote);
    assert_eq!(said(&outputs), [(0, 254), (1, 254)]);
    rig.wait(SECOND);
    let outputs = rig.tell(GroupInput::Release);
    assert_eq!(said(&outputs), [(0, 0), (1, 0)]);
    assert_eq!(rig.states(), [State::Backup; 2]);
    // One member that cannot is enough.
    rig.hear(0, 150);
    rig.hear(1, 255);
    let (peer, priority) = (node(1, 1), Priority::OWNER);
    let why = Decline::MasterWouldNotYield { peer, priority };
    let declined = GroupOutput::Declined(Member(1), why);
    assert_eq!(rig.tell(GroupInput::Promote), [declined]);
    let outputs = rig.tell(GroupInput::Stop);
    assert_eq!(moved(&outputs), Some((State::Backup, State::Initialize)));
}

/// Hears a master of less priority on every link for so many seconds; whether it took over.
fn preempts(rig: &mut Rig, seconds: u32) -> bool {
    for _ in 0..seconds {
        for member in 0..rig.group.members().len() {
            rig.hear(member, 50);
        }
        rig.wait(SECOND);
    }
    rig.group.state() == State::Master
}

#[test]
fn a_closed_gate_keeps_from_preempting_until_all_is_in_sync() {
    let gate = Some(GateSettings {
        timeout: 60 * SECOND,
    });
    for (members, priority) in [(1, 150), (2, 150), (1, 255), (2, 255)] {
        let mut rig = Rig::new(members, gate, |s| s.priority = Priority(priority));
        assert!(!preempts(&mut rig, 30), "{members} {priority}");
        let outputs = rig.tell(GroupInput::InSync(true));
        assert_eq!(outputs[0], GroupOutput::GateOpened(Opened::InSync));
        // The owner does not wait.
        assert!(priority < 255 || rig.group.state() == State::Master);
        assert!(preempts(&mut rig, 4));
    }
}

#[test]
fn a_closed_gate_opens_in_time_and_never_keeps_from_a_master_that_is_gone() {
    let timeout = 60 * SECOND;
    let gate = Some(GateSettings { timeout });
    let mut rig = Rig::new(1, gate, |_| ());
    assert!(!preempts(&mut rig, 56));
    let outputs = rig.wait(4 * SECOND);
    assert!(said(&outputs).contains(&(0, 100)), "the master is gone");
    let opened = GroupOutput::GateOpened(Opened::Timeout(timeout));
    assert!(outputs.contains(&opened));
}

#[test]
fn a_preempt_delay_runs_while_the_gate_is_closed() {
    let gate = Some(GateSettings {
        timeout: 20 * SECOND,
    });
    let mut rig = Rig::new(2, gate, |s| s.preempt = Preempt::After(10 * SECOND));
    assert!(!preempts(&mut rig, 19));
    assert!(preempts(&mut rig, 2));
}

#[test]
fn a_gate_closes_again_when_sync_is_lost_and_can_be_taken_away() {
    let gate = |seconds| {
        Some(GateSettings {
            timeout: SECOND * seconds,
        })
    };
    let mut rig = Rig::new(1, gate(60), |_| ());
    rig.tell(GroupInput::InSync(true));
    rig.tell(GroupInput::InSync(false));
    assert!(!rig.group.gate().is_open());
    rig.wait(SECOND);
    let outputs = rig.tell(GroupInput::Gate(gate(1)));
    assert_eq!(outputs, [GroupOutput::GateOpened(Opened::Timeout(SECOND))]);
    rig.tell(GroupInput::InSync(true));
    rig.tell(GroupInput::InSync(false));
    let outputs = rig.tell(GroupInput::Gate(None));
    assert_eq!(outputs, [GroupOutput::GateOpened(Opened::Removed)]);
    rig.tell(GroupInput::InSync(false));
    assert!(rig.group.gate().is_open());
}

#[test]
fn a_group_has_members_and_not_too_many() {
    let new = |members| {
        let configs = (0..members).map(|_| config(0, |_| ()));
        Group::new(configs, None, Instant::ZERO).map(|group| group.members().len())
    };
    assert_eq!(new(0), Err(GroupError::Empty));
    assert_eq!(new(257), Err(GroupError::TooMany));
    assert_eq!(new(256), Ok(256));
}
