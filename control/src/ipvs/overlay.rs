//! What `ipvsadm` changed since the file was read: the difference between the file's table and the one in force.
//!
//! It outlives the daemon: the program keeps it, in this form, beside its socket. A file that is applied wins for
//! the services it defines ([`Overlay::rebase`]); what `ipvsadm` alone made stays.

use serde::{Deserialize, Serialize};

use super::{Service, ServiceId, Table, Timeouts, read};
use crate::spec::{Spec, TimeoutsSpec};

/// What was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Services that are new or other than the file has them, in the order of being added.
    #[serde(default)]
    pub services: Vec<Service>,
    /// Services of the file that are gone.
    #[serde(default)]
    pub removed: Vec<ServiceId>,
    /// Timeouts other than the file's.
    #[serde(default)]
    pub timeouts: Option<Timeouts>,
}

impl Overlay {
    /// Whether all is as the file has it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What makes `table` of the one that `spec` has.
    #[must_use]
    pub fn between(spec: &Spec, table: &Table) -> Self {
        let base = Table::of(spec);
        let services = table.services.iter();
        let changed = services.filter(|new| base.service(new.id) != Some(*new));
        let gone = base.services.iter().map(|old| old.id);
        Self {
            services: changed.cloned().collect(),
            removed: gone.filter(|id| table.service(*id).is_none()).collect(),
            timeouts: (table.timeouts != base.timeouts).then_some(table.timeouts),
        }
    }

    /// The table in force over what `spec` has.
    #[must_use]
    pub fn table(&self, spec: &Spec) -> Table {
        let mut table = Table::of(spec);
        table.services.retain(|s| !self.removed.contains(&s.id));
        for new in &self.services {
            match table.services.iter_mut().find(|s| s.id == new.id) {
                Some(old) => old.clone_from(new),
                None => table.services.push(new.clone()),
            }
        }
        if let Some(timeouts) = self.timeouts {
            table.timeouts = timeouts;
        }
        table
    }

    /// What stays of it when a file is applied, and what becomes of each change, for people.
    #[must_use]
    pub fn rebase(&self, spec: &Spec) -> (Self, Vec<String>) {
        let file = Table::of(spec);
        let (mut stays, mut said) = (Self::default(), Vec::new());
        for service in &self.services {
            let id = service.id;
            match file.service(id) {
                None => {
                    said.push(format!(
                        "ipvsadm: service {id} stays; the file does not have it"
                    ));
                    stays.services.push(service.clone());
                }
                Some(theirs) if theirs == service => {}
                Some(_) => said.push(format!(
                    "ipvsadm: service {id} was changed; the file's comes into force"
                )),
            }
        }
        for id in &self.removed {
            if file.service(*id).is_some() {
                said.push(format!(
                    "ipvsadm: service {id} was deleted; the file's comes back"
                ));
            }
        }
        if let Some(timeouts) = self.timeouts.filter(|t| *t != read::timeouts(spec)) {
            let Timeouts { tcp, tcp_fin, udp } = timeouts;
            // A file that has the defaults most likely says nothing of them.
            if spec.l4.timeouts == TimeoutsSpec::default() {
                said.push(format!("ipvsadm: timeouts stay {tcp} {tcp_fin} {udp}"));
                stays.timeouts = Some(timeouts);
            } else {
                said.push("ipvsadm: timeouts were changed; the file's come into force".into());
            }
        }
        (stays, said)
    }
}
