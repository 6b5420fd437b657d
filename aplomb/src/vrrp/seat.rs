//! One virtual router of this node with all that belongs to it: its end of the wire, its addresses, its announcements.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use control::{plan::VipPlan, spec::vip::VipAddress};
use proto::{
    time::Instant,
    vrrp::{
        codec::Advert,
        garp::{ArpForm, Burst, MacAddr, NaFlags, announce},
        machine::{Cast, Config, State},
        refusal::{Cause, Refusal, Refusals},
        terms::{Family, Priority, Vrid},
        wire::Wire,
    },
};

use super::{
    frame,
    hand::{Job, Place, VirtualMac},
    mailbox::Beside,
    report::Report,
    tools::Tools,
    ways::WaysOf,
};

/// The same complaint is made again only after so long.
pub(super) const AGAIN: Duration = Duration::from_secs(60);

/// One virtual router, or the addresses of one family that this node always has.
pub(super) struct Seat {
    pub(super) id: u64,
    /// The place of its vip in the bundle.
    pub(super) vip: usize,
    pub(super) plan: Arc<VipPlan>,
    pub(super) family: Family,
    /// Its end of the wire, and its settings; none if this node always has the addresses.
    pub(super) router: Option<(Wire, Config)>,
    pub(super) burst: Burst,
    /// The index of the interface as it was last seen.
    pub(super) index: u32,
    /// Addresses were asked to be put on the interface, and are to stay there.
    pub(super) held: Option<Vec<VipAddress>>,
    pub(super) told_priority: Option<Priority>,
    pub(super) why: String,
    pub(super) transitions: BTreeMap<(State, &'static str), u64>,
    /// What could not even be read.
    pub(super) unread: Refusals,
    pub(super) last_refusal: Option<String>,
    complained: BTreeMap<Cause, Instant>,
    /// When a split brain was last told of, and whether its end is to be.
    split_told: Option<Instant>,
    split_shown: bool,
    pub(super) send_errors: u64,
    /// What is wrong with sending, or with the addresses.
    pub(super) send_error: Option<String>,
    pub(super) address_error: Option<String>,
    /// What is wrong with what goes with them.
    pub(super) way_error: Option<String>,
    pub(super) refusal_error: Option<String>,
}

impl Seat {
    pub(super) fn new(id: u64, vip: usize, plan: Arc<VipPlan>, family: Family) -> Self {
        let config = config_of(&plan, family);
        Self {
            id,
            vip,
            family,
            router: config.map(|config| (Wire::new(config.clone()), config)),
            burst: Burst::new(plan.spec.announce.plan()),
            plan,
            index: 0,
            held: None,
            told_priority: None,
            why: String::new(),
            transitions: BTreeMap::new(),
            unread: Refusals::default(),
            last_refusal: None,
            complained: BTreeMap::new(),
            split_told: None,
            split_shown: false,
            send_errors: 0,
            send_error: None,
            address_error: None,
            way_error: None,
            refusal_error: None,
        }
    }

    /// Goes by another plan of the same vip; its settings, if it is a virtual router.
    pub(super) fn configure(&mut self, plan: &Arc<VipPlan>, now: Instant) -> Option<Config> {
        self.plan = Arc::clone(plan);
        self.burst.configure(plan.spec.announce.plan(), now);
        let config = config_of(plan, self.family)?;
        let (wire, old) = self.router.as_mut()?;
        wire.configure(config.clone());
        *old = config.clone();
        Some(config)
    }

    pub(super) fn vrid(&self) -> Option<Vrid> {
        self.router.as_ref().map(|(_, config)| config.vrid)
    }

    pub(super) fn interface(&self) -> &str {
        &self.plan.spec.interface
    }

    pub(super) fn wanted_source(&self) -> Option<IpAddr> {
        let vrrp = self.plan.spec.vrrp.as_ref()?;
        let of_family = |address: &&IpAddr| Family::of(**address) == self.family;
        vrrp.source.iter().find(of_family).copied()
    }

    pub(super) fn place(&self) -> Place {
        Place {
            interface: self.interface().into(),
            virtual_mac: self.virtual_mac(),
        }
    }

    fn virtual_mac(&self) -> Option<VirtualMac> {
        let vrrp = self.plan.spec.vrrp.as_ref().filter(|v| v.virtual_mac)?;
        let v4 = self.family == Family::V4;
        let number = if v4 { 4 } else { 6 };
        Some(VirtualMac {
            // At most 15 characters, and another for each interface.
            device: format!("vrrp{number}-{}-{}", self.index, vrrp.id),
            mac: MacAddr::of_virtual_router(self.family, Vrid::new(vrrp.id)?),
            v4,
        })
    }

    pub(super) fn assigned(&self) -> Vec<VipAddress> {
        self.plan.spec.assigned(self.family).cloned().collect()
    }

    /// The routes and rules that go with the addresses.
    pub(super) fn ways(&self) -> WaysOf {
        WaysOf {
            device: self.place().device().to_owned(),
            routes: self.plan.spec.routes_of(self.family).cloned().collect(),
            rules: self.plan.spec.rules_of(self.family).cloned().collect(),
        }
    }

    /// Has the addresses put on the interface; the link is told once they are there. What goes with them comes behind: routes
    /// may name them as their source, and the link need not wait.
    pub(super) fn take(&mut self, tools: &Tools) {
        let addresses = self.assigned();
        let mut gone = self.held.replace(addresses.clone()).unwrap_or_default();
        gone.retain(|address| !addresses.contains(address));
        if !gone.is_empty() {
            tools.job(Job::Give(self.place(), gone));
        }
        tools.job(Job::Take(self.id, self.place(), addresses));
        tools.job(Job::Ways(self.id, self.ways()));
    }

    /// Has routes and rules taken away.
    pub(super) fn lose_ways(&self, tools: &Tools) {
        tools.job(Job::Ways(self.id, WaysOf::default()));
    }

    /// Has packets to the addresses refused, or not, as is configured: on the backup as on the master. Those that are about to
    /// go are among them.
    pub(super) fn refuse(&self, tools: &Tools) {
        let vrrp = self.plan.spec.vrrp.as_ref();
        let assigned = self.plan.spec.assigned(self.family);
        let all = assigned.chain(self.held.iter().flatten());
        let refused = all.filter(|_| vrrp.is_some_and(|vrrp| !vrrp.accept));
        let addresses = refused.map(|address| address.address.addr()).collect();
        tools.job(Job::Refuse(self.id, addresses));
    }

    /// What goes with the addresses is as it should be, or not; what is to be said of it.
    pub(super) fn beside(&mut self, what: Beside, outcome: Result<(), String>) -> Option<Report> {
        let (error, trouble) = match what {
            Beside::Ways => (&mut self.way_error, "what goes with it is not all there"),
            Beside::Refusal => (&mut self.refusal_error, "`accept = false` does not hold"),
        };
        let why = outcome.err();
        let said = *error == why;
        error.clone_from(&why);
        let what = format!("{trouble}: {}", why.filter(|_| !said)?);
        let vip = self.plan.spec.name.clone();
        Some(Report::Trouble { vip, what })
    }

    /// Has them taken off.
    pub(super) fn give(&mut self, tools: &Tools) {
        self.burst.stop();
        self.lose_ways(tools);
        let addresses = self.held.take().unwrap_or_else(|| self.assigned());
        tools.job(Job::Give(self.place(), addresses));
    }

    /// Brings addresses that are held, and what goes with them, to what the configuration says now.
    pub(super) fn readdress(&mut self, tools: &Tools) {
        let Some(held) = &self.held else { return };
        if *held == self.assigned() {
            tools.job(Job::Ways(self.id, self.ways()));
            return;
        }
        self.take(tools);
    }

    /// The addresses are there, or not.
    pub(super) fn taken(&mut self, outcome: Result<(), String>, tools: &Tools, now: Instant) {
        if self.held.is_none() {
            return;
        }
        match outcome {
            Ok(()) => {
                self.address_error = None;
                let addresses = self.assigned();
                self.burst
                    .start(addresses.iter().map(|a| a.address.addr()), now);
                self.announce(tools, now);
            }
            Err(what) => {
                self.address_error = Some(what.clone());
                tools.report(Report::Trouble {
                    vip: self.plan.spec.name.clone(),
                    what: format!("an address cannot be put on its interface: {what}"),
                });
            }
        }
    }

    /// Sends the announcements that are due.
    pub(super) fn announce(&mut self, tools: &Tools, now: Instant) {
        while let Some(address) = self.burst.poll_announce(now) {
            let Some(link) = tools.links.named(self.interface()) else {
                continue;
            };
            let own = self.virtual_mac().map(|virtual_mac| virtual_mac.mac);
            let Some(mac) = own.or(link.mac) else {
                continue;
            };
            let flags = NaFlags {
                router: self.plan.spec.announce.router,
            };
            let frame = announce(address, mac, ArpForm::Request, flags);
            // The next of the burst may get through.
            let _ = tools.frames.send(link.index, &frame);
        }
    }

    /// Sends an advert to all who shall hear it.
    pub(super) fn advertise(&mut self, advert: &Advert, source: Option<IpAddr>, tools: &Tools) {
        let own = self.virtual_mac();
        let Some(((wire, config), source)) = self.router.as_mut().zip(source) else {
            return;
        };
        let sealed = wire.write(advert, source, tools.clock.utc());
        let key = (self.plan.spec.interface.clone(), self.family);
        let channel = tools.channels.get(&key);
        let send = |to: IpAddr| {
            let channel = channel.ok_or_else(|| std::io::Error::other("no socket"))?;
            let message = sealed.to(to);
            let framed = own
                .as_ref()
                .filter(|_| to.is_multicast())
                .and_then(|own| frame::advert(own.mac, source, to, &message));
            match framed {
                Some(frame) => tools.frames.send(channel.index, &frame),
                None => channel.send(&message, source, to),
            }
        };
        let group = self.family.group();
        let failed = match &config.cast {
            Cast::Multicast { .. } => send(group).err(),
            Cast::Unicast { peers, .. } => {
                let mut failed = None;
                // One that cannot be reached keeps no other from hearing it.
                for peer in peers {
                    failed = send(*peer).err().or(failed);
                }
                failed
            }
        };
        self.note_sent(failed, tools);
    }

    fn note_sent(&mut self, failed: Option<std::io::Error>, tools: &Tools) {
        let Some(error) = failed else {
            self.send_error = None;
            return;
        };
        self.send_errors += 1;
        let what = error.to_string();
        if self.send_error.is_none() {
            tools.report(Report::Trouble {
                vip: self.plan.spec.name.clone(),
                what: format!("an advert cannot be sent: {what}"),
            });
        }
        self.send_error = Some(what);
    }

    /// Says that an advert is not obeyed, the same cause not again for a while.
    pub(super) fn complain(
        &mut self,
        from: Option<IpAddr>,
        refusal: &Refusal,
        tools: &Tools,
        now: Instant,
    ) {
        let cause = refusal.cause();
        if cause == Cause::OwnSource {
            return;
        }
        let from = from.map_or_else(String::new, |from| format!(" of {from}"));
        let what = format!("an advert{from} is not obeyed: {refusal}");
        self.last_refusal = Some(what.clone());
        let last = self.complained.get(&cause);
        if last.is_some_and(|last| now.saturating_since(*last) < AGAIN) {
            return;
        }
        let _ = self.complained.insert(cause, now);
        tools.report(Report::Trouble {
            vip: self.plan.spec.name.clone(),
            what,
        });
    }
}

impl Seat {
    /// Whether this split brain is to be told of: who brings them about as often as he likes fills no log.
    pub(super) fn tells_split(&mut self, now: Instant) -> bool {
        let told = self.split_told;
        self.split_shown = told.is_none_or(|told| now.saturating_since(told) >= AGAIN);
        if self.split_shown {
            self.split_told = Some(now);
        }
        self.split_shown
    }

    /// Whether its end is.
    pub(super) fn tells_end_of_split(&mut self) -> bool {
        std::mem::take(&mut self.split_shown)
    }
}

fn config_of(plan: &VipPlan, family: Family) -> Option<Config> {
    let routers = &plan.spec.vrrp.as_ref()?.routers;
    routers.iter().find(|r| r.family() == family).cloned()
}
