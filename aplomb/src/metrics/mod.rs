//! Metrics in Prometheus' text format, made from the same status and counters that operators see.
//!
//! Names are `aplomb_` and what they are of, units at the end; what every process has is `process_` as everywhere.
//! Labels are only of the configuration (service, pool, backend, check, interface, vip) or of fixed sets (class, side,
//! reason, state, table, family), never of traffic, so the number of series is bounded by the configuration. `docs/metrics.md` lists them.

mod backends;
mod daemon;
mod ipvs_sync;
mod kernel;
pub(crate) mod process;
mod services;
mod sync;
#[cfg(test)]
mod tests;
mod text;
mod vips;

use self::text::Text;
use crate::api::model::{Stats, Status};

/// The Content-Type of what [`encode`] makes.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a node.
pub(crate) fn encode(status: &Status, stats: &Stats) -> String {
    let mut text = Text::default();
    daemon::encode(&mut text, status, &stats.daemon);
    services::encode(&mut text, stats);
    backends::encode(&mut text, stats);
    vips::encode(&mut text, &status.vips);
    if let Some(l4) = &stats.l4 {
        kernel::encode(&mut text, l4);
        if let Some(status) = &l4.status.sync {
            sync::encode(&mut text, status);
        }
        if let Some(status) = &l4.status.ipvs_sync {
            ipvs_sync::encode(&mut text, status);
        }
    }
    text.finish()
}
