//! What the admin API asks of a node. The daemon's handle does it ([`super::bridge`]); tests have one of their own.

use std::{future::Future, path::PathBuf, pin::Pin};

use control::{
    engine::Operation,
    ipvs::{
        Edit, Error,
        listing::{Connection, Listing},
    },
};
use l4::{explain::Question as Packet, filter::Filter, trace::Listener};

use super::model::{
    Applied, Connections, Explanation, PacketExplanation, Problem, Question, Stats, Status,
};
use crate::vrrp::Order;

/// An answer that takes a while.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send + 'a>>;

/// A configuration that somebody hands in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigText {
    /// What its diagnostics call it.
    pub name: String,
    /// TOML.
    pub text: String,
    /// Where relative paths in it begin.
    pub directory: PathBuf,
}

/// A node at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// What it is and does.
    pub status: Status,
    /// Its counters.
    pub stats: Stats,
}

/// A node that can be asked and told.
pub(crate) trait Node: Send + Sync + 'static {
    /// What it is and does, and all its counters. Rates are zero; who asks twice can tell them.
    fn snapshot(&self) -> Answer<'_, Snapshot>;
    /// What traffic counts, without what the daemon would have to be asked for.
    fn counters(&self) -> Stats;
    /// Applies a configuration, or says what that would change.
    fn apply(&self, config: ConfigText, dry_run: bool) -> Answer<'_, Applied>;
    /// Applies its file as it is now.
    fn reload(&self) -> Answer<'_, Applied>;
    /// Does something to one backend.
    fn operate(&self, operation: Operation) -> Answer<'_, ()>;
    /// Has a group of vips hand over, take over, or go by its configuration again.
    fn order(&self, group: String, order: Order) -> Answer<'_, ()>;
    /// Says where a request would go, and why.
    fn explain(&self, question: Question) -> Answer<'_, Explanation>;
    /// The kernel's connections that pass a filter, at most `limit` of them.
    fn connections(&self, filter: Filter, limit: usize) -> Answer<'_, Connections>;
    /// What the kernel would do with packets, and why.
    fn explain_packets(&self, packets: Vec<Packet>) -> Answer<'_, Vec<PacketExplanation>>;
    /// The kernel's decisions that pass a filter, at most so many a second, as they are made.
    fn trace(&self, filter: Filter, per_second: u32) -> Result<Listener, Problem>;
    /// The kernel's services as IPVS would show them.
    fn ipvs(&self) -> Answer<'_, Listing>;
    /// Connections of the kernel's services, at most `limit` of them.
    fn ipvs_connections(&self, limit: usize) -> Answer<'_, Vec<Connection>>;
    /// Edits the table of the kernel's services; for each edit, why it was not done.
    fn ipvs_edit(&self, edits: Vec<Edit>) -> Answer<'_, Vec<Option<Error>>>;
    /// Hands over to another binary; answers with the process that serves then.
    fn upgrade(&self, binary: Option<PathBuf>) -> Answer<'_, u32>;
    /// Ends it, at once or when its work is done.
    fn stop(&self, now: bool) -> Answer<'_, ()>;
    /// Opens log files again.
    fn reopen_logs(&self) -> Answer<'_, ()>;
}
