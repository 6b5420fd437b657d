//! A node: the machines under test, a socket that fills up, clocks, and a slow plane that takes addresses and gives them
//! up when it gets to it.

use std::{collections::VecDeque, net::IpAddr, rc::Rc, time::Duration};

use proto::{
    time::Instant,
    vrrp::{
        codec::{Packet, decode},
        group::{Group, GroupInput, GroupOutput, Member},
        machine::{Cast, Config, Input, Output, Preempt, Router, State},
        terms::Priority,
        wire::Wire,
    },
};

use crate::{clock::Clock, sabotage::Sabotage, setup::Plan};

/// What is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) link: usize,
    pub(crate) from: IpAddr,
    pub(crate) to: IpAddr,
    pub(crate) bytes: Rc<[u8]>,
}

pub(crate) struct Node {
    pub(crate) plan: Plan,
    pub(crate) clock: Clock,
    sabotage: Sabotage,
    /// Nothing while it is crashed.
    alive: Option<Alive>,
    inbox: VecDeque<Mail>,
    pub(crate) paused_until: Instant,
    /// By link: whether the kernel has the addresses. A crash leaves them there.
    pub(crate) holds: Vec<bool>,
    /// What the slow plane was told and has not done: a link, and whether to take or give up.
    slow: VecDeque<(usize, bool)>,
    /// What was to be sent and could not, since the slow plane is in the way. Of a node that is broken on purpose.
    stuck: Vec<Mail>,
    pub(crate) takeovers: u32,
    pub(crate) declined: bool,
    /// Since when its gate is closed, as far as it was not told to open it.
    gate_closed: Option<Instant>,
}

struct Alive {
    group: Group,
    wires: Vec<Wire>,
}

impl Node {
    pub(crate) fn new(plan: Plan, clock: Clock, sabotage: Sabotage) -> Self {
        Self {
            holds: vec![false; plan.configs.len()],
            plan,
            clock,
            sabotage,
            alive: None,
            inbox: VecDeque::new(),
            paused_until: Instant::ZERO,
            slow: VecDeque::new(),
            stuck: Vec::new(),
            takeovers: 0,
            declined: false,
            gate_closed: None,
        }
    }

    pub(crate) fn boot(&mut self, now: Instant) -> Vec<Mail> {
        let local = self.clock.local(now);
        let gate = self.plan.gate;
        self.gate_closed = gate.map(|_| now);
        let configs: Vec<Config> = self.plan.configs.clone();
        let wires = configs.iter().cloned().map(Wire::new).collect();
        let configs = configs.into_iter().map(|c| self.sabotage.config(c));
        let gate = gate.filter(|_| self.sabotage != Sabotage::NoGate);
        let group = Group::new(configs, gate, local).expect("a group of one or more");
        self.alive = Some(Alive { group, wires });
        // What a node that crashed left behind is cleared away when it starts.
        self.holds.fill(false);
        self.inbox.clear();
        self.slow.clear();
        self.stuck.clear();
        let mut mail = self.tell(GroupInput::Start, now);
        for link in 0..self.plan.configs.len() {
            let up = Input::LinkUp(self.plan.primaries[link]);
            mail.extend(self.tell(GroupInput::Member(Member(link), up), now));
        }
        mail
    }

    /// Whether its tables are in sync.
    pub(crate) fn sync(&mut self, in_sync: bool, now: Instant) -> Vec<Mail> {
        let was = self.group().is_some_and(|g| g.gate().is_in_sync());
        match in_sync {
            true => self.gate_closed = None,
            false if was => self.gate_closed = self.plan.gate.map(|_| now),
            false => {}
        }
        self.tell(GroupInput::InSync(in_sync), now)
    }

    /// Its gate must not have opened yet, by its plan.
    pub(crate) fn gate_should_be_closed(&self, now: Instant) -> bool {
        let timeout = self.plan.gate.map_or(Duration::ZERO, |gate| gate.timeout);
        // The node's clock may be a hundredth fast.
        self.gate_closed
            .is_some_and(|since| now.saturating_since(since) < timeout * 98 / 100)
    }

    /// Another base priority, by a new configuration.
    pub(crate) fn configure(&mut self, priority: Priority, now: Instant) -> Vec<Mail> {
        let mut mail = Vec::new();
        for link in 0..self.plan.configs.len() {
            let mut settings = (*self.plan.configs[link]).clone();
            settings.priority = priority;
            let config = Config::new(settings).expect("valid but for its priority");
            self.plan.configs[link] = config.clone();
            if let Some(alive) = &mut self.alive {
                alive.wires[link].configure(config.clone());
            }
            let config = Box::new(self.sabotage.config(config));
            let input = GroupInput::Member(Member(link), Input::Configure(config));
            mail.extend(self.tell(input, now));
        }
        mail
    }

    /// The same for each member.
    pub(crate) fn tell_each(&mut self, input: &Input, now: Instant) -> Vec<Mail> {
        let links = 0..self.plan.configs.len();
        links
            .flat_map(|link| {
                let input = match input {
                    Input::LinkUp(_) => Input::LinkUp(self.plan.primaries[link]),
                    other => other.clone(),
                };
                self.tell(GroupInput::Member(Member(link), input), now)
            })
            .collect()
    }

    pub(crate) fn crash(&mut self) {
        self.alive = None;
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.alive.is_some()
    }

    pub(crate) fn group(&self) -> Option<&Group> {
        self.alive.as_ref().map(|alive| &alive.group)
    }

    /// Its first member, which is what all are.
    pub(crate) fn router(&self) -> Option<&Router> {
        Some(&self.group()?.members()[0])
    }

    pub(crate) fn is_master(&self) -> bool {
        self.router().is_some_and(|r| r.state() == State::Master)
    }

    pub(crate) fn takes_part(&self) -> bool {
        let part = |r: &Router| matches!(r.state(), State::Master | State::Backup);
        self.group()
            .is_some_and(|group| group.members().iter().all(part))
    }

    /// What it should do when a master of less priority is there, by its plan.
    pub(crate) fn would_preempt(&self) -> bool {
        let (Some(group), Some(router)) = (self.group(), self.router()) else {
            return false;
        };
        let config = &self.plan.configs[0];
        let preempts = config.preempt != Preempt::Never || router.priority() == Priority::OWNER;
        preempts && !router.is_released() && group.gate().is_open()
    }

    pub(crate) fn receive(&mut self, mail: Mail) {
        if self.is_alive() {
            self.inbox.push_back(mail);
        }
    }

    /// Its thread runs: what arrived first, then what is due. What it sends.
    pub(crate) fn run(&mut self, now: Instant) -> Vec<Mail> {
        let mut sent = Vec::new();
        while let Some(mail) = self.inbox.pop_front() {
            sent.extend(self.open(&mail, now));
        }
        if self.sabotage.ticks(self.is_master()) {
            sent.extend(self.tell(GroupInput::Tick, now));
            let due = self.group().and_then(Group::next_deadline);
            let local = self.clock.local(now);
            assert!(
                due.is_none_or(|due| due > local),
                "all that was due is done"
            );
        }
        sent
    }

    fn open(&mut self, mail: &Mail, now: Instant) -> Vec<Mail> {
        let Some(alive) = &mut self.alive else {
            return Vec::new();
        };
        let packet = Packet {
            source: mail.from,
            destination: mail.to,
            hop_limit: 255,
            message: &mail.bytes,
        };
        // What was garbled on its way is not for anybody.
        let Ok(decoded) = decode(packet) else {
            return Vec::new();
        };
        let ours = alive.group.members()[mail.link].primary();
        let utc = self.clock.utc(now);
        let Ok(accepted) = alive.wires[mail.link].read(decoded, ours, utc) else {
            return Vec::new();
        };
        let ours = alive.group.members()[mail.link].priority();
        if !self.sabotage.hears(accepted.advert.priority, ours) {
            return Vec::new();
        }
        let input = Input::Advert {
            from: accepted.from,
            advert: accepted.advert,
        };
        self.tell(GroupInput::Member(Member(mail.link), input), now)
    }

    /// When it wants to run again, by the world's clock.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let local = self.group()?.next_deadline()?;
        Some(self.clock.world(local) + self.sabotage.lateness(&self.plan))
    }

    pub(crate) fn tell(&mut self, input: GroupInput, now: Instant) -> Vec<Mail> {
        let local = self.clock.local(now);
        let Some(alive) = &mut self.alive else {
            return Vec::new();
        };
        alive.group.handle(input, local);
        let mut outputs = Vec::new();
        while let Some(output) = alive.group.poll_output() {
            outputs.push(output);
        }
        outputs
            .into_iter()
            .flat_map(|output| self.perform(output, now))
            .collect()
    }

    fn perform(&mut self, output: GroupOutput, now: Instant) -> Vec<Mail> {
        let (member, output) = match output {
            GroupOutput::Member(member, output) => (member, output),
            GroupOutput::Declined(..) => {
                self.declined = true;
                return Vec::new();
            }
            _ => return Vec::new(),
        };
        let link = member.0;
        match output {
            Output::Advertise(advert) => {
                let mail = self.seal(link, &advert, now);
                if self.sabotage.is_stuck(self.slow.is_empty()) {
                    self.stuck.extend(mail);
                    return Vec::new();
                }
                return mail;
            }
            Output::Take(_) => self.slow.push_back((link, true)),
            Output::GiveUp(_) if self.sabotage == Sabotage::KeepAddresses => {}
            Output::GiveUp(_) => self.slow.push_back((link, false)),
            Output::Moved(moved) if moved.to == State::Master => self.takeovers += 1,
            Output::Declined(_) => self.declined = true,
            _ => {}
        }
        Vec::new()
    }

    fn seal(
        &mut self,
        link: usize,
        advert: &proto::vrrp::codec::Advert,
        now: Instant,
    ) -> Vec<Mail> {
        let utc = self.clock.utc(now);
        let Some(alive) = &mut self.alive else {
            return Vec::new();
        };
        let from = self.plan.primaries[link];
        if self.sabotage == Sabotage::Mute && advert.priority != Priority::RELEASE {
            return Vec::new();
        }
        let sealed = alive.wires[link].write(advert, from, utc);
        let receivers = match &self.plan.configs[link].cast {
            Cast::Multicast { group } => vec![*group],
            Cast::Unicast { peers, .. } => peers.clone(),
        };
        let mail = |to| Mail {
            link,
            from,
            to,
            bytes: sealed.to(to).into(),
        };
        receivers.into_iter().map(mail).collect()
    }

    pub(crate) fn slow_is_idle(&self) -> bool {
        self.slow.is_empty()
    }

    /// The slow plane gets to run: it does all it was told. What was stuck behind it goes out.
    pub(crate) fn run_slow(&mut self) -> Vec<Mail> {
        while let Some((link, take)) = self.slow.pop_front() {
            self.holds[link] = take;
        }
        std::mem::take(&mut self.stuck)
    }

    /// The longest interval, which everything is measured in.
    pub(crate) fn interval(&self) -> Duration {
        self.plan.configs[0].interval.duration()
    }
}
