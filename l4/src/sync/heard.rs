//! What a director tells that speaks IPVS's protocol. It says less than a peer of ours: not how long ago the last packet came,
//! only that it was just before; not whether a flow hangs on its client's persistence; and of a backend that is the director
//! itself not how others reach it. The rest, this node's own services say.

use std::{net::SocketAddr, time::Duration};

use xdp::abi::{FlowState, Method, V4, V6};

use super::{
    Exchange, FlowName, Stored, Synced, ToldFlow, ToldTemplate, import::Age, of_ticks, timeout,
};
use crate::maps::Maps;

/// How long ago the last packet came at most: directors gather for two seconds before they tell.
const STALE: Duration = Duration::from_secs(2);

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A flow is so.
    Flow(HeardFlow),
    /// A client is remembered.
    Template(HeardTemplate),
}

/// A flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardFlow {
    /// Its name.
    pub name: FlowName,
    /// Where its packets go, whatever they reach the backend by.
    pub backend: SocketAddr,
    /// How they reach it; none: as it is configured here.
    pub method: Option<Method>,
    /// Its state.
    pub state: FlowState,
    /// How long it is remembered without another packet; none: as long as its state is here.
    pub remaining: Option<Duration>,
}

/// A client that persistence remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardTemplate {
    /// Its name, [`FlowName::template`] set.
    pub name: FlowName,
    /// Where its packets go; port 0: where the client sends to.
    pub backend: SocketAddr,
    /// How long it is remembered without another connection; none: as its service does here.
    pub remaining: Option<Duration>,
}

impl Exchange {
    /// Takes what a director tells.
    pub(crate) fn store_heard(&mut self, maps: &Maps, heard: &Heard) -> Stored {
        let name = match heard {
            Heard::Flow(flow) => &flow.name,
            Heard::Template(template) => &template.name,
        };
        match (name.client, name.target) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => self.store_heard_in::<V4>(maps, heard),
            (SocketAddr::V6(_), SocketAddr::V6(_)) => self.store_heard_in::<V6>(maps, heard),
            _ => Stored::Malformed,
        }
    }

    fn store_heard_in<F: Synced>(&mut self, maps: &Maps, heard: &Heard) -> Stored {
        F::shadow(self).fit(F::maps(maps).flows.buckets());
        match heard {
            Heard::Flow(flow) => match self.flow_heard(maps, flow) {
                Ok(told) => self.put::<F>(maps, &told, Age::AtMost),
                Err(stored) => stored,
            },
            Heard::Template(template) => match self.template_heard(template) {
                Ok(told) => self.put_template::<F>(maps, &told),
                Err(stored) => stored,
            },
        }
    }

    fn flow_heard(&self, maps: &Maps, heard: &HeardFlow) -> Result<ToldFlow, Stored> {
        let name = heard.name;
        let service = self.directory.service(name.target, name.protocol);
        let service = service.ok_or(Stored::UnknownService)?;
        let nat = heard.method == Some(Method::Nat);
        let (backend, here) = self.backend_heard(service, heard.backend, name.target, nat)?;
        let state = heard.state as u8;
        let own = || of_ticks(timeout(maps, &self.directory, service, state));
        Ok(ToldFlow {
            name,
            backend,
            method: heard.method.unwrap_or(here),
            state,
            persistent: self.directory.persistence(service).is_some(),
            remaining: heard.remaining.unwrap_or_else(own),
            idle: STALE,
            source: None,
            delta: None,
            heard: true,
        })
    }

    fn template_heard(&self, heard: &HeardTemplate) -> Result<ToldTemplate, Stored> {
        let name = heard.name;
        let service = self.directory.service(name.target, name.protocol);
        let service = service.ok_or(Stored::UnknownService)?;
        let persistence = self.directory.persistence(service);
        let persistence = persistence.ok_or(Stored::NotPersistent)?;
        let (backend, _) = self.backend_heard(service, heard.backend, name.target, true)?;
        let remaining = heard.remaining;
        Ok(ToldTemplate {
            name,
            backend,
            remaining: remaining.unwrap_or_else(|| of_ticks(persistence.ticks)),
            idle: STALE,
        })
    }

    /// A backend as it is configured here, and how it is reached: by the address that packets go to, or with that of its
    /// machine alone, if they keep their port. Of what is not translated the port makes no difference.
    fn backend_heard(
        &self,
        service: u32,
        heard: SocketAddr,
        target: SocketAddr,
        translated: bool,
    ) -> Result<(SocketAddr, Method), Stored> {
        let at = |port: u16| SocketAddr::new(heard.ip(), port);
        let keeps = !translated || heard.port() == target.port();
        let candidates = [
            Some(heard),
            keeps.then(|| at(0)),
            (!translated).then(|| at(target.port())),
        ];
        let found = candidates.into_iter().flatten().find_map(|address| {
            let (_, record) = self.directory.backend(service, address)?;
            Some((address, Method::of(record.method)))
        });
        found.ok_or(Stored::UnknownBackend)
    }
}
