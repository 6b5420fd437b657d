//! Clients that persistence remembers, told and taken in: templates, in IPVS's word.
//!
//! A template is made or renewed when a connection begins. So it is told with each connection that is new to peers, and
//! needs no look of its own; a flood of handshakes, which leaves templates as well, costs peers nothing. Who is told
//! everything is told all that are in the table, without a connection too.
//!
//! Whose connection began last knows best where the client belongs. A peer never takes one out: what is gone here before its
//! time found no room, and is forgotten there in its time.

use xdp::abi::{Flow, LANES, Template, TemplateKey, Tick, Tuple, V4, V6};

use super::{
    Exchange, FlowName, Stored, Synced, Told, ToldTemplate, directory::Persistence, left, of_ticks,
    to_ticks,
};
use crate::{
    maps::Maps,
    plane::now,
    sys::{Batch, Put},
    tables::place::{socket, words},
};

/// How much later a peer's connection must have begun than ours: as for flows.
const MARGIN: u32 = super::import::MARGIN;

/// How far one has come in both tables.
#[derive(Debug)]
pub(super) struct Walk {
    v4: Batch<TemplateKey<V4>>,
    v6: Batch<TemplateKey<V6>>,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            v4: Batch::Start,
            v6: Batch::Start,
        }
    }
}

impl Exchange {
    /// Goes on telling all templates, as many as there are places in so many buckets. Whether that is done.
    pub(super) fn templates(
        &self,
        maps: &Maps,
        walk: &mut Walk,
        buckets: u32,
        into: &mut Vec<Told>,
    ) -> bool {
        if !self.directory.is_persistent() {
            return true;
        }
        let most = buckets as usize * LANES;
        if !matches!(walk.v4, Batch::Done) {
            self.some::<V4>(maps, &mut walk.v4, most, into);
            return false;
        }
        self.some::<V6>(maps, &mut walk.v6, most, into);
        matches!(walk.v6, Batch::Done)
    }

    fn some<F: Synced>(
        &self,
        maps: &Maps,
        at: &mut Batch<TemplateKey<F>>,
        most: usize,
        into: &mut Vec<Told>,
    ) {
        let mut entries = Vec::with_capacity(most);
        if let Err(error) = F::maps(maps).templates.walk(at, most, &mut entries) {
            tracing::warn!(%error, "persistence cannot be read: peers are not told of it");
            *at = Batch::Done;
        }
        let now = now();
        let told = entries.iter().filter_map(|(key, template)| {
            let told = self.told_template::<F>(key, template, now)?;
            Some(Told::Template(told))
        });
        into.extend(told);
    }

    /// That of a connection's client.
    pub(super) fn template_of<F: Synced>(
        &self,
        maps: &Maps,
        key: &Tuple<F>,
        flow: &Flow<F>,
        now: Tick,
    ) -> Option<Told> {
        let persistence = self.directory.persistence(flow.service)?;
        let key = TemplateKey::<F> {
            client: F::mask(key.src, &persistence.mask),
            service: flow.service,
        };
        let template = F::maps(maps).templates.get(&key).ok()??;
        let told = self.told_template::<F>(&key, &template, now)?;
        Some(Told::Template(told))
    }

    /// A template in words; none if its time is up, or it leads nowhere.
    fn told_template<F: Synced>(
        &self,
        key: &TemplateKey<F>,
        template: &Template,
        now: Tick,
    ) -> Option<ToldTemplate> {
        let persistence = self.directory.persistence(key.service)?;
        let backend = self.directory.address(template.backend)?;
        let (slot, _) = self.directory.backend(key.service, backend)?;
        let (protocol, target) = self.directory.listens(key.service, F::IS_V6)?;
        let remaining = left(template.expires, now);
        if remaining == 0 || slot != template.backend {
            return None;
        }
        Some(ToldTemplate {
            name: FlowName {
                template: true,
                protocol,
                client: socket::<F>(key.client, 0),
                target,
            },
            backend,
            remaining: of_ticks(remaining),
            idle: of_ticks(idle(persistence, remaining)),
        })
    }

    /// That of a flow's client, by the flow's own target: what listens there on all ports has port 0.
    pub(crate) fn client_of(&self, maps: &Maps, flow: &FlowName) -> Option<ToldTemplate> {
        let name = FlowName {
            template: true,
            target: self.directory.listening(flow.target, flow.protocol),
            ..*flow
        };
        let told = if flow.client.is_ipv6() {
            self.masked::<V6>(maps, name)
        } else {
            self.masked::<V4>(maps, name)
        };
        told.filter(|told| !told.remaining.is_zero())
    }

    fn masked<F: Synced>(&self, maps: &Maps, mut name: FlowName) -> Option<ToldTemplate> {
        let (key, _) = self.template_key::<F>(&name).ok()?;
        name.client = socket::<F>(key.client, 0);
        match self.find_template::<F>(maps, &name)? {
            Told::Template(told) => Some(told),
            _ => None,
        }
    }

    /// How a template is now.
    pub(super) fn find_template<F: Synced>(&self, maps: &Maps, name: &FlowName) -> Option<Told> {
        let (key, _) = self.template_key::<F>(name).ok()?;
        let template = F::maps(maps).templates.get(&key).ok()??;
        let mut told = self.told_template::<F>(&key, &template, now())?;
        // By the name that was asked for, of the several that a service may have.
        told.name = *name;
        Some(Told::Template(told))
    }

    /// What a name means here.
    fn template_key<F: Synced>(
        &self,
        name: &FlowName,
    ) -> Result<(TemplateKey<F>, &Persistence), Stored> {
        let service = self.directory.service(name.target, name.protocol);
        let service = service.ok_or(Stored::UnknownService)?;
        let persistence = self.directory.persistence(service);
        let persistence = persistence.ok_or(Stored::NotPersistent)?;
        let client = F::narrow(words(name.client.ip()));
        let client = F::mask(client, &persistence.mask);
        Ok((TemplateKey { client, service }, persistence))
    }

    /// Takes one that a peer tells.
    pub(super) fn put_template<F: Synced>(&self, maps: &Maps, told: &ToldTemplate) -> Stored {
        let (key, persistence) = match self.template_key::<F>(&told.name) {
            Ok(found) => found,
            Err(stored) => return stored,
        };
        let Some((slot, _)) = self.directory.backend(key.service, told.backend) else {
            return Stored::UnknownBackend;
        };
        let (now, table) = (now(), &F::maps(maps).templates);
        let remaining = to_ticks(told.remaining);
        let old = table.get(&key).ok().flatten();
        let ours = old.map_or(0, |old| left(old.expires, now));
        let older = to_ticks(told.idle).saturating_add(MARGIN) >= idle(persistence, ours);
        if remaining == 0 || (ours > 0 && older) {
            return Stored::Kept;
        }
        let template = Template {
            backend: slot,
            expires: now.0.wrapping_add(remaining),
        };
        // One that the program makes just now is more recent.
        let when = if old.is_some() { Put::Any } else { Put::New };
        match table.put(&key, &template, when) {
            Ok(true) if ours > 0 => Stored::Updated,
            Ok(true) => Stored::Added,
            Ok(false) => Stored::Kept,
            Err(_) => Stored::TableFull,
        }
    }
}

/// How long ago the last connection began, ticks. What is left beyond persistence is for the sake of connections that go on.
fn idle(persistence: &Persistence, left: u32) -> u32 {
    let idle = persistence.ticks.checked_sub(left);
    idle.unwrap_or(persistence.ticks)
}
