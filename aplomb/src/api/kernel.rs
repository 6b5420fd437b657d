//! What the admin API asks of the kernel data plane. [`l4`]'s handle does it; tests have one of their own.

use control::name::Name;
use l4::{
    explain::{Explanation, Question},
    filter::Filter,
    status::{Connection, L4Status, ServiceStatus},
    trace::{Listener, Refused},
};

use super::model::{IpvsSyncStatus, SyncStatus};

/// A kernel data plane that can be asked. Its answers take no longer than reading its tables does.
pub trait Kernel: Send + Sync + 'static {
    /// Whether there is one: it runs once a service needs it.
    fn runs(&self) -> bool;
    /// The plane as a whole.
    fn status(&self) -> L4Status;
    /// Connection sync, if there is any: with other nodes of aplomb, and with directors of Linux's own.
    #[expect(private_interfaces, reason = "only this crate asks, and answers")]
    fn sync(&self) -> (Option<SyncStatus>, Option<IpvsSyncStatus>) {
        (None, None)
    }
    /// Its services with their backends.
    fn services(&self) -> Vec<ServiceStatus>;
    /// At most `limit` connections and templates. With millions of them this takes a while.
    fn connections(&self, limit: usize) -> Vec<Connection>;
    /// Puts the counters of a service to zero, or of all.
    fn zero(&self, service: Option<&Name>);

    /// What would become of packets, decided one after the other, and why; nothing comes of it.
    fn explain(&self, questions: &[Question]) -> Vec<Explanation>;
    /// Decisions that pass `filter`, at most so many a second, as they are made.
    ///
    /// # Errors
    /// Too many listen already, or it does not work.
    fn trace(&self, filter: Filter, per_second: u32) -> Result<Listener, Refused>;
}
