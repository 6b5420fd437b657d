//! What the admin API asks of a node. The daemon's handle does it ([`super::bridge`]); tests have one of their own.

use std::{future::Future, path::PathBuf, pin::Pin};

use control::engine::Operation;

use super::model::{Applied, Explanation, Problem, Question, Stats, Status};

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

/// A node that can be asked and told.
pub(crate) trait Node: Send + Sync + 'static {
    /// What it is and does. Rates are zero; who asks twice can tell them.
    fn status(&self) -> Answer<'_, Status>;
    /// Its counters.
    fn stats(&self) -> Answer<'_, Stats>;
    /// Applies a configuration, or says what that would change.
    fn apply(&self, config: ConfigText, dry_run: bool) -> Answer<'_, Applied>;
    /// Applies its file as it is now.
    fn reload(&self) -> Answer<'_, Applied>;
    /// Does something to one backend.
    fn operate(&self, operation: Operation) -> Answer<'_, ()>;
    /// Says where a request would go, and why.
    fn explain(&self, question: Question) -> Answer<'_, Explanation>;
    /// Hands over to another binary; answers with the process that serves then.
    fn upgrade(&self, binary: Option<PathBuf>) -> Answer<'_, u32>;
    /// Ends it, at once or when its work is done.
    fn stop(&self, now: bool) -> Answer<'_, ()>;
    /// Opens log files again.
    fn reopen_logs(&self) -> Answer<'_, ()>;
}
