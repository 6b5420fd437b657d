//! The sweep: goes through all flows, a batch at a time, takes out what has expired, and counts what is there.
//!
//! The program counts connections as it goes; what it cannot see is that nobody comes any more, and that a full table
//! threw an entry out. So the sweep is what ends idle flows, and what puts counts right: see [`super::recount`]. Handshakes
//! are gone through before established flows, so that one that is promoted meanwhile is seen at least once, and
//! counted once.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use xdp::{
    abi::{
        Addr6, Family, Flow, FlowState, Load, Role, Template, TemplateKey, Tick, Tuple, V4, V6,
        flow_flags,
    },
    packet::header::proto,
};

use super::{
    handshakes::Handshakes,
    recount::{Count, Counts},
};
use crate::{
    ending::{is_over, prolonged},
    maps::{FamilyMaps, Maps},
    status::{Fill, SweepStatus},
    sys::{Batch, Flows, Put, Table},
};

/// Entries looked at in one step.
const STEP: usize = 2048;

/// One way through all tables.
#[derive(Debug)]
pub(crate) struct Sweep {
    phase: Phase,
    v4: Walk<V4>,
    v6: Walk<V6>,
    /// What was found.
    pub(crate) counts: Counts,
    /// Clients with connections that hang on a template: service and network.
    held: HashSet<(u32, Addr6)>,
    /// Masks of persistence by service.
    masks: HashMap<u32, Addr6>,
    /// TCP's, by service.
    handshakes: Handshakes,
    began: Instant,
    /// How long steps took, without what was waited between them.
    pub(crate) worked: Duration,
    pub(crate) status: SweepStatus,
    /// How full tables were, as far as they are known to be.
    pub(crate) fills: Vec<Fill>,
    in_table: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Pending4,
    Pending6,
    Flows4,
    Flows6,
    Templates4,
    Templates6,
    Done,
}

impl Phase {
    fn next(self) -> Self {
        match self {
            Self::Pending4 => Self::Pending6,
            Self::Pending6 => Self::Flows4,
            Self::Flows4 => Self::Flows6,
            Self::Flows6 => Self::Templates4,
            Self::Templates4 => Self::Templates6,
            Self::Templates6 | Self::Done => Self::Done,
        }
    }
}

/// How far it has come in the tables of one family.
#[derive(Debug)]
struct Walk<F: Family> {
    /// The bucket that is next.
    flows: u32,
    templates: Batch<TemplateKey<F>>,
    /// Handshakes that were counted: one that is promoted meanwhile is met again.
    counted: HashSet<(Addr6, Addr6, u16, u16, u8)>,
}

impl<F: Family> Default for Walk<F> {
    fn default() -> Self {
        Self {
            flows: 0,
            templates: Batch::Start,
            counted: HashSet::new(),
        }
    }
}

impl Sweep {
    /// Begins. `slots` are the backends in use, with the connections they were given so far.
    pub(crate) fn begin(
        maps: &Maps,
        slots: impl Iterator<Item = (u32, Option<u64>)>,
        masks: HashMap<u32, Addr6>,
    ) -> Self {
        Self {
            phase: Phase::Pending4,
            v4: Walk::default(),
            v6: Walk::default(),
            counts: Counts::begin(maps, slots),
            held: HashSet::new(),
            handshakes: Handshakes::begin(maps, masks.keys().copied()),
            masks,
            began: Instant::now(),
            worked: Duration::ZERO,
            status: SweepStatus::default(),
            fills: Vec::new(),
            in_table: 0,
        }
    }

    /// Goes on by one batch. Whether it is through.
    pub(crate) fn step(&mut self, maps: &Maps, now: Tick) -> io::Result<bool> {
        let began = Instant::now();
        let through = match self.phase {
            Phase::Pending4 => self.flows::<V4>(&maps.v4, maps, now, true),
            Phase::Pending6 => self.flows::<V6>(&maps.v6, maps, now, true),
            Phase::Flows4 => self.flows::<V4>(&maps.v4, maps, now, false),
            Phase::Flows6 => self.flows::<V6>(&maps.v6, maps, now, false),
            Phase::Templates4 => self.templates::<V4>(&maps.v4, now)?,
            Phase::Templates6 => self.templates::<V6>(&maps.v6, now)?,
            Phase::Done => true,
        };
        self.worked += began.elapsed();
        if through {
            if self.phase == Phase::Pending6 {
                self.handshakes.settle(maps);
            }
            self.phase = self.phase.next();
            self.in_table = 0;
        }
        self.status.millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(self.phase == Phase::Done)
    }

    fn flows<F: Swept>(
        &mut self,
        tables: &FamilyMaps<F>,
        maps: &Maps,
        now: Tick,
        pending: bool,
    ) -> bool {
        let table = if pending {
            &tables.pending
        } else {
            &tables.flows
        };
        let mut entries = Vec::with_capacity(STEP);
        let mut at = F::walk(self).flows;
        let through = table.walk(&mut at, STEP, &mut entries);
        F::walk(self).flows = if through { 0 } else { at };
        self.status.entries += entries.len() as u64;
        self.in_table += entries.len() as u64;
        for (key, flow) in &entries {
            if Role::of(flow.role) == Role::Reverse {
                self.reverse(tables, table, key, flow, now);
            } else if is_over(flow, now, || partner(tables, key, flow)) {
                self.expire(tables, maps, table, key, now);
            } else {
                self.count(key, flow, pending);
            }
        }
        if through {
            let name = if pending { "PENDING" } else { "FLOWS" };
            self.fill(name, F::IS_V6, table.size());
        }
        through
    }

    fn fill(&mut self, table: &str, v6: bool, size: u32) {
        self.fills.push(Fill {
            table: format!("{table}{}", if v6 { 6 } else { 4 }).into(),
            used: self.in_table,
            size: size.into(),
        });
    }

    /// A flow that is there.
    fn count<F: Swept>(&mut self, key: &Tuple<F>, flow: &Flow<F>, pending: bool) {
        let wide = (
            F::widen(key.src),
            F::widen(key.dst),
            key.sport,
            key.dport,
            key.proto,
        );
        let counted = &mut F::walk(self).counted;
        let first = if pending {
            counted.insert(wide)
        } else {
            !counted.contains(&wide)
        };
        if !first {
            return;
        }
        if pending && key.proto == proto::TCP {
            self.handshakes.add(flow.service);
        }
        let active = flow.flags & flow_flags::ACTIVE != 0;
        self.counts.add(flow.backend, active);
        if flow.flags & flow_flags::PERSISTENT != 0 {
            let mask = self.masks.get(&flow.service).copied().unwrap_or_default();
            let client = F::widen(F::mask(key.src, &mask));
            self.held.insert((flow.service, client));
        }
    }

    /// The entry for replies: it goes with the client's, and on its own only if that is gone.
    fn reverse<F: Family>(
        &mut self,
        tables: &FamilyMaps<F>,
        table: &Flows<F>,
        key: &Tuple<F>,
        flow: &Flow<F>,
        now: Tick,
    ) {
        if now.is_past(flow.expires) && partner(tables, key, flow).is_none() {
            self.status.expired += u64::from(table.remove(key));
        }
    }

    /// Takes a flow out that was seen to have expired, unless a packet came meanwhile.
    fn expire<F: Family>(
        &mut self,
        tables: &FamilyMaps<F>,
        maps: &Maps,
        table: &Flows<F>,
        key: &Tuple<F>,
        now: Tick,
    ) {
        let Some(flow) = table.get(key) else {
            return;
        };
        if !now.is_past(flow.expires) || !table.remove(key) {
            return;
        }
        // Who takes it out counts it out.
        let active = flow.flags & flow_flags::ACTIVE != 0;
        let offset = if active {
            std::mem::offset_of!(Load, active)
        } else {
            std::mem::offset_of!(Load, inactive)
        };
        if let Some(number) = maps.loads.word(flow.backend, offset) {
            number.fetch_sub(1, Relaxed);
        }
        self.counts.ended(flow.backend, active);
        self.status.expired += 1;
        if flow.flags & flow_flags::ONE_WAY == 0 {
            let reply = flow.becomes(key.proto).reversed();
            let _ = tables.flows.remove(&reply) || tables.pending.remove(&reply);
        }
    }

    fn templates<F: Swept>(&mut self, tables: &FamilyMaps<F>, now: Tick) -> io::Result<bool> {
        let table = &tables.templates;
        let mut entries = Vec::with_capacity(STEP);
        let mut at = std::mem::replace(&mut F::walk(self).templates, Batch::Start);
        table.walk(&mut at, STEP, &mut entries)?;
        self.in_table += entries.len() as u64;
        for (key, template) in &entries {
            if self.template(table, key, template, now)? {
                self.counts.add_template(template.backend);
            }
        }
        let through = matches!(at, Batch::Done);
        if through {
            self.fill("TEMPLATES", F::IS_V6, table.size()?);
        } else {
            F::walk(self).templates = at;
        }
        Ok(through)
    }

    /// Whether a template goes on.
    fn template<F: Family>(
        &self,
        table: &Table<TemplateKey<F>, Template>,
        key: &TemplateKey<F>,
        template: &Template,
        now: Tick,
    ) -> io::Result<bool> {
        if !now.is_past(template.expires) {
            return Ok(true);
        }
        let Some(mut taken) = table.take(key)? else {
            return Ok(false);
        };
        let held = self.held.contains(&(key.service, F::widen(key.client)));
        match prolonged(taken.expires, now, held) {
            Some(until) => taken.expires = until,
            None => return Ok(false),
        }
        table.put(key, &taken, Put::New)
    }
}

/// A family whose tables are swept.
trait Swept: Family {
    fn walk(sweep: &mut Sweep) -> &mut Walk<Self>;
}

impl Swept for V4 {
    fn walk(sweep: &mut Sweep) -> &mut Walk<Self> {
        &mut sweep.v4
    }
}

impl Swept for V6 {
    fn walk(sweep: &mut Sweep) -> &mut Walk<Self> {
        &mut sweep.v6
    }
}

/// The entry of the other direction, in whichever table.
fn partner<F: Family>(tables: &FamilyMaps<F>, key: &Tuple<F>, flow: &Flow<F>) -> Option<Flow<F>> {
    let other = flow.becomes(key.proto).reversed();
    let established = tables.flows.get(&other);
    established.or_else(|| tables.pending.get(&other))
}

/// The state's name as IPVS writes it.
pub(crate) fn state_word(state: u8) -> &'static str {
    match FlowState::of(state) {
        FlowState::None => "NONE",
        FlowState::Established | FlowState::Sctp => "ESTABLISHED",
        FlowState::SynSent => "SYN_SENT",
        FlowState::SynRecv => "SYN_RECV",
        FlowState::FinWait => "FIN_WAIT",
        FlowState::TimeWait => "TIME_WAIT",
        FlowState::Close => "CLOSE",
        FlowState::CloseWait => "CLOSE_WAIT",
        FlowState::LastAck => "LAST_ACK",
        FlowState::Listen => "LISTEN",
        FlowState::SynAck => "SYNACK",
        FlowState::Udp => "UDP",
    }
}

/// For those who only count.
pub(crate) fn is_idle(count: &Count) -> bool {
    count.active == 0 && count.inactive == 0 && count.templates == 0
}
